//! What is asked for: requests of all kinds, and some that must fail.

use super::atomics::Change;
use super::link::{INLINE, Link, State};
use super::machine::{Machine, SLOT};
use super::side::{AREA, Asked, Drain, Grant, Message, Posted, RECEIVES};
use core::time::Duration;
use stdx::env::Env;
use stdx::mem::Span;
use stdx::prng::Prng;
use verbs::{
    Access, Data, Destination, Key, Provider, ReceiveQueue, ReceiveRequest, Remote, SendRequest, Sge, Status,
    Transition, Transport, Work,
};

/// A request that is put together.
struct Draft<'a> {
    work: Work<'a>,
    list: Vec<Sge>,
    bytes: Vec<u8>,
    what: Asked,
    /// What the peer gets from it.
    message: Option<Message>,
}

/// Has the side at `at` do what it likes. True if it did something.
pub(super) fn act(
    link: &mut Link,
    machines: &mut [Machine],
    at: usize,
    loads: bool,
    calm: bool,
    prng: &mut Prng,
) -> bool {
    if link.state == State::Falling || link.state == State::Down {
        return false;
    }
    let is_reliable = link.plan.service == Transport::ReliableConnection;
    let mut did = post_receives(link, machines, at, calm, prng);
    let side = &mut link.sides[at];
    let machine = &mut machines[side.machine];
    let now = machine.env.now();
    let Some(qp) = side.qp.filter(|_| side.is_up) else { return did };
    match side.drain {
        Drain::No if is_reliable && loads && prng.chance(1, 200) => {
            // It may have failed, and its completions be under way.
            if machine.device.modify_qp(qp, &Transition::Drain).is_ok() {
                side.drain = Drain::Draining;
            }
        }
        Drain::Drained(until) if until <= now => {
            side.drain = Drain::No;
            // Likewise.
            let _ = machine.device.modify_qp(qp, &Transition::Resume);
        }
        Drain::No | Drain::Draining | Drain::Drained(_) => {}
    }
    for _ in 0..if loads { prng.below(3) } else { 0 } {
        did |= post(link, machines, at, calm, prng);
    }
    if !calm && prng.chance(1, 1500) {
        link.fall(machines, prng);
    }
    did
}

fn post_receives(link: &mut Link, machines: &mut [Machine], at: usize, calm: bool, prng: &mut Prng) -> bool {
    let scarcity = if calm { 1 } else { link.plan.scarcity };
    let side = &mut link.sides[at];
    let machine = &mut machines[side.machine];
    let Some(qp) = side.qp.filter(|_| side.failure.is_none()) else { return false };
    let mut did = false;
    for _ in 0..2 {
        if !prng.chance(1, scarcity) {
            continue;
        }
        if link.plan.shared {
            did |= machine.post_shared();
        } else if side.receives.len() < RECEIVES
            && let Some(address) = machine.take_slot(&mut side.received)
        {
            let key = side.received.memory.key;
            let cut = prng.below(SLOT as u64) as u32;
            let scatter = [
                Sge { key, address, len: cut },
                Sge { key, address: address + u64::from(cut), len: SLOT as u32 - cut },
            ];
            let request = ReceiveRequest { id: address, scatter: &scatter };
            machine.device.post_receive(ReceiveQueue::Own(qp), request).expect("there is room");
            side.receives.push_back(address);
            did = true;
        }
    }
    did
}

