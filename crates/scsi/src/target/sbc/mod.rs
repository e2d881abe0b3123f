//! The commands of direct access block devices (SBC-3): each file has its commands' rows and handlers.
//!
//! A handler checks what the row could not, and gives the volume its first request together with the [`Work`] that
//! follows; [`resume`] carries on from the volume's answers. A task has one request at a volume at a time.

pub(super) mod allocation;
pub(super) mod atomic;
pub(super) mod cache;
pub(super) mod capacity;
pub(super) mod defects;
pub(super) mod exchange;
pub(super) mod format;
mod range;
pub(super) mod ready;
mod run;
pub(super) mod sanitize;
pub(super) mod start_stop;
mod status;
mod tail;
pub(super) mod transfer;
pub(super) mod unmap;
pub(super) mod verify;
mod work;
pub(super) mod write_same;

pub(super) use range::force_unit_access;
pub(super) use transfer::plain_range;
pub(super) use work::{Work, after_rest, resume};
