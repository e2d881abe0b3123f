//! RDMA between machines of ours: two to five devices, and queue pairs of all services between them, brought together by hand
//! or by the connection manager, over a network of IPv4 or IPv6 that loses, doubles, delays and damages, or, as processes of one
//! machine, through shared memory. Machines lose their power, and come back with a new device for the memory they had.
//!
//! - [`plan`]: what a run is about. [`play`]: its acts.
//! - [`machine`]: a device, and what every byte of its memory should be.
//! - [`link`]: two queue pairs and their lives: how they come up, and how they end. [`side`]: one of the two, and what is
//!   under way there. [`requests`]: what is asked for, right and wrong. [`outcomes`]: what may become of it.
//! - [`atomics`]: whether there is one order of all that changed the same eight bytes.
//!
//! What is held against the devices: what is posted completes once and in order; what is told to be done is done, to the
//! byte; no other byte changes; a connection breaks only with a reason; and in a world without faults none does.

mod atomics;
mod link;
mod machine;
mod outcomes;
mod plan;
mod play;
mod requests;
mod side;

pub(super) use play::Play;

use super::run::Outcome;

/// Whether all was right so far.
type Check = Result<(), Outcome>;

/// What cannot be.
const fn wrong(what: String) -> Outcome {
    Outcome::Unsafe(what)
}
