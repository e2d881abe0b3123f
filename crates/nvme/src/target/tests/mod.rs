//! Commands through a [`Target`](super::Target), as a transport brings them.

mod connect;
mod controller;
mod discovery;
mod events;
mod fused;
mod identify;
mod io;
mod reservation;
mod settings;
mod slow;
mod world;
