//! What may become of requests, and what memory may hold then.

use super::link::{Link, State};
use super::machine::{Machine, SLOT};
use super::side::{AREA, Asked, Drain, Message, Posted};
use super::{Check, wrong};
use stdx::prng::Prng;
use verbs::{Completion, CompletionKind, Provider, Status, Transport};
use wire::roce::Grh;

impl Link {
    /// A request of the side at `at` is done.
    pub(super) fn complete(
        &mut self,
        machines: &mut [Machine],
        at: usize,
        completion: &Completion,
        prng: &mut Prng,
    ) -> Check {
        let checked = match completion.kind {
            CompletionKind::Receive | CompletionKind::ReceiveWrite => self.received(machines, at, completion),
            CompletionKind::Send
            | CompletionKind::Write
            | CompletionKind::Read
            | CompletionKind::CompareSwap
            | CompletionKind::FetchAdd
            | CompletionKind::Invalidate
            | CompletionKind::Register
            | CompletionKind::Bind => self.sent(machines, at, completion),
        };
        checked.map_err(|outcome| self.told(at, completion, outcome))?;
        if completion.status != Status::Success {
            self.sides[at].failure.get_or_insert(completion.status);
            let may_fall = !self.strict || self.plan.rnr_retry_count < FOR_EVER;
            if !may_fall && self.state == State::Up {
                return Err(wrong(format!("link {}: {completion:?} in a calm world", self.number)));
            }
            self.fall(machines, prng);
        }
        Ok(())
    }

    fn told(&self, at: usize, completion: &Completion, outcome: super::Outcome) -> super::Outcome {
        match outcome {
            super::Outcome::Unsafe(what) => wrong(format!(
                "link {} {:?} side {at}: {completion:?}: {what}",
                self.number, self.plan.service
            )),
            other => other,
        }
    }

    fn sent(&mut self, machines: &mut [Machine], at: usize, completion: &Completion) -> Check {
        let side = &mut self.sides[at];
        let place = side.pending.iter().position(|posted| posted.id == completion.id);
        let Some(place) = place else { return Err(wrong("it was not posted, or is done already".into())) };
        if side.pending.iter().take(place).any(|posted| posted.signaled) {
            return Err(wrong("others before it are not done".into()));
        }
        let is_success = completion.status == Status::Success;
        if is_success && side.failure.is_some() {
            return Err(wrong("it is done though one before it failed".into()));
        }
        if is_success && matches!(side.drain, Drain::Drained(_)) {
            return Err(wrong("it is done though the queue was drained".into()));
        }
        for _ in 0..place {
            self.finish_front(machines, at)?;
        }
        if is_success {
            if !self.sides[at].pending[0].signaled {
                return Err(wrong("nobody asked for this completion".into()));
            }
            return self.finish_front(machines, at);
        }
        let Some(posted) = self.sides[at].pending.pop_front() else { return Ok(()) };
        let side = &mut self.sides[at];
        if let Some(slot) = posted.what.slot() {
            machines[side.machine].give_slot(&mut side.fetched, slot);
        }
        let is_allowed = self.may_fail(&posted, completion.status);
        self.sides[at].uncertain.push(posted);
        if is_allowed { Ok(()) } else { Err(wrong("it has no reason to fail so".into())) }
    }

    /// Sends at the end of the queue of which nobody wants to hear are done once the queue is empty.
    pub(super) fn finish_silent(
        &mut self,
        machines: &mut [Machine],
        at: usize,
    ) -> Result<bool, super::Outcome> {
        let side = &self.sides[at];
        let info = side.qp.and_then(|qp| machines[side.machine].device.query_qp(qp));
        let is_empty = info.is_some_and(|info| info.sends == 0);
        if !is_empty || side.pending.is_empty() {
            return Ok(false);
        }
        if let Some(posted) = side.pending.iter().find(|posted| posted.signaled) {
            let posted = posted.clone();
            return Err(wrong(format!("link {}: {posted:?} is gone without a completion", self.number)));
        }
        while !self.sides[at].pending.is_empty() {
            self.finish_front(machines, at)?;
        }
        Ok(true)
    }

    fn may_fail(&self, posted: &Posted, status: Status) -> bool {
        if let Asked::Misdeed { fails, .. } = &posted.what
            && fails.contains(&status)
        {
            return true;
        }
        match status {
            Status::Flushed => true,
            Status::RetryExceeded => {
                let is_certain = self.strict || self.is_lossless && !self.plan.misdeeds;
                !is_certain || self.is_bereft || self.state != State::Up
            }
            Status::RnrRetryExceeded => self.plan.rnr_retry_count < FOR_EVER,
            _ => false,
        }
    }