/// Posts a request, unless there is no room for it.
fn post(link: &mut Link, machines: &mut [Machine], at: usize, calm: bool, prng: &mut Prng) -> bool {
    if link.sides[at].pending.len() >= link.plan.entries as usize {
        return false;
    }
    let mut pieces = Vec::new();
    let draft = match link.plan.service {
        Transport::UnreliableDatagram => datagram(link, machines, at, prng),
        Transport::UnreliableConnection => unreliable(link, machines, at, prng),
        Transport::ReliableConnection => reliable(link, machines, at, calm, &mut pieces, prng),
    };
    let Some(draft) = draft else { return false };
    let side = &mut link.sides[at];
    let Some(qp) = side.qp else { return false };
    let id = side.next_id;
    let is_inline = !draft.bytes.is_empty() && draft.bytes.len() <= INLINE as usize && prng.chance(1, 2);
    let data = if is_inline { Data::Inline(&draft.bytes) } else { Data::Gather(&draft.list) };
    // One that nobody waits for may not be the last that there is room for.
    let signaled = link.plan.entries == 1 || prng.chance(3, 4) || matches!(draft.what, Asked::Misdeed { .. });
    let fence = prng.chance(1, 3);
    let request = SendRequest {
        signaled,
        fence,
        solicited: prng.chance(1, 4),
        ..SendRequest::new(id, draft.work, data)
    };
    if machines[side.machine].device.post_send(qp, request).is_err() {
        give_back(link, machines, at, &draft.what);
        return false;
    }
    side.next_id += 1;
    let opens = matches!(draft.what, Asked::Open(_));
    if let Asked::Close(key) = draft.what
        && let Some(grant) = link.sides[1 - at].grant.as_mut().filter(|grant| grant.key == key)
    {
        grant.is_closing = true;
    }
    link.sides[at].lives += u8::from(opens);
    if let Asked::Write { address, bytes, .. } = &draft.what
        && link.plan.service != Transport::ReliableConnection
    {
        link.sides[1 - at].perhaps.push((*address, bytes.clone()));
    }
    if let Some(message) = draft.message {
        if message.invalidated.is_some()
            && let Some(grant) = &mut link.sides[at].grant
        {
            grant.is_closing = true;
        }
        link.sides[1 - at].expected.push_back(message);
    }
    link.sides[at].pending.push_back(Posted { id, what: draft.what, signaled, fence });
    true
}

fn give_back(link: &mut Link, machines: &mut [Machine], at: usize, what: &Asked) {
    let side = &mut link.sides[at];
    if let Some(slot) = what.slot() {
        machines[side.machine].give_slot(&mut side.fetched, slot);
    }
}

impl Asked {
    /// The place that what is found goes to.
    pub(super) const fn slot(&self) -> Option<u64> {
        match self {
            Self::Read { slot, .. } | Self::Atomic { slot, .. } => Some(*slot),
            Self::Misdeed { slot, .. } => *slot,
            Self::Message | Self::Misdirected | Self::Write { .. } | Self::Open(_) | Self::Close(_) => None,
        }
    }
}

/// Up to three pieces of the side's source, and their bytes.
fn gather(link: &Link, machines: &[Machine], at: usize, len: usize, prng: &mut Prng) -> (Vec<Sge>, Vec<u8>) {
    let side = &link.sides[at];
    let (mut list, mut bytes) = (Vec::new(), Vec::new());
    let mut left = len;
    for piece in 0..3 {
        let len = if piece == 2 { left } else { prng.below(left as u64 + 1) as usize };
        let address = side.source.address + prng.below((AREA - len) as u64 + 1);
        list.push(Sge { key: side.source.key, address, len: len as u32 });
        bytes.extend_from_slice(machines[side.machine].should(address, len));
        left -= len;
    }
    (list, bytes)
}

fn length(prng: &mut Prng, max: usize) -> usize {
    let most = match prng.below(4) {
        0 => 16,
        1 => 300,
        _ => max,
    };
    prng.below(most.min(max) as u64 + 1) as usize
}

