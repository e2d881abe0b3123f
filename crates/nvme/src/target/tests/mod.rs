//! Commands through a [`Target`](super::Target), as a transport brings them.

mod connect;
mod controller;
mod fused;
mod io;
mod reservation;
mod slow;
mod world;
