//! What was said is kept, said again, acknowledged, or taken along to another connection (RFC 7143, sections 7.1.4, 7.2.2 and
//! 11.16).

use super::item::{Item, Owner, Reading, Response};
use super::kept::{Cuts, KeptRead};
use super::{Outgoing, WindowNumbers};
use stdx::env::Env;
use stdx::gather::HeaderBlocks;
use stdx::mem::Span;
use stdx::planted::{Bug, planted};
use wire::iscsi::{Numbers, Serial};
use wire::scsi::Lun;

/// What was asked for again was never sent, was acknowledged, or is not there any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Unsent {
    /// It cannot be: never sent, or acknowledged.
    Impossible,
    /// It was not kept.
    Forgotten,
}

impl Outgoing {
    /// From here on what is said is kept until it is acknowledged.
    pub(in super::super) fn begin_to_keep(&mut self) {
        self.kept = Some(Box::default());
    }

    /// Whether what is said is kept.
    pub(in super::super) const fn keeps(&self) -> bool {
        self.kept.is_some()
    }

    /// Bytes of read data that is kept.
    pub(in super::super) fn kept_bytes(&self) -> usize {
        self.kept.as_ref().map_or(0, |kept| kept.bytes())
    }

    /// Has the data of a read said, and kept. False if data of an earlier task with this tag is still there: it cannot be kept
    /// beside it.
    pub(in super::super) fn push_kept_read(&mut self, tag: u32, lun: Lun, data: Span, buffer: Span) -> bool {
        let (segment, burst) = (self.segment_max, self.burst_max);
        let Some(kept) = &mut self.kept else { return false };
        if kept.read(tag).is_some() {
            return false;
        }
        let cuts = Cuts { first_sn: Serial(0), offset: 0, segment, burst };
        kept.keep_read(KeptRead::new(tag, lun, data, buffer, cuts));
        self.push_data(tag, Serial(0), None);
        true
    }

