//! The controller side of NVMe over Fabrics, whatever the transport (Base 2.0, NVM Command Set 1.0).

mod executor;
mod options;
mod portal;
mod seam;
pub mod tcp;

pub use executor::Executor;
pub use options::Options;
pub use portal::{AnaState, Arrival, Portal, Transport};
pub use seam::{Connected, QueueKey, Refusal, Request, Response, Transfer};
