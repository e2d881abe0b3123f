//! Making a device as its spec says.

use super::lent::Lent;
use super::{FileSpec, Spec, VolumeError, Volumes};
use block::BlockDevice;
use block::device::{Crypt, Delay, Error, File, Geometry, Latencies, Null, Partition, Ram};
use core::time::Duration;
use std::rc::Rc;
use stdx::env::{Env, OpenFile, Owner};

/// A device that can be told things after it was made.
#[derive(Clone, Debug)]
pub enum Kind {
    /// One that cannot.
    Plain,
    /// A file, whose size may change behind our back.
    File(Rc<File>),
    /// Its delays can be changed.
    Delay(Rc<Delay>),
    /// Errors can be asked for.
    Error(Rc<Error>),
    /// It may draw keys to be stored.
    Crypt(Rc<Crypt>),
}

impl Volumes {
    /// Makes the device; events of what it owns go to `owner`.
    pub(super) fn build(
        &self,
        env: &mut dyn Env,
        owner: Owner,
        spec: &Spec,
    ) -> Result<(Rc<dyn BlockDevice>, Kind), VolumeError> {
        Ok(match spec {
            &Spec::Ram { blocks, block_size, physical_block_size } => {
                let geometry = Geometry::new(block_size, blocks)?.with_physical(physical_block_size)?;
                (Rc::new(Ram::new(env, geometry)?), Kind::Plain)
            }
            &Spec::Null { blocks, block_size, physical_block_size } => {
                let geometry = Geometry::new(block_size, blocks)?.with_physical(physical_block_size)?;
                (Rc::new(Null::new(geometry)), Kind::Plain)
            }
            Spec::File(file) => {
                let file = Rc::new(open(env, owner, file)?);
                (Rc::<File>::clone(&file), Kind::File(file))
            }
            &Spec::Delay { ref base, read_us, write_us } => {
                let latencies = latencies(read_us, write_us);
                let delay = Rc::new(Delay::new(self.base(base)?, latencies, env.entropy()));
                (Rc::<Delay>::clone(&delay), Kind::Delay(delay))
            }
            Spec::Error { base } => {
                let error = Rc::new(Error::new(self.base(base)?));
                (Rc::<Error>::clone(&error), Kind::Error(error))
            }
            &Spec::Partition { ref base, offset_blocks, blocks } => {
                (Rc::new(Partition::new(self.base(base)?, offset_blocks, blocks)?), Kind::Plain)
            }
            Spec::Remote { .. } | Spec::Disk { .. } | Spec::SrpDisk { .. } | Spec::Crypt { .. } => {
                return Err(VolumeError::Parameters);
            }
        })
    }

    /// The volume that another is to be built on.
    pub(super) fn base(&self, name: &str) -> Result<Rc<dyn BlockDevice>, VolumeError> {
        let entry = self.get(name).ok_or(VolumeError::Unknown)?;
        Ok(Rc::new(Lent(Rc::<block::Volume>::clone(&entry.volume))))
    }
}

fn open(env: &mut dyn Env, owner: Owner, spec: &FileSpec) -> Result<File, VolumeError> {
    let FileSpec { path, block_size, direct, read_only, create } = spec;
    let open = OpenFile { path: path.clone(), read_only: *read_only, direct: *direct, create: *create };
    Ok(File::open(env, owner, &open, *block_size)?)
}

/// Delays from means and 99th percentiles in microseconds.
pub(super) fn latencies(read_us: (u64, u64), write_us: (u64, u64)) -> Latencies {
    let time = Duration::from_micros;
    Latencies {
        read_average: time(read_us.0),
        read_p99: time(read_us.1),
        write_average: time(write_us.0),
        write_p99: time(write_us.1),
    }
}
