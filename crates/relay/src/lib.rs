//! What carries connections of `weft run` to programs on other hosts: over the Sockets Direct Protocol, on soft RoCE.
//!
//! ```text
//!   program === memory === relay ------- SDP ------- relay === memory === program
//!      \                                                                   /
//!       `------------------------------ TCP ------------------------------'
//! ```
//!
//! To a program a relay is what its peer would be if it were on the same machine: the other end of a piece of memory, and of a bell.
//! So all that holds between two programs on one machine holds here: each direction leaves TCP at a place that its sender names,
//! and may come back. What one program says in its memory the relays say to each other ([`frame`]), and the other relay
//! says it in the memory that it shares with the other program ([`mirror`]). Bytes are taken back from a program's memory only
//! when the program at the other end has read them, so that who gives a connection away, or dies, leaves what it would leave here.
//!
//! Who finds whom ([`relay`]): a client whose policy says so claims its end of a TCP connection, and its relay connects to the
//! relay at the peer's address, if there is one; a server claims its own. Nobody waits for that: until both have met, bytes go by
//! TCP, and where they do not meet, for ever. A host that did not answer is not asked again for a while.
//!
//! Trust ([`greeting`]): RoCE's packets come from anybody. So both relays prove to each other that they have the same key, and with
//! that proof they name the TCP connection; a relay believes a program only if it is its own user, and brings together
//! two programs only if both claimed that very connection. What goes over the network is as open as TCP's bytes are.
//!
//! It is not: a proxy. The TCP connection stays between the programs, and its end is theirs to see.
//!
//! Invariants: a relay never waits for one connection while another could move; each connection has at most a window of bytes
//! under way, which the other relay has room for, so that what is said of one direction never waits for the other; whatever a peer
//! or a program says, only its own connection suffers.

#![forbid(unsafe_code)]

mod channel;
mod claims;
mod frame;
mod greeting;
mod key;
mod mirror;
mod relay;
mod session;

pub use key::{Key, KeyError};
pub use relay::{Options, Relay, StartError};
