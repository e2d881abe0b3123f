//! The relay's end of what `weft run` loads into programs: Unix sockets by which both wake each other, and a way to sleep on many.

use crate::carried::CarriedMemory;
use crate::link;
use crate::poller::{Interest, Poller};
use carrier::MAGIC;
use core::time::Duration;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use stdx::env::{IoError, LinkName, LinkPeer};

/// Where programs come to.
#[derive(Debug)]
pub struct BellListener(OwnedFd);

/// A socket of messages to a program.
#[derive(Debug)]
pub struct Bell(OwnedFd);

/// What a bell said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard {
    /// Nothing.
    Nothing,
    /// A message of so many bytes.
    Message(usize),
    /// The program closed it.
    End,
}

impl BellListener {
    /// Listens under a name.
    ///
    /// # Errors
    /// When somebody else does, or the system lacks something.
    pub fn listen(name: &str) -> Result<Self, IoError> {
        link::listen(&LinkName::new(name)).map(Self)
    }

    /// The next who came.
    ///
    /// # Errors
    /// [`IoError::WouldBlock`] if there is nobody, or what the system says.
    pub fn accept(&self) -> Result<Bell, IoError> {
        link::accept(self.0.as_raw_fd()).map(Bell)
    }
}

impl Bell {
    /// Goes to who listens under a name.
    ///
    /// # Errors
    /// When nobody does.
    pub fn connect(name: &str) -> Result<Self, IoError> {
        link::connect(&LinkName::new(name)).map(Self)
    }

    /// Who is at the other end.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn peer(&self) -> Result<LinkPeer, IoError> {
        link::peer(&self.0)
    }

    /// Says something; false if the bell is full of what was not heard yet. Whether somebody is still there is told by
    /// [`Bell::hear`].
    pub fn say(&self, bytes: &[u8]) -> bool {
        link::send(&self.0, bytes, None) != Err(IoError::WouldBlock)
    }

    /// Gives the memory.
    ///
    /// # Errors
    /// When nobody is there.
    pub fn give(&self, memory: &CarriedMemory) -> Result<(), IoError> {
        link::send(&self.0, &MAGIC, Some(memory.descriptor()))
    }

    /// Hears the next message. Descriptors that come with it are closed.
    pub fn hear(&self, into: &mut [u8]) -> Heard {
        match link::recv(&self.0, into) {
            Ok((0, _)) => Heard::End,
            Ok((len, _)) => Heard::Message(len),
            Err(IoError::WouldBlock) => Heard::Nothing,
            Err(_) => Heard::End,
        }
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsFd for BellListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Descriptors of which any that can be read ends a wait.
#[derive(Debug)]
pub struct Watch(Poller);

impl Watch {
    /// Of none.
    ///
    /// # Errors
    /// When the system gives no descriptor.
    pub fn new() -> Result<Self, IoError> {
        Poller::new().map(Self)
    }

    /// One more. It is watched until it is closed.
    ///
    /// # Errors
    /// When the system lacks memory for it.
    pub fn add(&self, descriptor: &impl AsFd) -> Result<(), IoError> {
        self.0.add(descriptor.as_fd().as_raw_fd(), 0, Interest::Level)
    }

    /// Waits until one can be read, a signal has come, or the time is over (`None`: for ever).
    pub fn wait(&mut self, timeout: Option<Duration>) {
        self.0.wait(timeout);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard_and_ends() {
        let name = format!("weft/test/bell/{}", std::process::id());
        let listener = BellListener::listen(&name).expect("nobody has the name");
        assert!(BellListener::listen(&name).is_err(), "it is taken");
        let here = Bell::connect(&name).expect("somebody listens");
        let there = listener.accept().expect("somebody came");
        assert_eq!(there.peer().map(|peer| peer.user == peer.our_user), Ok(true));
        let mut bytes = [0; 9];
        assert_eq!(there.hear(&mut bytes), Heard::Nothing);
        let mut watch = Watch::new().expect("a set");
        watch.add(&there).expect("room");
        assert!(here.say(b"look"));
        watch.wait(None);
        assert_eq!((there.hear(&mut bytes), &bytes[..4]), (Heard::Message(4), &b"look"[..]));
        drop(here);
        watch.wait(None);
        assert_eq!(there.hear(&mut bytes), Heard::End);
    }
}