    /// The send at the front is done, as somebody was told or will not be.
    fn finish_front(&mut self, machines: &mut [Machine], at: usize) -> Check {
        let Some(posted) = self.sides[at].pending.pop_front() else { return Ok(()) };
        self.completed += 1;
        match posted.what {
            Asked::Message | Asked::Misdirected => Ok(()),
            Asked::Write { address, bytes, .. } => self.written(machines, at, address, &bytes),
            Asked::Read { address, len, slot } => self.was_read(machines, at, address, len, slot),
            Asked::Atomic { change, slot } => {
                let target = self.sides[1 - at].machine;
                let side = &mut self.sides[at];
                let machine = &mut machines[side.machine];
                let bytes = machine.bytes(slot, 8);
                machine.check_slot(&mut side.fetched, slot, &bytes)?;
                let found = u64::from_ne_bytes(bytes.try_into().unwrap_or_default());
                machines[target].cell.changed(change, found, (self.number, at))
            }
            Asked::Open(grant) => {
                let side = &self.sides[at];
                if grant.key.index() == side.openings[0].index() {
                    machines[side.machine].window = Some((self.number, grant.key, grant.address));
                }
                self.sides[1 - at].grant = Some(grant);
                Ok(())
            }
            Asked::Close(key) => {
                machines[self.sides[at].machine].forget_window(key);
                self.sides[1 - at].grant = None;
                self.sides[1 - at].dead_keys.push(key);
                Ok(())
            }
            Asked::Misdeed { .. } => Err(wrong("it is done, and may not be".into())),
        }
    }

    /// A write is done: its bytes are there, but where later writes may have put theirs.
    fn written(&mut self, machines: &mut [Machine], at: usize, address: u64, bytes: &[u8]) -> Check {
        if self.plan.service != Transport::ReliableConnection {
            return Ok(());
        }
        let machine = &mut machines[self.sides[1 - at].machine];
        machine.expect(address, bytes);
        let found = machine.bytes(address, bytes.len());
        let covered = |at_byte: u64| {
            self.sides[at].pending.iter().any(|posted| match &posted.what {
                Asked::Write { address, bytes, .. } => {
                    at_byte >= *address && at_byte < address + bytes.len() as u64
                }
                _ => false,
            })
        };
        let missing =
            (0..bytes.len()).find(|&byte| found[byte] != bytes[byte] && !covered(address + byte as u64));
        match missing {
            None => Ok(()),
            Some(byte) => Err(wrong(format!("byte {byte} of {} is not there", bytes.len()))),
        }
    }

    /// A read is done: each byte was there after the requests before it; later ones may have changed it before it was read
    /// once more, but none that waits for reads, or stands behind one that does.
    fn was_read(
        &mut self,
        machines: &mut [Machine],
        at: usize,
        address: u64,
        len: usize,
        slot: u64,
    ) -> Check {
        let target = self.sides[1 - at].machine;
        let should = machines[target].should(address, len).to_vec();
        let side = &mut self.sides[at];
        let machine = &mut machines[side.machine];
        let found = machine.bytes(slot, len);
        let later: Vec<(u64, &Vec<u8>)> = side
            .pending
            .iter()
            .take_while(|posted| !posted.fence)
            .filter_map(|posted| match &posted.what {
                Asked::Write { address, bytes, .. } => Some((*address, bytes)),
                _ => None,
            })
            .collect();
        let may_be = |byte: usize| {
            let place = address + byte as u64;
            let is = |(start, bytes): &(u64, &Vec<u8>)| {
                let at = place.wrapping_sub(*start) as usize;
                bytes.get(at) == Some(&found[byte])
            };
            found[byte] == should[byte] || later.iter().any(is)
        };
        if let Some(byte) = (0..len).find(|byte| !may_be(*byte)) {
            return Err(wrong(format!("byte {byte} of {len} that were read was never there")));
        }
        machine.check_slot(&mut side.fetched, slot, &found)
    }

    fn received(&mut self, machines: &mut [Machine], at: usize, completion: &Completion) -> Check {
        if !self.plan.shared {
            let front = self.sides[at].receives.pop_front();
            if front != Some(completion.id) {
                return Err(wrong(format!("receive {front:x?} is the next")));
            }
        }
        match completion.status {
            Status::Success => {}
            Status::LocalLength => {
                let is_too_long =
                    self.sides[at].expected.pop_front().is_some_and(|message| message.is_too_long);
                self.finish_receive(machines, at, completion.id, None)?;
                return if is_too_long { Ok(()) } else { Err(wrong("there is room for it".into())) };
            }
            Status::Flushed => return self.finish_receive(machines, at, completion.id, None),
            _ => return Err(wrong("nothing is wrong with it".into())),
        }
        let is_datagram = self.plan.service == Transport::UnreliableDatagram;
        let header = if is_datagram { HEADER } else { 0 };
        let machine = &mut machines[self.sides[at].machine];
        let len = (completion.len as usize).checked_sub(header);
        let Some(len) = len.filter(|len| len + header <= SLOT) else {
            return Err(wrong("that is more than there was room for, or less than a header".into()));
        };
        let is_write = completion.kind == CompletionKind::ReceiveWrite;
        let bytes = if is_write { Vec::new() } else { machine.bytes(completion.id, len + header) };
        let (header, bytes) = bytes.split_at(header.min(bytes.len()));
        let is_it = |message: &Message| {
            message.is_write == is_write
                && !message.is_too_long
                && message.bytes.len() == len
                && (is_write || message.bytes == bytes)
                && message.immediate == completion.immediate
                && message.invalidated == completion.invalidated
        };
        let side = &mut self.sides[at];
        let message = match self.plan.service {
            Transport::ReliableConnection => side.expected.pop_front().filter(is_it),
            Transport::UnreliableConnection | Transport::UnreliableDatagram => {
                side.expected.iter().find(|message| is_it(message)).cloned()
            }
        };
        let Some(message) = message else { return Err(wrong("no such message was to come".into())) };
        if let Some(key) = message.invalidated {
            machine.forget_window(key);
            self.sides[1 - at].grant = None;
            self.sides[1 - at].dead_keys.push(key);
        }
        if is_datagram {
            let [here, there] = [at, 1 - at].map(|at| self.address(machines, at));
            let origin = verbs::Origin { address: there, qpn: self.qpn(machines, 1 - at) };
            if completion.origin != Some(origin) && !self.is_bereft {
                return Err(wrong(format!("it is from {origin:?}")));
            }
            let about = header.first_chunk().and_then(Grh::decode);
            if about.is_none_or(|about| (about.source, about.destination) != (there, here)) {
                return Err(wrong(format!("its header is not that of a packet from {there} to {here}")));
            }
        }
        let whole = [header, bytes].concat();
        self.finish_receive(machines, at, completion.id, Some(&whole))
    }

