//! The NVM command set: I/O commands over volumes (NVM 1.0), and reservations (Base 8.19).
//!
//! What it is: for each command, which data it moves ([`transfer`]), whether this host may do it now ([`access`]), and its
//! execution as one or more requests to the namespace's channel ([`execute`], [`complete`]), or at once ([`immediate`]).
//!
//! Invariant: a command is checked when it arrives, before any byte moves, and again when its data is there, because the
//! namespace may have changed in between.

mod access;
mod complete;
mod execute;
pub(super) mod fused;
mod immediate;
pub(super) mod ranges;
pub(super) mod reservation;
mod transfer;
