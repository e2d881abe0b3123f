//! A namespace: a volume under an identifier, with its reservations and the I/O it has under way.

use super::nvm::reservation::Reservations;
use block::{BlockDevice, Channel, Info, Io};
use std::collections::VecDeque;
use std::rc::Rc;
use stdx::env::Env;
use stdx::mem::Span;
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
    channel: Box<dyn Channel>,
    /// Requests the channel had no room for, in order.
    waiting: VecDeque<Io>,
    /// Requests given to the channel and not done.
    under_way: u32,
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
            channel,
            waiting: VecDeque::new(),
            under_way: 0,
            busy: false,
            removed: false,
        }
    }

    /// Gives the channel a request, now or when it has room.
    pub(super) fn start(&mut self, env: &mut dyn Env, io: Io) {
        if !self.waiting.is_empty() {
            self.waiting.push_back(io);
            return;
        }
        match self.channel.submit(env, io) {
            Ok(()) => self.under_way += 1,
            Err(block::Refused(io)) => self.waiting.push_back(io),
        }
    }

    /// Has a request done now, if the channel can and nothing waits for it.
    pub(super) fn perform(&mut self, env: &mut dyn Env, io: &Io) -> Option<Span> {
        if self.waiting.is_empty() && !self.removed { self.channel.perform(env, io) } else { None }
    }

    /// Collects what is done, and gives the channel what waits for room.
    pub(super) fn poll(&mut self, env: &mut dyn Env, done: &mut Vec<block::Done>) {
        let before = done.len();
        self.channel.poll(env, done);
        self.under_way -= (done.len() - before) as u32;
        while let Some(&io) = self.waiting.front() {
            if self.channel.submit(env, io).is_err() {
                break;
            }
            self.under_way += 1;
            self.waiting.pop_front();
        }
    }

    /// Takes a request back that the channel has not seen; false if it has, or is done.
    pub(super) fn withdraw(&mut self, tag: u64) -> bool {
        let Some(place) = self.waiting.iter().position(|io| io.tag == tag) else { return false };
        self.waiting.remove(place);
        true
    }

    /// True if no request is under way or waits.
    pub(super) fn idle(&self) -> bool {
        self.under_way == 0 && self.waiting.is_empty()
    }

    /// Requests given to the channel or waiting for it.
    pub(super) fn load(&self) -> usize {
        self.under_way as usize + self.waiting.len()
    }

    /// NGUID to show: the configured one, else the UUID's bytes, else none.
    pub(super) fn nguid(&self) -> [u8; 16] {
        self.config.nguid.unwrap_or(self.config.uuid)
    }
}
