//! A message as packets: how many there are, and what each is called (9.7.1, 9.4).

use verbs::Transport;
use verbs::parts::{Send, Task};
use wire::roce::{Extension, Opcode, Position, Reth};

/// Packets of a message of `len` bytes: one even if there are no bytes.
pub(crate) const fn packets(len: u32, mtu: u32) -> u32 {
    if len == 0 { 1 } else { len.div_ceil(mtu) }
}

/// The place of packet `index` among `count`.
pub(crate) const fn position(index: u32, count: u32) -> Position {
    match (index, index + 1 == count) {
        (0, true) => Position::Only,
        (0, false) => Position::First,
        (_, true) => Position::Last,
        (_, false) => Position::Middle,
    }
}

/// Opcode and headers of a packet of a send or write.
pub(crate) fn request(
    transport: Transport,
    send: &Send,
    position: Position,
    len: u32,
) -> (Opcode, Extension) {
    let (rc, uc, extension) = match send.task {
        Task::Write(to) | Task::WriteImmediate(to, _) => {
            let reth = Reth { address: to.address, key: to.key.0, len };
            let immediate =
                if let Task::WriteImmediate(_, immediate) = send.task { Some(immediate) } else { None };
            write(position, reth, immediate)
        }
        Task::SendImmediate(immediate) => with_immediate(position, immediate),
        Task::SendInvalidate(key) => with_invalidate(position, key.0),
        _ => plain(position),
    };
    (if transport == Transport::UnreliableConnection { uc } else { rc }, extension)
}

fn plain(position: Position) -> (Opcode, Opcode, Extension) {
    let (rc, uc) = match position {
        Position::First => (Opcode::RcSendFirst, Opcode::UcSendFirst),
        Position::Middle => (Opcode::RcSendMiddle, Opcode::UcSendMiddle),
        Position::Last => (Opcode::RcSendLast, Opcode::UcSendLast),
        Position::Only => (Opcode::RcSendOnly, Opcode::UcSendOnly),
    };
    (rc, uc, Extension::Plain)
}

fn with_immediate(position: Position, immediate: u32) -> (Opcode, Opcode, Extension) {
    let (rc, uc) = match position {
        Position::First | Position::Middle => return plain(position),
        Position::Last => (Opcode::RcSendLastImmediate, Opcode::UcSendLastImmediate),
        Position::Only => (Opcode::RcSendOnlyImmediate, Opcode::UcSendOnlyImmediate),
    };
    (rc, uc, Extension::Immediate(immediate))
}

/// Unreliable connections have no such packet, and take no such work.
fn with_invalidate(position: Position, key: u32) -> (Opcode, Opcode, Extension) {
    let (rc, uc) = match position {
        Position::First | Position::Middle => return plain(position),
        Position::Last => (Opcode::RcSendLastInvalidate, Opcode::UcSendLast),
        Position::Only => (Opcode::RcSendOnlyInvalidate, Opcode::UcSendOnly),
    };
    (rc, uc, Extension::Invalidate(key))
}

fn write(position: Position, reth: Reth, immediate: Option<u32>) -> (Opcode, Opcode, Extension) {
    match (position, immediate) {
        (Position::First, _) => (Opcode::RcWriteFirst, Opcode::UcWriteFirst, Extension::Remote(reth)),
        (Position::Middle, _) => (Opcode::RcWriteMiddle, Opcode::UcWriteMiddle, Extension::Plain),
        (Position::Last, None) => (Opcode::RcWriteLast, Opcode::UcWriteLast, Extension::Plain),
        (Position::Last, Some(immediate)) => {
            (Opcode::RcWriteLastImmediate, Opcode::UcWriteLastImmediate, Extension::Immediate(immediate))
        }
        (Position::Only, None) => (Opcode::RcWriteOnly, Opcode::UcWriteOnly, Extension::Remote(reth)),
        (Position::Only, Some(immediate)) => (
            Opcode::RcWriteOnlyImmediate,
            Opcode::UcWriteOnlyImmediate,
            Extension::RemoteImmediate(reth, immediate),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_at_the_path_mtu() {
        assert_eq!([0, 1, 1024, 1025, 4096].map(|len| packets(len, 1024)), [1, 1, 1, 2, 4]);
        assert_eq!(packets(u32::MAX, 256), 1 << 24);
        let places = [0, 1, 2].map(|index| position(index, 3));
        assert_eq!(places, [Position::First, Position::Middle, Position::Last]);
        assert_eq!(position(0, 1), Position::Only);
    }
}
