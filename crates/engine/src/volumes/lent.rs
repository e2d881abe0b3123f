//! A device that belongs to somebody else: used here, but driven and closed there.

use block::{BlockDevice, Channel, Extent, Info, Status};
use std::rc::Rc;
use stdx::env::Env;

/// See the module: events, deadlines and the end of the device are its owner's.
#[derive(Debug)]
pub(super) struct Lent(pub(super) Rc<dyn BlockDevice>);

impl BlockDevice for Lent {
    fn info(&self) -> Info {
        self.0.info()
    }

    fn open(&self) -> Box<dyn Channel> {
        self.0.open()
    }

    fn extent(&self, env: &mut dyn Env, lba: u64) -> Extent {
        self.0.extent(env, lba)
    }

    fn resize(&self, env: &mut dyn Env, blocks: u64) -> Result<(), Status> {
        self.0.resize(env, blocks)
    }

    fn close(&self, _: &mut dyn Env) {}
}
