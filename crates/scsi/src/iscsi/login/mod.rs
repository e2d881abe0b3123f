//! The way into a session, for both ends (RFC 7143, sections 6, 12 and 13): text, negotiation, authentication, stages.
//!
//! A login is a conversation of requests and responses, each with a [`Turn`] (stage, wish to go on, more to come) and text.
//! [`TargetLogin`] makes one response of each request, [`InitiatorLogin`] one request of each response, until both are in
//! the full feature phase. Text that does not fit one PDU is cut and put together here.
//!
//! What it is not: it knows no PDU beyond that, no stream, no session table. Who may log in where is the owner's to say: it
//! is asked once, when the initiator has told who it is.
//!
//! Invariants: each key is negotiated at most once; a target with credentials that demands CHAP lets nobody pass without;
//! text, pairs and turns have limits; a secret can be compared and hashed, but not printed.

pub mod chap;
mod initiator;
mod keys;
mod limits;
mod negotiation;
mod parts;
mod refusal;
mod secret;
mod target;
mod text;
mod turn;
mod value;

pub use initiator::{InitiatorIdentity, InitiatorLogin, LoginError, Step};
pub use keys::{Key, Rule, SessionType, Usage};
pub use limits::{DigestPolicy, Limits, Parameters, RdmaLimits, TaskReporting};
pub use negotiation::{Negotiation, NegotiationError};
pub use parts::{Gathering, Outgoing};
pub use refusal::Refusal;
pub use secret::Secret;
pub use target::{Admission, Admit, Authentication, Identity, TargetLogin};
pub use text::{Pair, Text, TextError, pairs};
pub use turn::Turn;
pub use value::{Binary, number_of};

/// Gives 64 bits that no peer can guess: challenges are made of them.
pub type Entropy<'a> = dyn FnMut() -> u64 + 'a;

#[cfg(test)]
mod tests;
