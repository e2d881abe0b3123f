//! Who we are loaded into, and what the policy says of it.

use launch::{Policy, Role, Use, environment};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::OnceLock;

static PROGRAM: OnceLock<String> = OnceLock::new();
static POLICY: OnceLock<Policy> = OnceLock::new();

/// Finds both out while there is one thread: in one that another forks from, a child would find them half made for ever.
pub fn begin() {
    program();
    policy_of_run();
}

/// The name by which the program was called, without its directory: a link's own, where it is one.
pub fn program() -> &'static str {
    PROGRAM.get_or_init(|| {
        let called = std::env::args_os().next().unwrap_or_default();
        Path::new(&called).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    })
}

/// What the policy says of a connection to another host.
pub fn policy_elsewhere(role: Role, place: SocketAddr) -> Use {
    policy_of_run().say_elsewhere(role, program(), place)
}

/// What the policy says of a connection on this machine.
pub fn policy(role: Role, place: SocketAddr) -> Use {
    policy_of_run().say(role, program(), place)
}

/// One that cannot be read would have been refused by `weft run`: all stays on TCP.
fn policy_of_run() -> &'static Policy {
    POLICY.get_or_init(|| {
        let text = std::env::var(environment::POLICY).unwrap_or_default();
        Policy::parse(&text).unwrap_or_else(|_| {
            Policy::parse("use tcp client * *:*\nuse tcp server * *:*").unwrap_or_default()
        })
    })
}
