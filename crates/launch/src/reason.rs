//! Why a connection stays on TCP.

/// Why a connection stays on TCP, or went back to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Reason {
    /// None yet: it may still be carried, or is.
    None = 0,
    /// The policy says so.
    Policy = 1,
    /// The peer is on another machine, or in another network namespace.
    Elsewhere = 2,
    /// Nobody who listens there runs under Weft.
    Listener = 3,
    /// The peer does not run under Weft.
    Peer = 4,
    /// Who would carry the connection is not the user who holds the peer's socket.
    Identity = 5,
    /// No room for descriptors or connections.
    Room = 6,
    /// It became a standard stream, or one of the C library's, whose reads and writes cannot be seen.
    Stream = 7,
    /// The program uses io_uring, or an option that only TCP has.
    Option = 8,
    /// It was watched by an epoll set in a way that cannot be carried.
    Watched = 9,
    /// It was given to another process.
    Shared = 10,
    /// The system does not tell what is needed to change over.
    System = 11,
    /// The peer is on another machine, and no relay of the user's is there.
    Relay = 12,
}

impl Reason {
    /// All of them, in order of their numbers.
    pub const ALL: [Reason; 13] = [
        Reason::None,
        Reason::Policy,
        Reason::Elsewhere,
        Reason::Listener,
        Reason::Peer,
        Reason::Identity,
        Reason::Room,
        Reason::Stream,
        Reason::Option,
        Reason::Watched,
        Reason::Shared,
        Reason::System,
        Reason::Relay,
    ];

    /// What a page holds, as a reason; a number that nobody gave is none.
    pub fn from_number(number: u32) -> Reason {
        Self::ALL.get(number as usize).copied().unwrap_or(Reason::None)
    }

    /// For people.
    pub const fn describe(self) -> &'static str {
        match self {
            Reason::None => "",
            Reason::Policy => "the policy says TCP",
            Reason::Elsewhere => "the peer is on another machine",
            Reason::Listener => "the listener does not run under weft",
            Reason::Peer => "the peer does not run under weft",
            Reason::Identity => "the peer is another user than its socket's",
            Reason::Room => "no room for more descriptors",
            Reason::Stream => "used as a standard stream",
            Reason::Option => "an option that only TCP has",
            Reason::Watched => "watched in a way that cannot be carried",
            Reason::Shared => "given to another process",
            Reason::System => "the system does not tell enough",
            Reason::Relay => "no relay runs here that would reach the peer's machine",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_number_and_its_words() {
        for (number, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, number);
            assert_eq!(Reason::from_number(number as u32), reason);
            assert_eq!(reason.describe().is_empty(), reason == Reason::None);
        }
        assert_eq!(Reason::from_number(u32::MAX), Reason::None);
    }
}
