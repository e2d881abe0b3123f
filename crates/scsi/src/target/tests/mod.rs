//! The target from outside: commands in, outcomes out.

mod basics;
mod copy;
mod disk;
mod latency;
mod maintenance;
mod primary;
mod reservation;
mod tasks;
mod world;
