//! The target from outside: commands in, outcomes out.

mod basics;
mod copy;
mod maintenance;
mod primary;
mod reservation;
mod world;
