//! NVMe/TCP as a host speaks it (TCP Transport 1.0): one [`QueuePair`] is one stream.

mod queue;

pub use queue::{Completed, Data, ENTRIES_MAX, Parameters, QueueEnd, QueueMemory, QueuePair, Refused, State};
