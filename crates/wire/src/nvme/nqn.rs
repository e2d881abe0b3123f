//! NVMe Qualified Names: the names of hosts and subsystems (Base 4.5).

use core::{fmt, str};

/// The longest name, in bytes.
pub const NQN_LEN_MAX: usize = 223;

/// Bytes of the zero-terminated field that holds a name in every structure.
pub const NQN_FIELD_LEN: usize = 256;

/// The subsystem name every discovery service answers to.
pub const DISCOVERY_NQN: &str = "nqn.2014-08.org.nvmexpress.discovery";

/// What stands before the UUID in names made from one.
pub const UUID_NQN_PREFIX: &str = "nqn.2014-08.org.nvmexpress:uuid:";

/// A name, held by value: 224 bytes, no allocation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nqn {
    // Zero behind `len`, so that the derived comparison and hash see the name alone.
    bytes: [u8; NQN_LEN_MAX],
    len: u8,
}

/// Why a text is no NQN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NqnError {
    /// Empty, or longer than 223 bytes.
    #[error("an NQN has 1 to 223 bytes, not {0}")]
    Length(usize),
    /// A field whose 256 bytes have no zero, or none within the first 224.
    #[error("the NQN field is not zero-terminated within 224 bytes")]
    Unterminated,
    /// The bytes are no UTF-8.
    #[error("an NQN is UTF-8 text")]
    Encoding,
    /// Does not begin with `nqn.yyyy-mm.`.
    #[error("an NQN begins with \"nqn.\", a year, \"-\", a month, \".\"")]
    Date,
    /// There is no domain after the date, or a label of it is malformed.
    #[error("the domain of an NQN has labels of 1 to 63 letters, digits and hyphens")]
    Domain,
    /// The text promises a UUID and has none.
    #[error("an NQN of the UUID form ends with a UUID")]
    Uuid,
}

impl Nqn {
    /// The well-known discovery subsystem.
    pub fn discovery() -> Self {
        Self::hold(DISCOVERY_NQN.as_bytes())
    }

    /// The name made from a UUID given in network byte order.
    pub fn from_uuid(uuid: &[u8; 16]) -> Self {
        let mut bytes = [0; NQN_LEN_MAX];
        let prefix = UUID_NQN_PREFIX.as_bytes();
        bytes[..prefix.len()].copy_from_slice(prefix);
        let mut len = prefix.len();
        for (index, byte) in uuid.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                bytes[len] = b'-';
                len += 1;
            }
            bytes[len] = HEX[usize::from(byte >> 4)];
            bytes[len + 1] = HEX[usize::from(byte & 0xf)];
            len += 2;
        }
        Self { bytes, len: len as u8 }
    }

    /// Takes a name a peer goes by: only what the layout demands, 1 to 223 bytes of text.
    ///
    /// The form `nqn.yyyy-mm.domain` is a rule for those who give names, and well-known peers do not keep it: the Linux
    /// target takes any text as the name of a subsystem.
    pub fn from_peer(text: &str) -> Result<Self, NqnError> {
        let len = text.len();
        if len == 0 || len > NQN_LEN_MAX {
            return Err(NqnError::Length(len));
        }
        Ok(Self::hold(text.as_bytes()))
    }

    /// Checks a text against the whole form; the names we give are checked by this.
    pub fn parse(text: &str) -> Result<Self, NqnError> {
        let len = text.len();
        if len == 0 || len > NQN_LEN_MAX {
            return Err(NqnError::Length(len));
        }
        let rest = check_date(text)?;
        if let Some(uuid) = text.strip_prefix(UUID_NQN_PREFIX) {
            check_uuid(uuid)?;
        } else {
            check_domain(rest)?;
        }
        Ok(Self::hold(text.as_bytes()))
    }

    /// Reads a 256-byte field: a name as [`Nqn::from_peer`] takes it, then a zero; what stands behind is ignored.
    pub fn from_field(field: &[u8; NQN_FIELD_LEN]) -> Result<Self, NqnError> {
        let end = field.iter().position(|byte| *byte == 0).ok_or(NqnError::Unterminated)?;
        if end > NQN_LEN_MAX {
            return Err(NqnError::Unterminated);
        }
        let text = str::from_utf8(&field[..end]).map_err(|_| NqnError::Encoding)?;
        Self::from_peer(text)
    }

    /// The 256-byte field: the name, then zeros.
    pub fn to_field(&self) -> [u8; NQN_FIELD_LEN] {
        let mut field = [0; NQN_FIELD_LEN];
        field[..NQN_LEN_MAX].copy_from_slice(&self.bytes);
        field
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // The bytes were text when they came in, so the fallback is never taken.
        str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or("")
    }

    /// Whether this is the well-known discovery subsystem.
    pub fn is_discovery(&self) -> bool {
        self.as_str() == DISCOVERY_NQN
    }

    /// Copies a text known to be a name.
    fn hold(text: &[u8]) -> Self {
        let mut bytes = [0; NQN_LEN_MAX];
        let len = text.len().min(NQN_LEN_MAX);
        bytes[..len].copy_from_slice(&text[..len]);
        Self { bytes, len: len as u8 }
    }
}

