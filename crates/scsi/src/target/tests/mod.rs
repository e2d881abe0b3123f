//! The target from outside: commands in, outcomes out.

mod basics;
mod primary;
mod reservation;
mod world;
