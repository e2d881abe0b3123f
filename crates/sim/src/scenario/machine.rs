//! What a protocol brings to a scenario: a machine that serves volumes, and a machine that uses them. Everything else (the
//! acts, the load, the checkers) is the same for all.

use crate::env::NodeEnv;
use block::{BlockDevice, Channel};
use std::collections::BTreeMap;
use std::rc::Rc;
use stdx::time::Time;

/// A machine that serves. It is made anew whenever its power comes back.
pub(super) trait Serving {
    /// Takes what has happened, does what there is to do, and asserts its own laws.
    fn turn(&mut self, env: &mut NodeEnv);

    /// When the next turn is due even if nothing happens.
    fn deadline(&self) -> Option<Time>;

    /// The place behind all volumes that the machine uses itself.
    fn own(&self) -> Rc<dyn BlockDevice>;

    /// An encrypted volume that the machine uses itself, once its key is there; `None` for good where there is none.
    fn vault(&self) -> Option<Rc<dyn BlockDevice>> {
        None
    }

    /// Lets go of it, at the end: its user is done.
    fn close_vault(&mut self, _env: &mut NodeEnv) {}

    /// Serves a new volume in memory.
    fn serve(&mut self, env: &mut NodeEnv, number: u32, blocks: u64);

    /// Serves a volume no more.
    fn withdraw(&mut self, env: &mut NodeEnv, number: u32);

    /// Makes a volume longer or shorter.
    fn resize(&mut self, env: &mut NodeEnv, number: u32, blocks: u64);

    /// Associations that a client has here.
    fn associations_of(&self, client: u32) -> usize;

    /// Begins an orderly end.
    fn drain(&mut self, env: &mut NodeEnv);

    /// True when the orderly end is complete.
    fn is_drained(&self) -> bool;
}

/// A machine that uses what another serves.
pub(super) trait Using {
    /// Takes what has happened, does what there is to do, and asserts its own laws.
    fn turn(&mut self, env: &mut NodeEnv);

    /// When the next turn is due even if nothing happens.
    fn deadline(&self) -> Option<Time>;

    /// Begins to connect.
    fn attach(&mut self, env: &mut NodeEnv);

    /// Lets go of what was attached.
    fn detach(&mut self, env: &mut NodeEnv);

    /// True from one to the other.
    fn is_attached(&self) -> bool;

    /// True if what is attached was given up.
    fn has_failed(&self) -> bool;

    /// True while there is a connection.
    fn is_live(&self) -> bool;

    /// A way to a volume, if it is there.
    fn open(&self, number: u32) -> Option<Box<dyn Channel>>;

    /// The volumes there are, and their blocks.
    fn seen(&self) -> BTreeMap<u32, u64>;
}
