//! Reliable connections (9.7).
//!
//! ```text
//!   our sends -> requester -> requests -> responder -> their receives and memory
//!                    ^                        |
//!              retransmission              respond
//!                    |                        v
//! completions <- completer <- acknowledgements and responses
//! ```
//!
//! - [`requester`]: makes packets of sends, within the window.
//! - [`fetch`]: asks for bytes of the peer's memory.
//! - [`completer`]: takes acknowledgements and responses, and completes sends.
//! - [`retransmission`]: time-outs, and going back to what was lost.
//! - [`round_trip`]: how long an acknowledgement usually takes, and is waited for.
//! - [`narrowing`]: what loss makes of the window.
//! - [`credits`]: how many receives the peer has.
//! - [`rnr`]: waiting for a peer without receives.
//! - [`responder`]: takes requests, and decides what becomes of each.
//! - [`respond`]: sends acknowledgements and responses, in the order of their requests.
//! - [`promptness`]: how soon a message is acknowledged.
//! - [`duplicates`]: what is remembered of reads and atomics, should they come again.

pub(crate) mod completer;
pub(crate) mod credits;
pub(crate) mod duplicates;
pub(crate) mod fetch;
pub(crate) mod message;
pub(crate) mod narrowing;
pub(crate) mod promptness;
pub(crate) mod requester;
pub(crate) mod respond;
pub(crate) mod responder;
pub(crate) mod retransmission;
pub(crate) mod rnr;
pub(crate) mod round_trip;
