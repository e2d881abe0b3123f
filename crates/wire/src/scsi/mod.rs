//! SCSI as bytes: what SAM-5, SPC-4 and SBC-3 lay out, whichever transport carries it. Everything is big-endian.

mod cdb;
mod lun;
mod sense;
mod status;

pub use cdb::Cdb;
pub use lun::Lun;
pub use sense::{Sense, SenseKey};
pub use status::Status;
