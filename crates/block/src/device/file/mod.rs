//! A volume in a regular file or on a block device.
//!
//! Buffered or past the page cache (O_DIRECT). Flush is the environment's sync, and `fua` a durable write (or the operation
//! and then a sync, where there is no durable form of it). Zeroed and discarded blocks give their space back where the file
//! system can do that; where it cannot, zeros are written and discards do nothing.
//!
//! Invariants: an operation of the environment belongs to one request, and a request has at most one; what a request took
//! (a place, a bounce buffer) is given back when it completes; a request is never dropped, whatever the environment
//! refuses: it waits here.

mod requests;
mod step;

use super::{Geometry, GeometryError, UNDER_WAY_MAX};
use crate::{BlockDevice, Channel, Done, Extent, Info, Io, Refused, Status};
use requests::Requests;
use std::cell::RefCell;
use std::rc::Rc;
use stdx::env::{Env, Event, FileId, FileInfo, IoError, OpenFile, Owner, What};
use stdx::slab::Key;
use stdx::time::Time;
use thiserror::Error;

/// A volume in a file.
#[derive(Debug)]
pub struct File {
    requests: Rc<RefCell<Requests>>,
    owner: Owner,
}

/// Why a file cannot be a volume.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum FileError {
    /// The system says no.
    #[error(transparent)]
    Io(#[from] IoError),
    /// It is of no size that a volume can have.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// The device takes only multiples of larger blocks.
    #[error("blocks of {block_size} bytes on a device that takes multiples of {alignment} bytes only")]
    Alignment {
        /// The volume's block, in bytes.
        block_size: u32,
        /// The device's, in bytes.
        alignment: u32,
    },
}

impl File {
    /// Opens a file. `owner` is this volume's alone; its events are to be passed to [`BlockDevice::handle_event`]. Without a
    /// `block_size` the volume has the device's own. Bytes after the last whole block are left alone.
    pub fn open(
        env: &mut dyn Env,
        owner: Owner,
        open: &OpenFile,
        block_size: Option<u32>,
    ) -> Result<Self, FileError> {
        let file = env.open_file(open)?;
        let examined = examine(env, file, block_size);
        let (geometry, info) = examined.inspect_err(|_| env.close_file(file))?;
        let requests = Requests::new(owner, file, geometry, info, open.read_only);
        Ok(Self { requests: Rc::new(RefCell::new(requests)), owner })
    }

    /// Looks how long the file is now: it may have been changed behind our back, as a block device is that was grown.
    pub fn rescan(&self, env: &mut dyn Env) -> Result<(), FileError> {
        self.requests.borrow_mut().rescan(env)
    }
}

fn examine(
    env: &mut dyn Env,
    file: FileId,
    block_size: Option<u32>,
) -> Result<(Geometry, FileInfo), FileError> {
    let info = env.file_info(file)?;
    let block_size = block_size.unwrap_or(info.block_size);
    let least = if info.is_device { info.alignment.max(info.block_size) } else { info.alignment };
    if !block_size.is_multiple_of(least.max(1)) {
        return Err(FileError::Alignment { block_size, alignment: least });
    }
    Ok((Geometry::new(block_size, info.len / u64::from(block_size.max(1)))?, info))
}

impl BlockDevice for File {
    fn info(&self) -> Info {
        self.requests.borrow().info()
    }

    fn open(&self) -> Box<dyn Channel> {
        let key = self.requests.borrow_mut().add_channel();
        Box::new(FileChannel { requests: self.requests.clone(), key })
    }

    fn extent(&self, env: &mut dyn Env, lba: u64) -> Extent {
        self.requests.borrow().extent(env, lba)
    }

    fn handle_event(&self, env: &mut dyn Env, event: &Event) {
        if let (true, What::FileDone { tag, result }) = (event.owner == self.owner, event.what) {
            self.requests.borrow_mut().handle_done(env, Key::from_u64(tag), result);
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.requests.borrow().deadline()
    }

    fn handle_timeout(&self, env: &mut dyn Env) {
        self.requests.borrow_mut().handle_timeout(env);
    }

    /// Makes a regular file longer. Refuses to make it shorter: that would destroy data no request names.
    fn resize(&self, env: &mut dyn Env, blocks: u64) -> Result<(), Status> {
        self.requests.borrow_mut().grow(env, blocks)
    }

    fn close(&self, env: &mut dyn Env) {
        self.requests.borrow_mut().close(env);
    }
}

#[derive(Debug)]
struct FileChannel {
    requests: Rc<RefCell<Requests>>,
    key: Key,
}

impl Channel for FileChannel {
    fn submit(&mut self, env: &mut dyn Env, io: Io) -> Result<(), Refused> {
        let mut requests = self.requests.borrow_mut();
        if requests.under_way(self.key) >= UNDER_WAY_MAX {
            return Err(Refused(io));
        }
        requests.submit(env, self.key, io);
        Ok(())
    }

    fn withdraw(&mut self, tag: u64) -> bool {
        self.requests.borrow_mut().withdraw(self.key, tag)
    }

    fn poll(&mut self, _: &mut dyn Env, done: &mut Vec<Done>) {
        self.requests.borrow_mut().poll(self.key, done);
    }
}

impl Drop for FileChannel {
    fn drop(&mut self) {
        self.requests.borrow_mut().remove_channel(self.key);
    }
}
