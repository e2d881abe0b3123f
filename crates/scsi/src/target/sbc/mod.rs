//! The commands of direct access block devices (SBC-3): each file has its commands' rows and handlers.
//!
//! A handler checks what the row could not, and gives the volume its first request together with the [`Work`] that
//! follows; [`resume`] carries on from the volume's answers. A task has one request at a volume at a time.

pub(super) mod capacity;
mod range;
pub(super) mod ready;
mod status;
pub(super) mod transfer;
mod work;

pub(super) use work::{Work, resume};
