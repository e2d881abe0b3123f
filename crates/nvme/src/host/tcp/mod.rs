//! NVMe/TCP as a host speaks it (TCP Transport 1.0): one [`QueuePair`] is one stream.

mod queue;

pub use queue::{Parameters, QueueEnd, QueueMemory, QueuePair, State};
