//! The flow control modes of one direction, and the changes between them (A4.5).
//!
//! ```text
//!              the source says             the source says
//!   Buffered <---------------- Combined ------------------> Pipelined
//!            ---------------->          <------------------
//!              the sink says               the source says
//! ```
//!
//! Each direction begins in combined mode. Buffered allows no advert; combined one source advert at a time, which carries
//! the first of its bytes; pipelined several of them, which carry none, and sink adverts.

use wire::sdp::Mode;

/// Who asks for a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asker {
    /// The end that sends the direction's bytes.
    Source,
    /// The end that receives them.
    Sink,
}

/// Whether an end may change a direction's mode so. A change to what is the case already is none.
pub(super) const fn is_legal(asker: Asker, from: Mode, to: Mode) -> bool {
    match asker {
        Asker::Source => matches!(
            (from, to),
            (Mode::Combined, Mode::Buffered | Mode::Pipelined) | (Mode::Pipelined, Mode::Combined)
        ),
        Asker::Sink => matches!((from, to), (Mode::Buffered, Mode::Combined)),
    }
}
