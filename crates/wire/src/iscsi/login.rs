//! Login Request and Response (RFC 7143, sections 11.12 and 11.13). The text is in the data segment.

use super::bhs::{Bhs, CONTINUE, FINAL, Word};
use super::{HeaderError, Numbers, Opcode, Serial};
use core::fmt;
use zerocopy::big_endian::U32;

codes! {
    /// Where a login is (section 11.12.3).
    pub enum Stage: u8 {
        Security = 0, "SecurityNegotiation";
        Operational = 1, "LoginOperationalNegotiation";
        FullFeature = 3, "FullFeaturePhase";
    }
}

codes! {
    /// What came of a login: class and detail (section 11.13.5).
    pub enum LoginStatus: u16 {
        Success = 0x0000, "Success";
        MovedTemporarily = 0x0101, "Target moved temporarily";
        MovedPermanently = 0x0102, "Target moved permanently";
        InitiatorError = 0x0200, "Initiator error";
        AuthenticationFailure = 0x0201, "Authentication failure";
        AuthorizationFailure = 0x0202, "Authorization failure";
        NotFound = 0x0203, "Not found";
        TargetRemoved = 0x0204, "Target removed";
        UnsupportedVersion = 0x0205, "Unsupported version";
        TooManyConnections = 0x0206, "Too many connections";
        MissingParameter = 0x0207, "Missing parameter";
        CannotInclude = 0x0208, "Can't include in session";
        SessionType = 0x0209, "Session type not supported";
        NoSuchSession = 0x020a, "Session does not exist";
        InvalidDuringLogin = 0x020b, "Invalid request during login";
        TargetError = 0x0300, "Target error";
        ServiceUnavailable = 0x0301, "Service unavailable";
        OutOfResources = 0x0302, "Out of resources";
    }
}

/// The initiator's part of a session's name (section 11.12.5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Isid(pub [u8; 6]);

/// The initiator logs in, or goes on doing so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginRequest {
    /// The initiator is ready for the next stage (T).
    pub transit: bool,
    /// A key or value goes on in the next PDU (C).
    pub continues: bool,
    /// The stage it is in (CSG).
    pub current: Stage,
    /// The stage it wants next (NSG); meaningful with `transit`.
    pub next: Stage,
    /// The highest version it speaks.
    pub version_max: u8,
    /// The lowest version it speaks.
    pub version_min: u8,
    /// Its part of the session's name.
    pub isid: Isid,
    /// The target's part; 0 asks for a new session.
    pub tsih: u16,
    /// The initiator's name for the login.
    pub task_tag: u32,
    /// The connection within the session.
    pub connection_id: u16,
    /// Where the order of commands begins, or is.
    pub cmd_sn: Serial,
    /// The next response expected; on the first request of a connection meaningful only when one is taken over.
    pub exp_stat_sn: Serial,
}

/// The target's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginResponse {
    /// The target agrees on the next stage (T).
    pub transit: bool,
    /// A key or value goes on in the next PDU (C).
    pub continues: bool,
    /// The stage it is in (CSG).
    pub current: Stage,
    /// The stage that is next (NSG); meaningful with `transit`.
    pub next: Stage,
    /// The highest version the target speaks.
    pub version_max: u8,
    /// The version in use.
    pub version_active: u8,
    /// The initiator's part of the session's name.
    pub isid: Isid,
    /// The target's part, once the login is over.
    pub tsih: u16,
    /// The login.
    pub task_tag: u32,
    /// The sequence numbers.
    pub numbers: Numbers,
    /// What came of it.
    pub status: LoginStatus,
}

impl fmt::Debug for Isid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Twelve hexadecimal digits, as in the names of initiator ports (RFC 7143, section 4.2.7).
impl fmt::Display for Isid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl LoginStatus {
    /// Whether the login goes on.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Success)
    }
}

impl LoginRequest {
    /// Reads a header. The immediate bit is always set in effect, whatever is sent (section 11.12).
    pub fn decode(bhs: &Bhs) -> Result<Self, HeaderError> {
        let Flags { transit, continues, current, next } = Flags::read(bhs.flags)?;
        let (isid, tsih) = read_session(bhs.lun);
        Ok(Self {
            transit,
            continues,
            current,
            next,
            version_max: bhs.specific[0],
            version_min: bhs.specific[1],
            isid,
            tsih,
            task_tag: bhs.task_tag.get(),
            connection_id: (bhs.word(Word::At20) >> 16) as u16,
            cmd_sn: Serial(bhs.word(Word::At24)),
            exp_stat_sn: Serial(bhs.word(Word::At28)),
        })
    }

