//! The parameter lists of PERSISTENT RESERVE OUT (SPC-4, sections 6.15.3 and 6.15.4).

use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::scsi::{TransportId, TransportIdError};
use crate::{BufferTooSmall, Truncated};

bits! {
    /// The flags of a parameter list.
    pub struct ReserveOutFlags: u8 {
        /// SPEC_I_PT: the list names other initiator ports, which are registered, too.
        SPECIFY_INITIATOR_PORTS = 1 << 3;
        /// ALL_TG_PT: the registration holds for all target ports.
        ALL_TARGET_PORTS = 1 << 2;
        /// APTPL: registrations and reservation are to persist through power loss.
        ACTIVATE_PERSISTENCE = 1 << 0;
    }
}

/// The list of every service action but REGISTER AND MOVE: 24 bytes.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct ReserveOutParameters {
    /// RESERVATION KEY: the one the nexus is registered with.
    pub key: U64,
    /// SERVICE ACTION RESERVATION KEY: the new one, or the one to preempt.
    pub action_key: U64,
    obsolete16: [u8; 4],
    flags: u8,
    reserved21: u8,
    obsolete22: [u8; 2],
}

/// The front of REGISTER AND MOVE's list: 24 bytes; a TransportID follows.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct MoveParameters {
    /// RESERVATION KEY: the one the nexus is registered with.
    pub key: U64,
    /// SERVICE ACTION RESERVATION KEY: the one the other nexus will be registered with.
    pub action_key: U64,
    reserved16: u8,
    flags: u8,
    /// RELATIVE TARGET PORT IDENTIFIER of the other nexus.
    pub target_port: U16,
    /// TRANSPORTID PARAMETER DATA LENGTH.
    pub transport_id_len: U32,
}

/// What is wrong with a parameter list, beside its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReserveOutError {
    /// The length of the list is not what it must be: PARAMETER LIST LENGTH ERROR.
    #[error("the parameter list has the wrong length")]
    Length,
    /// A field holds what it must not: INVALID FIELD IN PARAMETER LIST.
    #[error("byte {0} of the parameter list is invalid")]
    Field(u16),
}

/// The TransportIDs behind a list with SPEC_I_PT, in order. Every one was checked.
#[derive(Clone, Copy, Debug, Default)]
pub struct RegisteredPorts<'a>(&'a [u8]);

impl ReserveOutParameters {
    /// Bytes without TransportIDs.
    pub const LEN: usize = 24;

    /// A list with these keys and flags.
    pub fn new(key: u64, action_key: u64, flags: ReserveOutFlags) -> Self {
        Self { key: U64::new(key), action_key: U64::new(action_key), flags: flags.bits(), ..Self::default() }
    }

    /// The flags.
    pub const fn flags(&self) -> ReserveOutFlags {
        ReserveOutFlags(self.flags)
    }

    /// Reads a whole list. Only with SPEC_I_PT may it be longer than [`Self::LEN`].
    pub fn read(list: &[u8]) -> Result<(Self, RegisteredPorts<'_>), ReserveOutError> {
        let (parameters, rest) = Self::read_from_prefix(list).map_err(|_| ReserveOutError::Length)?;
        if !parameters.flags().contains(ReserveOutFlags::SPECIFY_INITIATOR_PORTS) {
            let exact = if rest.is_empty() { Ok(()) } else { Err(ReserveOutError::Length) };
            return exact.map(|()| (parameters, RegisteredPorts::default()));
        }
        let (len, ids) = U32::read_from_prefix(rest).map_err(|_| ReserveOutError::Length)?;
        if ids.len() != len.get() as usize {
            return Err(ReserveOutError::Length);
        }
        let mut at = 0;
        while at < ids.len() {
            let (_, taken) =
                TransportId::read(&ids[at..]).map_err(|error| refuse(error, Self::LEN + 4 + at))?;
            at += taken;
        }
        Ok((parameters, RegisteredPorts(ids)))
    }

    /// Writes the 24 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }

    /// Borrows the structure from the front of `bytes`.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }
}

impl MoveParameters {
    /// Bytes before the TransportID.
    pub const LEN: usize = 24;