fn datagram(link: &Link, machines: &[Machine], at: usize, prng: &mut Prng) -> Option<Draft<'static>> {
    let max = machines[link.sides[at].machine].device.config().mtu.bytes() as usize;
    let (list, bytes) = gather(link, machines, at, length(prng, max), prng);
    let immediate = prng.chance(1, 2).then(|| prng.next_u64() as u32);
    let to = link.sides[at].destination?;
    let message = Message { bytes: bytes.clone(), immediate, ..Message::default() };
    if prng.chance(1, 10) {
        // A key that is not asked for.
        let to = Destination { queue_key: to.queue_key ^ 1, ..to };
        let work = Work::Datagram { to, immediate };
        return Some(Draft { work, list, bytes, what: Asked::Misdirected, message: None });
    }
    let work = Work::Datagram { to, immediate };
    Some(Draft { work, list, bytes, what: Asked::Message, message: Some(message) })
}

fn unreliable(link: &Link, machines: &[Machine], at: usize, prng: &mut Prng) -> Option<Draft<'static>> {
    if prng.chance(1, 2) { Some(message(link, machines, at, prng)) } else { write(link, machines, at, prng) }
}

fn reliable<'a>(
    link: &mut Link,
    machines: &mut [Machine],
    at: usize,
    calm: bool,
    pieces: &'a mut Vec<Span>,
    prng: &mut Prng,
) -> Option<Draft<'a>> {
    if !calm && link.plan.misdeeds {
        // Another's window is not open for long.
        if let Some(draft) = trespass(link, machines, at)
            && prng.chance(1, 3)
        {
            return Some(draft);
        }
        if prng.chance(1, 60) {
            return misdeed(link, machines, at, prng);
        }
    }
    match prng.below(10) {
        0..=2 => Some(message(link, machines, at, prng)),
        3..=4 => write(link, machines, at, prng),
        5..=6 => read(link, machines, at, prng),
        7..=8 => atomic(link, machines, at, prng),
        _ if link.plan.grants => open_or_close(link, machines, at, pieces, prng),
        _ => None,
    }
}

fn message(link: &Link, machines: &[Machine], at: usize, prng: &mut Prng) -> Draft<'static> {
    let (list, bytes) = gather(link, machines, at, length(prng, LONGEST), prng);
    let plain = Message { bytes: bytes.clone(), ..Message::default() };
    let grant = link.sides[at].grant.filter(|grant| !grant.is_closing && prng.chance(1, 4));
    let immediate = prng.next_u64() as u32;
    let (work, message) = match grant {
        Some(grant) => (Work::SendInvalidate(grant.key), Message { invalidated: Some(grant.key), ..plain }),
        None if prng.chance(1, 2) => {
            (Work::SendImmediate(immediate), Message { immediate: Some(immediate), ..plain })
        }
        None => (Work::Send, plain),
    };
    Draft { work, list, bytes, what: Asked::Message, message: Some(message) }
}

fn write(link: &Link, machines: &[Machine], at: usize, prng: &mut Prng) -> Option<Draft<'static>> {
    let peer = &link.sides[1 - at];
    let grant = link.sides[at].grant.filter(|grant| !grant.is_closing && prng.chance(1, 2));
    let (key, base, room) = match grant {
        Some(grant) => (grant.key, grant.address, grant.len),
        None => (peer.written.key, peer.written.address, AREA),
    };
    let (list, bytes) = gather(link, machines, at, length(prng, LONGEST.min(room)), prng);
    let mut address = base + prng.below((room - bytes.len()) as u64 + 1);
    // What is being read is worth writing.
    let reads = |posted: &Posted| match posted.what {
        Asked::Read { address, .. } => Some(address),
        _ => None,
    };
    let end = base + (room - bytes.len()) as u64;
    if let Some(read) = link.sides[at].pending.iter().rev().find_map(reads)
        && (base..=end).contains(&read)
    {
        address = read;
    }
    let to = Remote { address, key };
    let what = Asked::Write { address, bytes: bytes.clone(), through: grant.map(|grant| grant.key) };
    if prng.chance(2, 3) {
        return Some(Draft { work: Work::Write(to), list, bytes, what, message: None });
    }
    let immediate = prng.next_u64() as u32;
    let message =
        Message { bytes: bytes.clone(), immediate: Some(immediate), is_write: true, ..Message::default() };
    Some(Draft { work: Work::WriteImmediate(to, immediate), list, bytes, what, message: Some(message) })
}

