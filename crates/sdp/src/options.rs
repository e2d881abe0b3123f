//! What a connection is made with.

use core::time::Duration;

/// What a connection is made with; the default suits a peer that speaks all of the protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Receives that are posted: at least [`Options::RECEIVES_MIN`].
    pub receives: u16,
    /// Bytes of each, with the header.
    pub receive_len: u32,
    /// Bytes that each has room for, if that is more: a peer that asks for longer ones gets them up to this.
    pub receive_len_max: u32,
    /// Bytes that we would like the peer's to have, and those of our longest message. A peer whose receives are shorter is asked for
    /// these once a message has filled one.
    pub desired_remote_len: u32,
    /// Adverts of both kinds that we take at once: at least one. Whoever takes one alone has no use for pipelined mode.
    pub adverts_max: u16,
    /// A message that could hold more is sent though another one is on its way.
    pub no_delay: bool,
    /// How long the peer may leave an advert unread; then its bytes go in messages.
    pub advert_timeout: Duration,
    /// How long it may take to let go of one; then the connection ends.
    pub cancel_timeout: Duration,
    /// How long the peer may take to end a connection that both closed; then we do.
    pub close_timeout: Duration,
    /// How long the peer may go on once our half is closed and we read no more, and how long it may be silent while something is to be sent before
    /// that; then we end the connection.
    pub leave_timeout: Duration,
    /// How long nothing may come before we look whether the peer is there; `None` is for ever.
    pub keep_alive: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            receives: 64,
            receive_len: 32 << 10,
            receive_len_max: 0,
            desired_remote_len: 32 << 10,
            adverts_max: 8,
            no_delay: false,
            advert_timeout: Duration::from_secs(1),
            cancel_timeout: Duration::from_secs(60),
            close_timeout: Duration::from_secs(10),
            leave_timeout: Duration::from_secs(60),
            keep_alive: None,
        }
    }
}

impl Options {
    /// With three the peer could send one message of bytes (A4.4.2), and each message that only tells of credits would have
    /// to be answered by one.
    pub const RECEIVES_MIN: u16 = 4;
}
