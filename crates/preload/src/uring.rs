//! Programs that use io_uring: what the kernel does for them is not seen here, so from then on all they have stays on TCP.

use crate::connection::Connection;
use crate::descriptors;
use launch::Reason;
use std::sync::atomic::{AtomicBool, Ordering};

static IS_USED: AtomicBool = AtomicBool::new(false);

/// Does this program use it?
pub fn is_used() -> bool {
    IS_USED.load(Ordering::Relaxed)
}

/// It is about to.
pub fn begins() {
    if !IS_USED.swap(true, Ordering::Relaxed) {
        let mut fd = 0;
        while let Some(found) = descriptors::next_of_ours(fd, i32::MAX) {
            fd = found + 1;
            if let Some(connection) = Connection::of(found) {
                connection.leave_alone(found, Reason::Option);
            }
        }
    }
}
