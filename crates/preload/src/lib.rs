//! What `weft run` loads into a program: its TCP connections go past TCP where both ends can.
//!
//! The library stands before the C library's calls on sockets ([`hooks`]). Each TCP socket stays what it is, a socket of the
//! kernel's, with its addresses, its place in `ss`, its rules and its end. What changes is how its bytes go: two programs
//! under Weft on one machine meet over a Unix socket, and send the stream's bytes through it from some place on
//! ([`connection`] says how, and how they come back). Whoever runs alone, or talks to another machine, has TCP.
//!
//! It is not: a network stack. It knows no port that the kernel does not, and lets nobody in whom the kernel would not: a
//! carrier's other end must be the user who holds the TCP socket there ([`identity`]).
//!
//! Invariants: a call on a descriptor that is not ours costs one load more. What the kernel did is never undone, and nothing
//! is done before it. `errno` is what the program's own call made it. There is no thread, no signal, nothing written to the
//! program's output, and no lock held while anything is waited for.
//!
//! A peer on another host is met by way of a relay of the same user ([`relay`]), which is to [`connection`] what a peer here is.

mod address;
mod connection;
mod copy;
mod descriptors;
mod errno;
mod hooks;
mod identity;
mod lock;
mod memory;
mod name;
mod next;
mod option;
mod pace;
mod position;
mod private;
mod process;
mod relay;
mod rendezvous;
mod rows;
mod shared;
mod uring;
mod watch;

/// Run by the dynamic linker, before the program's own code.
#[cfg_attr(test, allow(dead_code, reason = "tests are no programs of ours"))]
extern "C" fn begin() {
    errno::kept(|| {
        // A panic of ours would be told on the program's standard error.
        std::panic::set_hook(Box::new(|_| {}));
        next::look_up();
        process::begin();
    });
}

#[cfg(not(test))]
#[used]
// SAFETY: the section holds functions of this signature.
#[unsafe(link_section = ".init_array")]
static BEGIN: extern "C" fn() = begin;

/// Run when the process ends by itself.
#[cfg_attr(test, allow(dead_code, reason = "tests are no programs of ours"))]
extern "C" fn end() {
    errno::kept(|| {
        process::end();
        rows::remove();
    });
}

#[cfg(not(test))]
#[used]
// SAFETY: the section holds functions of this signature.
#[unsafe(link_section = ".fini_array")]
static END: extern "C" fn() = end;
