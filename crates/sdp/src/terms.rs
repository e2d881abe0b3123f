//! What two ends agree on while they connect (A4.3.2).

use crate::Options;
use core::net::SocketAddr;
use thiserror::Error;
use wire::sdp::{BASE_LEN, Base, Capabilities, Flags, HELLO_ACK_LEN, HELLO_LEN, MessageId};
use wire::sdp::{Hello, HelloAck, Version};

/// What was agreed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terms {
    /// Receives that the peer has posted.
    pub credits: u16,
    /// Bytes of each, with the header.
    pub message_len: u32,
    /// Adverts of both kinds that the peer takes at once.
    pub adverts_max: u32,
}

/// A peer that no connection can be made with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum TermsError {
    /// It speaks another protocol.
    #[error("the peer speaks version {}.{} of the Sockets Direct Protocol, which is not known", .0.major, .0.minor)]
    Version(Version),
    /// Its messages hold nothing.
    #[error("the peer's receives of {0} bytes hold no byte of the stream")]
    ReceiveTooShort(u32),
}

impl Terms {
    /// The greeting of the end that connects.
    pub fn hello(options: &Options, from: SocketAddr, to: SocketAddr) -> Hello {
        Hello {
            base: base(MessageId::Hello, HELLO_LEN, options.receives),
            version: Version::CURRENT,
            capabilities: Capabilities(0),
            adverts_max: options.adverts_max.min(u8::MAX.into()),
            desired_remote_buffer: options.desired_remote_len,
            local_buffer: options.receive_len,
            port: from.port(),
            source: from.ip(),
            destination: to.ip(),
        }
    }

    /// The answer of the end that accepts.
    pub fn hello_ack(options: &Options, hello: &Hello) -> HelloAck {
        HelloAck {
            base: base(MessageId::HelloAck, HELLO_ACK_LEN, options.receives),
            // The oldest stacks take no other version than their own.
            version: hello.version.min(Version::CURRENT),
            capabilities: Capabilities(0),
            adverts_max: options.adverts_max.min(u8::MAX.into()) as u8,
            buffer: options.receive_len,
        }
    }

    /// What a greeting says.
    ///
    /// # Errors
    /// When no connection can be made with the peer.
    pub fn of_hello(hello: &Hello) -> Result<Self, TermsError> {
        Self::new(hello.version, hello.base.buffers, hello.local_buffer, hello.adverts_max)
    }

    /// What the answer to a greeting says.
    ///
    /// # Errors
    /// When no connection can be made with the peer.
    pub fn of_hello_ack(ack: &HelloAck) -> Result<Self, TermsError> {
        Self::new(ack.version, ack.base.buffers, ack.buffer, ack.adverts_max.into())
    }

    fn new(version: Version, credits: u16, receive_len: u32, adverts_max: u16) -> Result<Self, TermsError> {
        if version.major > Version::CURRENT.major || version < Version::FIRST {
            return Err(TermsError::Version(version));
        }
        if receive_len <= SHORTEST_RECEIVE {
            return Err(TermsError::ReceiveTooShort(receive_len));
        }
        Ok(Self { credits, message_len: receive_len, adverts_max: adverts_max.max(1).into() })
    }

    /// Whether the peer has a use for pipelined mode. OFED's stacks take one advert, and reset a connection whose mode is
    /// changed.
    pub const fn is_pipelined_known(&self) -> bool {
        self.adverts_max > 1
    }
}

const fn base(id: MessageId, len: usize, receives: u16) -> Base {
    Base { id, flags: Flags(0), buffers: receives, len: len as u32, sequence: 0, acknowledged: 0 }
}

/// The longest header of a message: an advert's with two numbers more.
const SHORTEST_RECEIVE: u32 = BASE_LEN as u32 + 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        let address = |port| SocketAddr::from(([10, 0, 0, 1], port));
        Terms::hello(&Options::default(), address(40_000), address(80))
    }

    #[test]
    fn both_ends_learn_the_same() {
        let options = Options::default();
        let asked = Hello::decode(&hello().encode()).expect("a greeting");
        let answer = HelloAck::decode(&Terms::hello_ack(&options, &asked).encode()).expect("an answer");
        let expected = Terms { credits: 64, message_len: 32 << 10, adverts_max: 8 };
        assert_eq!(Terms::of_hello(&asked), Ok(expected));
        assert_eq!(Terms::of_hello_ack(&answer), Ok(expected));
        assert!(expected.is_pipelined_known());
    }

    #[test]
    fn the_oldest_stacks_are_answered_in_their_version() {
        let asked = Hello { version: Version::FIRST, adverts_max: 1, ..hello() };
        assert_eq!(Terms::hello_ack(&Options::default(), &asked).version, Version::FIRST);
        assert!(!Terms::of_hello(&asked).expect("terms").is_pipelined_known());
    }

    #[test]
    fn a_later_minor_version_is_answered_in_ours() {
        let asked = Hello { version: Version { minor: 3, ..Version::CURRENT }, ..hello() };
        assert!(Terms::of_hello(&asked).is_ok());
        assert_eq!(Terms::hello_ack(&Options::default(), &asked).version, Version::CURRENT);
    }

    #[test]
    fn peers_that_cannot_be_spoken_with_are_refused() {
        let later = Version { major: 3, minor: 0 };
        let asked = Hello { version: later, ..hello() };
        assert_eq!(Terms::of_hello(&asked), Err(TermsError::Version(later)));
        let asked = Hello { local_buffer: 36, ..hello() };
        assert_eq!(Terms::of_hello(&asked), Err(TermsError::ReceiveTooShort(36)));
    }
}