    /// The header for so many bytes of text.
    pub fn encode(&self, data_len: u32) -> Bhs {
        let mut bhs = Bhs::new(Opcode::LoginRequest, data_len).with_immediate(true);
        let Self { transit, continues, current, next, .. } = *self;
        bhs.flags = Flags { transit, continues, current, next }.bits();
        bhs.specific = [self.version_max, self.version_min];
        bhs.lun = session(self.isid, self.tsih);
        bhs.task_tag = U32::new(self.task_tag);
        bhs.set(Word::At20, u32::from(self.connection_id) << 16);
        bhs.set(Word::At24, self.cmd_sn.0);
        bhs.set(Word::At28, self.exp_stat_sn.0);
        bhs
    }
}

impl LoginResponse {
    /// Reads a header.
    pub fn decode(bhs: &Bhs) -> Result<Self, HeaderError> {
        let Flags { transit, continues, current, next } = Flags::read(bhs.flags)?;
        let (isid, tsih) = read_session(bhs.lun);
        let status = (bhs.word(Word::At36) >> 16) as u16;
        Ok(Self {
            transit,
            continues,
            current,
            next,
            version_max: bhs.specific[0],
            version_active: bhs.specific[1],
            isid,
            tsih,
            task_tag: bhs.task_tag.get(),
            numbers: Numbers::read(bhs),
            status: LoginStatus::from_code(status).ok_or(HeaderError::InvalidField)?,
        })
    }

    /// The header for so many bytes of text.
    pub fn encode(&self, data_len: u32) -> Bhs {
        let mut bhs = Bhs::new(Opcode::LoginResponse, data_len);
        let Self { transit, continues, current, next, .. } = *self;
        bhs.flags = Flags { transit, continues, current, next }.bits();
        bhs.specific = [self.version_max, self.version_active];
        bhs.lun = session(self.isid, self.tsih);
        bhs.task_tag = U32::new(self.task_tag);
        self.numbers.write(&mut bhs);
        bhs.set(Word::At36, u32::from(self.status.code()) << 16);
        bhs
    }
}

/// The second byte of both.
struct Flags {
    transit: bool,
    continues: bool,
    current: Stage,
    next: Stage,
}

impl Flags {
    /// Sections 11.12.1 to 11.12.3: text that goes on is not ready for the next stage, and the next stage comes later.
    fn read(byte: u8) -> Result<Self, HeaderError> {
        let stage = |code| Stage::from_code(code & STAGE).ok_or(HeaderError::InvalidField);
        let (transit, continues) = (byte & FINAL != 0, byte & CONTINUE != 0);
        let current = stage(byte >> CURRENT_SHIFT)?;
        // Without the transit bit the next stage is reserved.
        let next = if transit { stage(byte)? } else { Stage::Security };
        if transit && (continues || next <= current) || current == Stage::FullFeature {
            return Err(HeaderError::InvalidField);
        }
        Ok(Self { transit, continues, current, next })
    }

    const fn bits(&self) -> u8 {
        let flags = if self.continues { CONTINUE } else { 0 };
        let next = if self.transit { FINAL | self.next.code() } else { 0 };
        flags | self.current.code() << CURRENT_SHIFT | next
    }
}

const fn read_session([a, b, c, d, e, f, high, low]: [u8; 8]) -> (Isid, u16) {
    (Isid([a, b, c, d, e, f]), u16::from_be_bytes([high, low]))
}

const fn session(Isid([a, b, c, d, e, f]): Isid, tsih: u16) -> [u8; 8] {
    let [high, low] = tsih.to_be_bytes();
    [a, b, c, d, e, f, high, low]
}

/// The one version there is (section 11.12.4: 0).
pub const VERSION: u8 = 0;

const STAGE: u8 = 0x03;
const CURRENT_SHIFT: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_only_go_forward() {
        let read = |byte| Flags::read(byte).map(|flags| flags.bits());
        assert_eq!(read(0x87), Ok(0x87));
        assert_eq!(read(0x81), Ok(0x81));
        assert_eq!(read(0x83), Ok(0x83));
        assert_eq!(read(0x40), Ok(0x40));
        // The next stage is not looked at where there is no transition.
        assert_eq!(read(0x06), Ok(0x04));
        for wrong in [0x80, 0x84, 0x85, 0x82, 0x08, 0x0c, 0x8f, 0xc1] {
            assert_eq!(read(wrong), Err(HeaderError::InvalidField), "{wrong:#x}");
        }
    }
}
