//! SCSI as bytes: what SAM-5, SPC-4 and SBC-3 lay out, whichever transport carries it. Everything is big-endian.

mod cdb;
pub mod copy;
pub mod inquiry;
mod lun;
pub mod mode;
pub mod report;
pub mod reservation;
mod sense;
mod status;
mod transport_id;

pub use cdb::Cdb;
pub use lun::Lun;
pub use sense::{Sense, SenseKey, Specific};
pub use status::Status;
pub use transport_id::{TransportId, TransportIdError};
