//! A device that keeps another's blocks encrypted (XTS-AES, IEEE 1619-2018).
//!
//! The sequence number of a data unit is the number of its block, so that what SPDK's crypto volumes and Linux's
//! `aes-xts-plain64` (with sectors as long as our blocks) wrote can be read, and the other way round.
//!
//! A block of zeros below stands for a block of zeros: no other block is encrypted to it (one in 2^4096 would be). So a new
//! volume reads as zeros, and space is given back as the base gives it back; who sees the base learns which blocks were
//! never written, zeroed or discarded, and nothing else of them. XTS does not authenticate: who can write the base can
//! change blocks to something nobody chose, or back to what they once were.
//!
//! [`Op::CryptoErase`](crate::Op::CryptoErase) draws a new key, if the key's owner says that it keeps what is drawn
//! ([`Keeping::Owner`]):
//!
//! ```text
//!          CryptoErase             poll_new_key           key_stored(true)
//! Settled ------------> Wanted ------------> Offered -----------------------> Settled, with the new key
//!                                               |  key_stored(false)
//!                                               +---------------------------> Settled, but lost: either key may be kept,
//!                                                                             and nothing is read or written until an
//!                                                                             erase succeeds
//! ```
//!
//! Invariants: neither the memory of a write's user nor what the base lends is ever ciphered in place; no key or plain text
//! is printed; what was read under one key is not written under another by one request.

mod channel;
mod erase;
mod key;
mod xts;

pub use key::{KEY_LEN_MAX, Key, KeyError};

use crate::{BlockDevice, Channel, Extent, Info, Status};
use channel::CryptChannel;
use erase::Erase;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use stdx::env::{Env, Event};
use stdx::mem::Memory;
use stdx::time::{Time, earliest};
use xts::Xts;

/// See the module. Closing it closes the device below.
#[derive(Debug)]
pub struct Crypt {
    shared: Rc<Shared>,
}

/// Who keeps a key that was drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keeping {
    /// Nobody: the key is given anew each time, and there is no crypto erase.
    Nobody,
    /// The device's owner, by [`Crypt::poll_new_key`] and [`Crypt::key_stored`].
    Owner,
}

#[derive(Debug)]
struct Shared {
    base: Rc<dyn BlockDevice>,
    keeping: Keeping,
    cipher: RefCell<Xts>,
    erase: RefCell<Erase>,
    /// Channels there ever were.
    channels: Cell<u64>,
    /// When a write that waits for a buffer may get one.
    retry_at: Cell<Option<Time>>,
    closed: Cell<bool>,
}

impl Crypt {
    /// `base`, encrypted with `key`.
    pub fn new(base: Rc<dyn BlockDevice>, key: &Key, keeping: Keeping) -> Self {
        Self {
            shared: Rc::new(Shared {
                base,
                keeping,
                cipher: RefCell::new(Xts::new(key)),
                erase: RefCell::default(),
                channels: Cell::new(0),
                retry_at: Cell::new(None),
                closed: Cell::new(false),
            }),
        }
    }

    /// The key that a crypto erase drew, once. Its owner stores it in such a way that a power cut at any moment leaves either
    /// the old key or the new one, destroys the old one, and says by [`Crypt::key_stored`] how that went.
    pub fn poll_new_key(&self) -> Option<Key> {
        self.shared.erase.borrow_mut().offer()
    }

    /// The key that was offered is stored and the one before is gone; or nobody can tell.
    pub fn key_stored(&self, stored: bool) {
        if let Some(key) = self.shared.erase.borrow_mut().settle(stored) {
            *self.shared.cipher.borrow_mut() = Xts::new(&key);
        }
    }
}

impl Shared {
    fn info(&self) -> Info {
        let base = self.base.info();
        Info {
            // A write needs a buffer as long as itself.
            blocks_max: base.blocks_max.min(Memory::BUFFER_MAX as u32 / base.block_size),
            lends: false,
            crypto_erases: self.keeping == Keeping::Owner,
            ..base
        }
    }
}

impl BlockDevice for Crypt {
    fn info(&self) -> Info {
        self.shared.info()
    }

    fn open(&self) -> Box<dyn Channel> {
        let number = self.shared.channels.replace(self.shared.channels.get() + 1);
        Box::new(CryptChannel::new(self.shared.clone(), self.shared.base.open(), number))
    }

    fn handle_event(&self, env: &mut dyn Env, event: &Event) {
        self.shared.base.handle_event(env, event);
    }

    fn deadline(&self) -> Option<Time> {
        // A key that is to be stored is not to wait for something else to happen.
        let wanted = self.shared.erase.borrow().is_wanted().then_some(Time::ZERO);
        earliest(wanted, earliest(self.shared.retry_at.get(), self.shared.base.deadline()))
    }

    fn handle_timeout(&self, env: &mut dyn Env) {
        if self.shared.retry_at.get().is_some_and(|at| at <= env.now()) {
            self.shared.retry_at.set(None);
        }
        self.shared.base.handle_timeout(env);
    }

    fn extent(&self, env: &mut dyn Env, lba: u64) -> Extent {
        self.shared.base.extent(env, lba)
    }

    fn resize(&self, env: &mut dyn Env, blocks: u64) -> Result<(), Status> {
        self.shared.base.resize(env, blocks)
    }

    fn close(&self, env: &mut dyn Env) {
        self.shared.closed.set(true);
        self.shared.erase.borrow_mut().end(Status::Gone);
        self.shared.base.close(env);
    }
}

#[cfg(test)]
mod tests;
