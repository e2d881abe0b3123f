//! Commands through a [`Target`] over RAM volumes, as a transport brings them.

mod world;

mod connect;