    /// Whether another answer must wait for what is under way to be sent.
    pub(super) fn is_full(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.is_full(self.sent))
    }

    /// An answer was said: it is kept, if answers are.
    pub(super) fn keep(&mut self, env: &mut dyn Env, stat_sn: Serial, item: Item) {
        let said_to = self.said();
        if let Some(kept) = &mut self.kept
            && item.counts()
        {
            kept.keep(env.mem(), stat_sn, item, said_to);
            self.drop_gone();
        }
    }

    /// The data of a task's read, if it is kept.
    pub(super) fn kept_read(&mut self, tag: u32) -> Option<&mut KeptRead> {
        self.kept.as_mut()?.read(tag)
    }

    /// Data of a read was said up to this number.
    pub(super) fn said_data(&mut self, tag: u32, next_sn: Serial) {
        let said_to = self.said();
        if let Some(kept) = &mut self.kept {
            kept.said_data(tag, next_sn, said_to);
        }
    }

    /// Says an answer again. It bears the number it had, and what holds now of the window.
    pub(super) fn say_again(
        &mut self,
        env: &mut dyn Env,
        blocks: &mut HeaderBlocks,
        window: WindowNumbers,
        stat_sn: Serial,
    ) {
        let item = self.kept.as_ref().and_then(|kept| kept.answer(stat_sn)).cloned();
        // It may have been acknowledged meanwhile.
        let Some(item) = item else { return };
        let WindowNumbers { exp_cmd_sn, max_cmd_sn } = window;
        self.say(env, blocks, Numbers { stat_sn, exp_cmd_sn, max_cmd_sn }, &item);
        let said_to = self.said();
        if let Some(kept) = &mut self.kept {
            kept.said_again(stat_sn, said_to);
        }
    }

    /// The initiator has all answers before this one.
    pub(in super::super) fn acknowledge(&mut self, env: &mut dyn Env, expected: Serial) {
        // A number that was not given yet acknowledges nothing.
        if let Some(kept) = self.kept.as_mut().filter(|_| !self.stat_sn.precedes(expected)) {
            kept.acknowledge(env.mem(), expected, self.sent);
            self.drop_gone();
            self.sweep(env);
        }
    }

    /// The initiator has the data before this number. False if that cannot be.
    pub(in super::super) fn acknowledge_data(&mut self, ack_tag: u32, number: Serial) -> bool {
        self.kept.as_mut().is_some_and(|kept| kept.acknowledge_data(ack_tag, number))
    }

    /// Has answers said again: `count` from a number on, or all (0).
    pub(in super::super) fn repeat_answers(&mut self, begin: Serial, count: u32) -> Result<(), Unsent> {
        let Some(kept) = &mut self.kept else { return Err(Unsent::Forgotten) };
        let end = if count == 0 { self.stat_sn } else { begin.plus(count) };
        let all = begin == Serial(0) && count == 0;
        if !all && (!begin.precedes(self.stat_sn) || self.stat_sn.precedes(end)) {
            return Err(Unsent::Impossible);
        }
        let within = |number: &Serial| all || !number.precedes(begin) && number.precedes(end);
        let numbers: Vec<Serial> = kept.numbers().filter(within).collect();
        if !all && numbers.first() != Some(&begin) {
            return Err(Unsent::Impossible);
        }
        self.backlog.extend(numbers.into_iter().map(Item::Again));
        Ok(())
    }

    /// Has data of a read said again: `count` PDUs from a number on, or all that were said (0).
    pub(in super::super) fn repeat_data(
        &mut self,
        tag: u32,
        begin: Serial,
        count: u32,
    ) -> Result<(), Unsent> {
        let read = self.kept_read(tag).ok_or(Unsent::Forgotten)?;
        let all = begin == Serial(0) && count == 0;
        let begin = if all { read.acknowledged } else { begin };
        let end = if count == 0 { read.next_sn } else { begin.plus(count) };
        if begin.precedes(read.acknowledged) || !begin.precedes(end) || read.next_sn.precedes(end) {
            return Err(Unsent::Impossible);
        }
        self.push_data(tag, begin, Some(end));
        Ok(())
    }

    /// Has all data of a read said anew, cut as the initiator takes it now; its response then bears `snack_tag`.
    pub(in super::super) fn repeat_anew(&mut self, tag: u32, snack_tag: u32) -> Result<(), Unsent> {
        let segment = self.segment_max;
        let read = self.kept_read(tag).ok_or(Unsent::Forgotten)?;
        read.cut_anew(segment).ok_or(Unsent::Impossible)?;
        read.snack_tag = snack_tag;
        let first = read.cuts.first_sn;
        // What was still to be said the old way is not, and a response that waits comes after the data.
        self.drop_data(tag);
        let waiting = self
            .backlog
            .iter()
            .position(|item| matches!(item, Item::Response(response) if response.tag == tag));
        let response = waiting.and_then(|place| self.backlog.remove(place));
        self.push_data(tag, first, None);
        let said = self.kept.as_ref().and_then(|kept| kept.response_sn(tag));
        match (response, said) {
            (Some(response), _) => self.backlog.push_back(response),
            (None, Some(stat_sn)) => self.backlog.push_back(Item::Again(stat_sn)),
            (None, None) => {}
        }
        Ok(())
    }

    /// Memory is short: what is kept and was sent whole cannot be had again any more.
    pub(in super::super) fn release_kept(&mut self, env: &mut dyn Env) {
        let (backlog, sent) = (&self.backlog, self.sent);
        let queued = |tag: u32| {
            let of_task = |item: &Item| matches!(item, Item::Read(reading) if reading.tag == tag);
            backlog.iter().any(of_task)
        };
        if let Some(kept) = &mut self.kept {
            kept.release(env.mem(), sent, queued);
        }
    }

    /// The connection is lost: what another one can go on with. The transmit queue goes.
    pub(in super::super) fn take_responses(
        &mut self,
        env: &mut dyn Env,
        blocks: &mut HeaderBlocks,
    ) -> Vec<(Response, Option<KeptRead>)> {
        self.transmit.clear(env.mem(), blocks);
        let Some(kept) = &mut self.kept else { return Vec::new() };
        let unsaid = self.backlog.iter().filter_map(|item| match item {
            Item::Response(response) => Some(*response),
            _another => None,
        });
        let taken = kept.take(env.mem(), unsaid);
        self.clear(env, blocks);
        taken
    }

    /// Goes on with what another connection could not bring to its end: data from `exp_data_sn` on, or from what is
    /// acknowledged if that is no number of it, and the response.
    pub(in super::super) fn resume(
        &mut self,
        mut response: Response,
        read: Option<KeptRead>,
        exp_data_sn: Serial,
    ) {
        if let Some(mut read) = read {
            let is_said = read.acknowledged.precedes(exp_data_sn) && !read.next_sn.precedes(exp_data_sn);
            if is_said {
                read.acknowledged = exp_data_sn;
            }
            // It was cut before; a number within its bounds has its place.
            let _cut = read.cut_anew(self.segment_max);
            read.snack_tag = 0;
            let (tag, first) = (read.tag, read.cuts.first_sn);
            response.exp_data_sn = read.cuts.end_sn(read.data.len);
            if let Some(kept) = &mut self.kept {
                kept.keep_read(read);
            }
            self.push_data(tag, first, None);
        }
        self.push(Item::Response(response));
    }

    /// Queues data of a kept read from one number up to another, or to the end.
    fn push_data(&mut self, tag: u32, from: Serial, to: Option<Serial>) {
        let Some(read) = self.kept_read(tag) else { return };
        let end = read.data.len;
        let start = read.cuts.offset_of(from, end);
        let stop = to.map_or(Some(end), |to| read.cuts.offset_of(to, end));
        let (Some(start), Some(stop)) = (start, stop) else { return };
        if start < stop {
            let shifted = planted(Bug::RepeatedDataShifted) && to.is_some();
            let at = if shifted { start.saturating_sub(read.cuts.segment) } else { start };
            let data = read.data.slice(at as usize, (stop - start) as usize);
            let owner = Owner::Kept;
            self.push(Item::Read(Reading {
                memory: None,
                tag,
                data,
                owner,
                offset: start,
                end,
                data_sn: from,
                status: None,
            }));
        }
    }

    /// Data of tasks that need it no more is not said.
    fn drop_gone(&mut self) {
        while let Some(tag) = self.kept.as_mut().and_then(|kept| kept.poll_gone()) {
            self.drop_data(tag);
        }
    }

    fn drop_data(&mut self, tag: u32) {
        let queued = &mut self.queued_bytes;
        self.backlog.retain(|item| {
            let goes =
                matches!(item, Item::Read(reading) if reading.tag == tag && reading.owner == Owner::Kept);
            if goes {
                *queued -= item.read_bytes();
            }
            !goes
        });
    }

    /// Gives back what is not needed any more.
    pub(super) fn sweep(&mut self, env: &mut dyn Env) {
        if let Some(kept) = &mut self.kept {
            kept.sweep(env.mem(), self.sent);
        }
    }

    /// The position in the stream behind what is said.
    fn said(&self) -> u64 {
        self.sent + self.transmit.bytes() as u64
    }
}
