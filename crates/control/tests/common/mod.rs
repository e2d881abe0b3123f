//! A shard on a thread of its own, for the length of a test.

pub mod fixture;
pub mod instance;

use std::sync::mpsc;
use std::thread::JoinHandle;

use control::methods::State;
use engine::{Handle, Limits, Shard};
use reactor::{Options, Reactor};

/// A turning shard. It is drained when dropped, and its sockets are closed then.
pub struct Running {
    /// The way to it.
    pub handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts a shard with nothing on it, whose volumes `state` hears of.
    pub fn start(state: &State) -> Self {
        let (sender, receiver) = mpsc::channel();
        let observe = state.observer();
        let thread = std::thread::spawn(move || {
            let mut env = Reactor::new(Options::default()).expect("a reactor");
            let mut shard = Shard::new(&mut env, Limits::default()).expect("a shard");
            shard.observe(observe);
            sender.send(shard.handle()).expect("the test waits");
            while !shard.is_drained() {
                shard.turn(&mut env);
            }
        });
        Self { handle: receiver.recv().expect("the shard starts"), thread: Some(thread) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.handle.call(Box::new(|shard, env| shard.drain(env)));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
