//! Connect: the first command on every queue (Base 6.3).

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::nvme::command::SubmissionQueueEntry;
use crate::nvme::nqn::{NQN_FIELD_LEN, Nqn};
use crate::nvme::opcode::FabricsCommandType;
use crate::nvme::sgl::Sgl;
use crate::{BufferTooSmall, Truncated};

/// Bytes of Connect's data.
pub const CONNECT_DATA_LEN: usize = 1024;

/// The dwords of a Connect command (Base figure 385).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connect {
    /// Record format (RECFMT); 0 is the only one defined.
    pub record_format: u16,
    /// The queue to make (QID); 0 is the admin queue.
    pub queue_id: u16,
    /// Entries in the submission queue less one (SQSIZE).
    pub queue_size_zero_based: u16,
    /// Connect attributes (CATTR).
    pub attributes: ConnectAttributes,
    /// Keep alive timeout in milliseconds (KATO), 0 for none; only for the admin queue.
    pub keep_alive_ms: u32,
}

bits! {
    /// Attributes of a queue (CATTR); bits 1:0 are a priority class that only weighted arbitration uses.
    pub struct ConnectAttributes: u8 {
        /// The host does not want flow control by the submission queue head.
        DISABLE_FLOW_CONTROL = 0x04;
        /// The host asks that I/O queues can be deleted one by one.
        INDIVIDUAL_QUEUE_DELETION = 0x08;
    }
}

impl Connect {
    /// The meaning of a Connect command.
    pub fn read(command: &SubmissionQueueEntry) -> Self {
        let [format_low, format_high, queue_low, queue_high] = command.cdw10.to_bytes();
        let [size_low, size_high, attributes, _] = command.cdw11.to_bytes();
        Self {
            record_format: u16::from_le_bytes([format_low, format_high]),
            queue_id: u16::from_le_bytes([queue_low, queue_high]),
            queue_size_zero_based: u16::from_le_bytes([size_low, size_high]),
            attributes: ConnectAttributes(attributes),
            keep_alive_ms: command.cdw12.get(),
        }
    }

    /// A Connect command with its data in the capsule.
    pub fn command(&self, command_id: u16) -> SubmissionQueueEntry {
        let mut command = super::command(FabricsCommandType::Connect, command_id)
            .with_data(Sgl::InCapsule { offset: 0, length: CONNECT_DATA_LEN as u32 });
        let [size_low, size_high] = self.queue_size_zero_based.to_le_bytes();
        command.cdw10 = U32::new(u32::from(self.record_format) | u32::from(self.queue_id) << 16);
        command.cdw11 = U32::from_bytes([size_low, size_high, self.attributes.bits(), 0]);
        command.cdw12 = U32::new(self.keep_alive_ms);
        command
    }
}

/// The host identifier (HOSTID): 16 bytes, the same for every association of one host.
pub type HostId = [u8; 16];

/// The 1,024 bytes of data of a Connect command (Base figure 386).
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ConnectData {
    /// Host identifier (HOSTID).
    pub host_id: HostId,
    /// Controller identifier (CNTLID): FFFFh asks for any.
    pub controller_id: U16,
    reserved18: [u8; 238],
    /// NVM subsystem (SUBNQN), zero-terminated.
    pub subsystem: [u8; NQN_FIELD_LEN],
    /// Host (HOSTNQN), zero-terminated.
    pub host: [u8; NQN_FIELD_LEN],
    reserved768: [u8; 256],
}

impl ConnectData {
    /// The data for these names.
    pub fn new(host_id: HostId, controller_id: u16, subsystem: &Nqn, host: &Nqn) -> Self {
        let mut data = Self::new_zeroed();
        data.host_id = host_id;
        data.controller_id = U16::new(controller_id);
        data.subsystem = subsystem.to_field();
        data.host = host.to_field();
        data
    }

    /// The subsystem's name, or the field to blame.
    pub fn subsystem(&self) -> Result<Nqn, ConnectField> {
        Nqn::from_field(&self.subsystem).map_err(|_| ConnectField::Subsystem)
    }

    /// The host's name, or the field to blame.
    pub fn host(&self) -> Result<Nqn, ConnectField> {
        Nqn::from_field(&self.host).map_err(|_| ConnectField::Host)
    }

    /// Borrows Connect's data from the front of `bytes`.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }

