//! The RDMA contract: what programs ask of a provider, and what they may rely on.
//!
//! What it is not: it sees no packet and knows no network.

#![forbid(unsafe_code)]