    fn finish_receive(
        &mut self,
        machines: &mut [Machine],
        at: usize,
        id: u64,
        bytes: Option<&[u8]>,
    ) -> Check {
        let side = &mut self.sides[at];
        let machine = &mut machines[side.machine];
        // What is left of a message that was lost may lie behind (9.8.2.2).
        let is_whole = self.plan.service != Transport::UnreliableConnection;
        let whole;
        let bytes = match bytes {
            Some(bytes) if !is_whole => {
                whole = machine.bytes(id, SLOT);
                if whole[..bytes.len()] != *bytes {
                    return Err(wrong("its bytes changed".into()));
                }
                Some(&whole[..])
            }
            bytes => bytes,
        };
        match bytes {
            _ if self.plan.shared => machine.finish_shared(id, bytes),
            Some(bytes) => machine.check_slot(&mut side.received, id, bytes),
            None => {
                machine.give_slot(&mut side.received, id);
                Ok(())
            }
        }
    }
}

/// Whether what peers wrote is what they may have written. It is taken for what should be there from now on.
pub(super) fn check_areas(link: &mut Link, machines: &mut [Machine]) -> Check {
    for at in [0, 1] {
        let area = link.sides[at].written;
        let target = link.sides[at].machine;
        let found = machines[target].bytes(area.address, AREA);
        let should = machines[target].should(area.address, AREA).to_vec();
        let is_right = match link.plan.service {
            Transport::ReliableConnection => {
                let uncertain = &link.sides[1 - at].uncertain;
                machines[target].cell.unknown(changes(uncertain));
                is_prefix(should, &found, area.address, uncertain)
            }
            Transport::UnreliableConnection | Transport::UnreliableDatagram => {
                let perhaps = &link.sides[at].perhaps;
                (0..AREA).all(|byte| {
                    let place = area.address + byte as u64;
                    let is = |(start, bytes): &(u64, Vec<u8>)| {
                        bytes.get(place.wrapping_sub(*start) as usize) == Some(&found[byte])
                    };
                    found[byte] == should[byte] || perhaps.iter().any(is)
                })
            }
        };
        if !is_right {
            return Err(wrong(format!("link {} side {at}: memory is what nobody wrote", link.number)));
        }
        machines[target].expect(area.address, &found);
    }
    Ok(())
}

/// The atomics that were perhaps done, in order.
fn changes(uncertain: &[Posted]) -> Vec<super::atomics::Change> {
    let change = |posted: &Posted| match posted.what {
        Asked::Atomic { change, .. } => Some(change),
        _ => None,
    };
    uncertain.iter().take_while(|posted| !posted.stops()).filter_map(change).collect()
}

/// True if `found` is what some of the writes, in order, the last perhaps not to its end, make of `should`.
fn is_prefix(mut should: Vec<u8>, found: &[u8], base: u64, uncertain: &[Posted]) -> bool {
    for posted in uncertain.iter().take_while(|posted| !posted.stops()) {
        let Asked::Write { address, bytes, .. } = &posted.what else { continue };
        let start = (address - base) as usize;
        let end = start + bytes.len();
        // Bytes outside of it are as they were; within, new ones come before old ones.
        let is_around = should[..start] == found[..start] && should[end..] == found[end..];
        let new = bytes.iter().zip(&found[start..end]).take_while(|(new, found)| new == found).count();
        if is_around && should[start + new..end] == found[start + new..end] {
            return true;
        }
        should[start..end].copy_from_slice(bytes);
    }
    should == found
}

impl Posted {
    /// Nothing behind it is done: the peer refuses it.
    fn stops(&self) -> bool {
        matches!(&self.what, Asked::Misdeed { fails, .. } if !fails.contains(&Status::LocalProtection))
    }
}

/// Bytes about the sender before a datagram's.
const HEADER: usize = 40;
/// The count of retries that has no end.
const FOR_EVER: u8 = 7;