    /// The front of a list that moves the reservation to a nexus through `target_port`.
    pub fn new(
        key: u64,
        action_key: u64,
        unregister: bool,
        persist: bool,
        target_port: u16,
        id_len: u32,
    ) -> Self {
        Self {
            key: U64::new(key),
            action_key: U64::new(action_key),
            flags: u8::from(unregister) << 1 | u8::from(persist),
            target_port: U16::new(target_port),
            transport_id_len: U32::new(id_len),
            ..Self::default()
        }
    }

    /// UNREG: the nexus that moves the reservation gives up its registration.
    pub const fn unregister(&self) -> bool {
        self.flags & 2 != 0
    }

    /// APTPL.
    pub const fn persist(&self) -> bool {
        self.flags & 1 != 0
    }

    /// Reads a whole list.
    pub fn read(list: &[u8]) -> Result<(Self, TransportId), ReserveOutError> {
        let (parameters, rest) = Self::read_from_prefix(list).map_err(|_| ReserveOutError::Length)?;
        if rest.len() != parameters.transport_id_len.get() as usize {
            return Err(ReserveOutError::Length);
        }
        let (id, taken) = TransportId::read(rest).map_err(|error| refuse(error, Self::LEN))?;
        if taken == rest.len() { Ok((parameters, id)) } else { Err(ReserveOutError::Length) }
    }

    /// Writes the 24 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

impl Iterator for RegisteredPorts<'_> {
    type Item = TransportId;

    fn next(&mut self) -> Option<TransportId> {
        let (id, taken) = TransportId::read(self.0).ok()?;
        self.0 = &self.0[taken..];
        Some(id)
    }
}

fn refuse(error: TransportIdError, at: usize) -> ReserveOutError {
    match error {
        TransportIdError::Truncated => ReserveOutError::Length,
        TransportIdError::Protocol(_) | TransportIdError::Format(_) => ReserveOutError::Field(at as u16),
        TransportIdError::Name => ReserveOutError::Field(at as u16 + 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn list(flags: ReserveOutFlags, ids: &[TransportId]) -> Vec<u8> {
        let mut list = ReserveOutParameters::new(1, 2, flags).as_bytes().to_vec();
        if flags.contains(ReserveOutFlags::SPECIFY_INITIATOR_PORTS) {
            let len: usize = ids.iter().map(|id| id.as_bytes().len()).sum();
            list.extend((len as u32).to_be_bytes());
        }
        ids.iter().for_each(|id| list.extend(id.as_bytes()));
        list
    }

    #[test]
    fn ports_are_read_in_order() {
        let ids = [TransportId::srp([1; 16]), TransportId::iscsi("iqn.a", [2; 6])];
        let flags = ReserveOutFlags::SPECIFY_INITIATOR_PORTS;
        let bytes = list(flags, &ids);
        let (parameters, ports) = ReserveOutParameters::read(&bytes).unwrap();
        assert_eq!((parameters.key.get(), parameters.action_key.get()), (1, 2));
        assert!(ports.eq(ids));
        let cut = &bytes[..bytes.len() - 4];
        assert_eq!(ReserveOutParameters::read(cut).err(), Some(ReserveOutError::Length));
        let mut odd = bytes.clone();
        odd[28] = 0x0f;
        assert_eq!(ReserveOutParameters::read(&odd).err(), Some(ReserveOutError::Field(28)));
    }

    #[test]
    fn a_list_has_its_length() {
        let bytes = list(ReserveOutFlags::NONE, &[]);
        assert!(ReserveOutParameters::read(&bytes).is_ok());
        assert_eq!(ReserveOutParameters::read(&bytes[..23]).err(), Some(ReserveOutError::Length));
        let longer = [&bytes[..], &[0; 8]].concat();
        assert_eq!(ReserveOutParameters::read(&longer).err(), Some(ReserveOutError::Length));
    }

    #[test]
    fn a_move_names_one_port() {
        let id = TransportId::srp([1; 16]);
        let front = MoveParameters::new(1, 2, true, false, 7, 24);
        let bytes = [front.as_bytes(), id.as_bytes()].concat();
        let (parameters, read) = MoveParameters::read(&bytes).unwrap();
        assert_eq!((read, parameters.target_port.get()), (id, 7));
        assert!(parameters.unregister() && !parameters.persist());
        assert_eq!(MoveParameters::read(&bytes[..47]).err(), Some(ReserveOutError::Length));
    }
}
