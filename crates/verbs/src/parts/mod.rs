//! What every provider needs and none should write again: tables of objects, rules of posting, rights of memory.
//!
//! [`Registry`] keeps all objects and obeys every command that moves no data; a provider adds to each queue pair what its own
//! engine needs (`E`), and moves the data.

mod agents;
mod completions;
mod gather;
mod groups;
mod queue_pair;
mod queues;
mod regions;
mod registry;
mod ring;

pub use agents::{Agents, NotTaken};
pub use completions::CompletionQueues;
pub use gather::{change_atomically, copy_in, copy_out, move_bytes};
pub use groups::Groups;
pub use queue_pair::{QueuePair, Sending};
pub use queues::{Flags, Receive, ReceiveRing, Send, Shared, Task};
pub use regions::{Denied, Regions};
pub use registry::Registry;
pub use ring::Ring;
