//! Programs that use io_uring: what the kernel does for them is not seen here, so from then on all they have stays on TCP.

use crate::connection::Connection;
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
        for (fd, connection) in Connection::by_descriptor() {
            connection.leave_alone(fd, Reason::Option);
        }
    }
}