fn read(link: &mut Link, machines: &mut [Machine], at: usize, prng: &mut Prng) -> Option<Draft<'static>> {
    let peer = &link.sides[1 - at];
    let area = if prng.chance(1, 2) { peer.source } else { peer.written };
    let side = &mut link.sides[at];
    let slot = machines[side.machine].take_slot(&mut side.fetched)?;
    let len = length(prng, LONGEST);
    let address = area.address + prng.below((AREA - len) as u64 + 1);
    let key = side.fetched.memory.key;
    let cut = prng.below(len as u64 + 1) as u32;
    let list = vec![
        Sge { key, address: slot, len: cut },
        Sge { key, address: slot + u64::from(cut), len: len as u32 - cut },
    ];
    let work = Work::Read(Remote { address, key: area.key });
    Some(Draft { work, list, bytes: Vec::new(), what: Asked::Read { address, len, slot }, message: None })
}

fn atomic(link: &mut Link, machines: &mut [Machine], at: usize, prng: &mut Prng) -> Option<Draft<'static>> {
    let target = &machines[link.sides[1 - at].machine];
    let (memory, last) = (target.cell_memory, target.cell.last);
    let side = &mut link.sides[at];
    let slot = machines[side.machine].take_slot(&mut side.fetched)?;
    let list = vec![Sge { key: side.fetched.memory.key, address: slot, len: 8 }];
    let remote = Remote { address: memory.address, key: memory.key };
    let number = prng.next_u64();
    let (work, change) = if prng.chance(1, 2) {
        (Work::FetchAdd { at: remote, add: number }, Change::Add(number))
    } else {
        let change = Change::Swap { compare: last, swap: number };
        (Work::CompareSwap { at: remote, compare: last, swap: number }, change)
    };
    Some(Draft { work, list, bytes: Vec::new(), what: Asked::Atomic { change, slot }, message: None })
}

/// Opens a part of the side's memory for the peer, or closes it.
fn open_or_close<'a>(
    link: &Link,
    machines: &[Machine],
    at: usize,
    pieces: &'a mut Vec<Span>,
    prng: &mut Prng,
) -> Option<Draft<'a>> {
    let (side, peer) = (&link.sides[at], &link.sides[1 - at]);
    let is_changing =
        side.pending.iter().any(|posted| matches!(posted.what, Asked::Open(_) | Asked::Close(_)));
    if is_changing {
        return None;
    }
    let bare = |work, what| Draft { work, list: Vec::new(), bytes: Vec::new(), what, message: None };
    if let Some(grant) = peer.grant {
        let uses = |posted: &Posted| matches!(posted.what, Asked::Write { through: Some(key), .. } if key == grant.key);
        let is_used = peer.pending.iter().any(uses);
        let is_free = !grant.is_closing && !is_used;
        return is_free.then(|| bare(Work::Invalidate(grant.key), Asked::Close(grant.key)));
    }
    let kind = prng.below(2) as usize;
    let key =
        side.openings[kind].with_life(side.openings[kind].life().wrapping_add(side.lives).wrapping_add(1));
    let len = prng.between(1, AREA as u64) as usize;
    let address = side.written.address + prng.below((AREA - len) as u64 + 1);
    let access = Access::REMOTE_WRITE.with(Access::REMOTE_READ);
    let what = Asked::Open(Grant { key, address, len, is_closing: false });
    if kind == 0 {
        let part = Sge { key: side.written.key, address, len: len as u32 };
        return Some(bare(Work::Bind { window: key, part, access }, what));
    }
    pieces.push(machines[side.machine].span(address, len));
    let access = access.with(Access::LOCAL_WRITE);
    Some(bare(Work::Register { key, pieces, address, access }, what))
}