    /// Writes the 1,024 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

/// The field that "Connect Invalid Parameters" blames: byte offset in the command or in the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectField {
    /// Queue identifier, in the command.
    QueueId,
    /// Submission queue size, in the command.
    QueueSize,
    /// Connect attributes, in the command.
    Attributes,
    /// Keep alive timeout, in the command.
    KeepAlive,
    /// Host identifier, in the data.
    HostId,
    /// Controller identifier, in the data.
    ControllerId,
    /// Subsystem name, in the data.
    Subsystem,
    /// Host name, in the data.
    Host,
}

impl ConnectField {
    /// Whether the field is in the data (else in the command), and its offset in bytes there.
    pub const fn place(self) -> (bool, u16) {
        match self {
            Self::QueueId => (false, 42),
            Self::QueueSize => (false, 44),
            Self::Attributes => (false, 46),
            Self::KeepAlive => (false, 48),
            Self::HostId => (true, 0),
            Self::ControllerId => (true, 16),
            Self::Subsystem => (true, 256),
            Self::Host => (true, 512),
        }
    }
}

/// Dword 0 of Connect's completion (Base figure 387).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectResult {
    /// Success.
    Connected {
        /// The controller the host now speaks to.
        controller_id: u16,
        /// The host must authenticate on this queue before anything else (AUTHREQ is not zero).
        authentication_required: bool,
    },
    /// Status "Connect Invalid Parameters": the field to blame.
    Invalid(ConnectField),
}

impl ConnectResult {
    /// The dword.
    pub const fn dword0(self) -> u32 {
        match self {
            Self::Connected { controller_id, authentication_required } => {
                let required = if authentication_required { AUTHENTICATION_TRANSACTION_REQUIRED } else { 0 };
                controller_id as u32 | required
            }
            Self::Invalid(field) => {
                let (in_data, offset) = field.place();
                let attribute = if in_data { PARAMETER_IN_DATA } else { 0 };
                offset as u32 | attribute
            }
        }
    }

    /// The meaning of the dword of a successful Connect.
    pub const fn connected(dword0: u32) -> Self {
        Self::Connected {
            controller_id: dword0 as u16,
            authentication_required: dword0 & AUTHENTICATION_MASK != 0,
        }
    }
}

/// AUTHREQ bit ATR: an authentication transaction is required.
const AUTHENTICATION_TRANSACTION_REQUIRED: u32 = 1 << 17;
/// AUTHREQ bits ATR and ASCR.
const AUTHENTICATION_MASK: u32 = 0b11 << 17;
/// IATTR: the invalid parameter is in the data.
const PARAMETER_IN_DATA: u32 = 1 << 16;

#[cfg(test)]
mod tests {
    use core::mem::offset_of;

    use super::*;

    #[test]
    fn command_and_data_survive_their_bytes() {
        let connect = Connect {
            record_format: 0,
            queue_id: 3,
            queue_size_zero_based: 127,
            attributes: ConnectAttributes::DISABLE_FLOW_CONTROL,
            keep_alive_ms: 120_000,
        };
        let command = connect.command(7);
        assert_eq!(Connect::read(&command), connect);
        assert_eq!(command.fabrics_type_code(), FabricsCommandType::Connect.code());
        let (subsystem, host) = (Nqn::discovery(), Nqn::from_uuid(&[1; 16]));
        let data = ConnectData::new([9; 16], 0xffff, &subsystem, &host);
        let mut bytes = [0xee; CONNECT_DATA_LEN];
        assert_eq!(data.encode(&mut bytes), Ok(CONNECT_DATA_LEN));
        let back = ConnectData::view(&bytes).unwrap();
        assert_eq!((back.subsystem(), back.host()), (Ok(subsystem), Ok(host)));
    }

    #[test]
    fn blame_points_at_the_field() {
        assert_eq!(offset_of!(ConnectData, subsystem), usize::from(ConnectField::Subsystem.place().1));
        assert_eq!(offset_of!(ConnectData, host), usize::from(ConnectField::Host.place().1));
        assert_eq!(offset_of!(ConnectData, controller_id), usize::from(ConnectField::ControllerId.place().1));
        assert_eq!(ConnectResult::Invalid(ConnectField::Host).dword0(), 0x0001_0200);
        assert_eq!(ConnectResult::Invalid(ConnectField::QueueSize).dword0(), 44);
        let mut data = ConnectData::new([0; 16], 0, &Nqn::discovery(), &Nqn::discovery());
        data.host = [b'n'; 256];
        assert_eq!(data.host(), Err(ConnectField::Host));
    }

    #[test]
    fn success_names_the_controller() {
        let result = ConnectResult::Connected { controller_id: 5, authentication_required: true };
        assert_eq!(result.dword0(), 0x0002_0005);
        assert_eq!(ConnectResult::connected(result.dword0()), result);
    }
}
