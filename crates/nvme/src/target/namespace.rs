//! A namespace: a volume under an identifier, with its reservations and the I/O it has under way.

use super::nvm::reservation::Reservations;
use block::{BlockDevice, Channel, Info, QueuedChannel};
use std::rc::Rc;
use stdx::slab::Key;

/// What a namespace is to be called.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NamespaceConfig {
    /// Its identifier; the lowest that is free if `None`.
    pub nsid: Option<u32>,
    /// Its UUID, in network byte order; zero for none.
    pub uuid: [u8; 16],
    /// Its NGUID, if it has one. One made of the UUID is shown otherwise.
    pub nguid: Option<[u8; 16]>,
    /// Its EUI-64, if it has one.
    pub eui64: Option<[u8; 8]>,
    /// Its ANA group; the namespace identifier if `None`.
    pub anagrpid: Option<u32>,
    /// Reservations may outlive a power loss: the owner keeps them ([`super::Target::reservation_state`]).
    pub ptpl: bool,
}

/// A volume in use.
#[derive(Debug)]
pub(super) struct Namespace {
    pub(super) id: u32,
    pub(super) subsystem: Key,
    pub(super) config: NamespaceConfig,
    pub(super) ana_group: u32,
    pub(super) device: Rc<dyn BlockDevice>,
    /// What the device was when it last said that it changed.
    pub(super) info: Info,
    pub(super) reservations: Reservations,
    pub(super) channel: QueuedChannel,
    /// In [`super::Target::busy`].
    pub(super) busy: bool,
    /// Removed by its owner; it stays until nothing is under way, because the device may still write into buffers.
    pub(super) removed: bool,
}

impl Namespace {
    pub(super) fn new(
        id: u32,
        subsystem: Key,
        config: NamespaceConfig,
        device: Rc<dyn BlockDevice>,
        channel: Box<dyn Channel>,
    ) -> Self {
        Self {
            id,
            subsystem,
            ana_group: config.anagrpid.unwrap_or(id),
            reservations: Reservations::new(config.ptpl),
            config,
            info: device.info(),
            device,
            channel: QueuedChannel::new(channel),
            busy: false,
            removed: false,
        }
    }

    /// NGUID to show: the configured one, else the UUID's bytes, else none.
    pub(super) fn nguid(&self) -> [u8; 16] {
        self.config.nguid.unwrap_or(self.config.uuid)
    }
}