impl str::FromStr for Nqn {
    type Err = NqnError;

    fn from_str(text: &str) -> Result<Self, NqnError> {
        Self::parse(text)
    }
}

impl AsRef<str> for Nqn {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Nqn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Nqn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Nqn({})", self.as_str())
    }
}

/// Checks `nqn.yyyy-mm.` and returns what stands behind it.
fn check_date(text: &str) -> Result<&str, NqnError> {
    let date = text.strip_prefix("nqn.").ok_or(NqnError::Date)?;
    let (head, rest) = date.as_bytes().split_at_checked(8).ok_or(NqnError::Date)?;
    let digits = [0, 1, 2, 3, 5, 6].iter().all(|index| head[*index].is_ascii_digit());
    let month = head[5..7] >= b"01"[..] && head[5..7] <= b"12"[..];
    if !digits || !month || head[4] != b'-' || head[7] != b'.' {
        return Err(NqnError::Date);
    }
    // The eight bytes are ASCII, so the remainder begins at a character.
    str::from_utf8(rest).map_err(|_| NqnError::Date)
}

/// Checks the reversed domain name up to the colon; what follows the colon is the owner's affair.
fn check_domain(rest: &str) -> Result<(), NqnError> {
    let domain = rest.split(':').next().unwrap_or("");
    for label in domain.split('.') {
        let bytes = label.as_bytes();
        let edges = [bytes.first(), bytes.last()];
        let hyphen_at_edge = edges.contains(&Some(&b'-'));
        let legal = bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
        if bytes.is_empty() || bytes.len() > LABEL_LEN_MAX || hyphen_at_edge || !legal {
            return Err(NqnError::Domain);
        }
    }
    Ok(())
}

/// Checks the 36 characters of a UUID.
fn check_uuid(text: &str) -> Result<(), NqnError> {
    let bytes = text.as_bytes();
    let well_formed = bytes.len() == 36
        && bytes.iter().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    if well_formed { Ok(()) } else { Err(NqnError::Uuid) }
}

const LABEL_LEN_MAX: usize = 63;
const HEX: [u8; 16] = *b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use std::string::{String, ToString};

    use super::*;

    #[test]
    fn good_names_survive_their_field() {
        let long = String::from("nqn.2024-01.example:") + &"x".repeat(203);
        let uuid = "nqn.2014-08.org.nvmexpress:uuid:00112233-4455-6677-8899-aabbccddeeff";
        for text in [DISCOVERY_NQN, uuid, "nqn.2016-06.io.spdk:cnode1", "nqn.2020-12.org", long.as_str()] {
            let nqn = Nqn::parse(text).unwrap();
            assert_eq!(nqn.to_string(), text);
            assert_eq!(Nqn::from_field(&nqn.to_field()), Ok(nqn));
        }
    }

    #[test]
    fn bad_names_are_refused_for_their_reason() {
        let cases = [
            ("", NqnError::Length(0)),
            ("iqn.2014-08.org", NqnError::Date),
            ("nqn.2014-8.org", NqnError::Date),
            ("nqn.2014-13.org:x", NqnError::Date),
            ("nqn.2014-08.", NqnError::Domain),
            ("nqn.2014-08.a..b:x", NqnError::Domain),
            ("nqn.2014-08.-a:x", NqnError::Domain),
            ("nqn.2014-08.org.nvmexpress:uuid:zz", NqnError::Uuid),
        ];
        for (text, error) in cases {
            assert_eq!(Nqn::parse(text), Err(error), "{text}");
        }
        let long = String::from("nqn.2024-01.example:") + &"x".repeat(204);
        assert_eq!(Nqn::parse(&long), Err(NqnError::Length(224)));
        assert_eq!(Nqn::from_field(&[b'a'; 256]), Err(NqnError::Unterminated));
        let mut field = Nqn::discovery().to_field();
        field[20] = 0xff;
        assert_eq!(Nqn::from_field(&field), Err(NqnError::Encoding));
    }

    #[test]
    fn a_uuid_makes_a_valid_name() {
        let nqn = Nqn::from_uuid(&[0x5a; 16]);
        assert_eq!(nqn.as_str(), "nqn.2014-08.org.nvmexpress:uuid:5a5a5a5a-5a5a-5a5a-5a5a-5a5a5a5a5a5a");
        assert_eq!(Nqn::parse(nqn.as_str()), Ok(nqn));
        assert!(Nqn::discovery().is_discovery() && !nqn.is_discovery());
    }
}