/// A request that must fail.
fn misdeed(link: &Link, machines: &[Machine], at: usize, prng: &mut Prng) -> Option<Draft<'static>> {
    let (side, peer) = (&link.sides[at], &link.sides[1 - at]);
    let len = prng.between(1, 600) as usize;
    let (list, bytes) = gather(link, machines, at, len, prng);
    let to = |key: Key, address: u64| Work::Write(Remote { address, key });
    let own = vec![Sge { key: side.source.key, address: side.source.address, len: 64 }];
    let cell = machines[peer.machine].cell_memory;
    // What is found could be put here: nothing but the peer is a reason to fail.
    let place = vec![Sge { key: side.fetched.memory.key, address: side.fetched.memory.address, len: 8 }];
    let add = |address: u64, key: Key| Work::FetchAdd { at: Remote { address, key }, add: 1 };
    let mut message = None;
    let (work, list, fails) = match prng.below(10) {
        0 => (to(peer.source.key, peer.source.address), list, ACCESS),
        1 => (to(peer.written.key, peer.written.address + (AREA - len) as u64 + 1), list, ACCESS),
        2 => (to(Key(peer.written.key.0 ^ 0x55), peer.written.address), list, ACCESS),
        3 => (to(peer.written.key, peer.written.address - 1), list, ACCESS),
        4 => {
            let memory = peer.fetched.memory;
            (Work::Read(Remote { address: memory.address, key: memory.key }), Vec::new(), ACCESS)
        }
        5 => (add(peer.written.address, peer.written.key), place.clone(), ACCESS),
        6 => (add(cell.address + 4, cell.key), place.clone(), INVALID),
        7 => {
            let key = *side.dead_keys.last()?;
            (to(key, peer.written.address), list, ACCESS)
        }
        8 => {
            let (list, bytes) = gather(link, machines, at, SLOT + 1 + len, prng);
            message = Some(Message { bytes, is_too_long: true, ..Message::default() });
            (Work::Send, list, INVALID)
        }
        _ => {
            // Neither is there so much to send, nor may what is read go there.
            let end = side.source.address + AREA as u64;
            let beyond = Sge { key: side.source.key, address: end - 32, len: 33 };
            let work = Work::Read(Remote { address: peer.source.address, key: peer.source.key });
            if prng.chance(1, 2) { (Work::Send, vec![beyond], LOCAL) } else { (work, own, LOCAL) }
        }
    };
    // What is asked of the peer must be asked for: a read of nothing would be right.
    let list = if matches!(work, Work::Read(_)) && list.is_empty() { place } else { list };
    drop(bytes);
    Some(Draft { work, list, bytes: Vec::new(), what: Asked::Misdeed { fails, slot: None }, message })
}

/// A write through a window that the peer's machine opened for another: it is for the peer of the queue pair that opened it
/// alone (10.6.7.2.2).
fn trespass(link: &Link, machines: &[Machine], at: usize) -> Option<Draft<'static>> {
    let (side, peer) = (&link.sides[at], &link.sides[1 - at]);
    let (_, key, address) = machines[peer.machine].window.filter(|(of, ..)| *of != link.number)?;
    let list = vec![Sge { key: side.source.key, address: side.source.address, len: 1 }];
    let what = Asked::Misdeed { fails: ACCESS, slot: None };
    let work = Work::Write(Remote { address, key });
    Some(Draft { work, list, bytes: Vec::new(), what, message: None })
}

/// How long the queue pair stays drained.
pub(super) fn drained(machine: &Machine, prng: &mut Prng) -> Drain {
    Drain::Drained(machine.env.now() + Duration::from_micros(prng.below(3_000)))
}

/// Bytes of the longest message that is right.
const LONGEST: usize = 4000;
const ACCESS: &[Status] = &[Status::RemoteAccess];
const INVALID: &[Status] = &[Status::RemoteInvalidRequest];
const LOCAL: &[Status] = &[Status::LocalProtection];
