//! What several clients were told of blocks that all of them read and write at once: is there one order of it all?
//!
//! A block is a register, and every write of it is told from all others by its content. For registers whose writes differ that
//! question has a quick answer (Gibbons and Korach, "Testing shared memories", SIAM Journal on Computing 26, 1997, section 5):
//! a write and the reads that saw it are a cluster; a cluster with one request that ended before another of it began holds the
//! block at least from that end to that beginning; two clusters never hold the block at once, and every other cluster needs a
//! moment at which none holds it.
//!
//! Requests that were given up may be carried out at any later time, or never. A write whose connection broke is sent again, and
//! may be carried out more than once: reads that began before its end count as if each had a write of its own.
//!
//! A power cut ends the history: what a block holds afterwards may be anything that was ever written to it, but one thing.
//! What must have survived is the business of [`Shadow`](super::Shadow), whose blocks are written by one client alone.

use super::Content;
use std::collections::BTreeMap;

/// The histories of blocks.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Counts what is told, so that its order is known.
    moment: u64,
    blocks: BTreeMap<u64, Block>,
    /// The moment of the last power cut.
    cut: u64,
}

/// A block's history since it began, or since the last power cut.
#[derive(Clone, Debug)]
struct Block {
    writes: BTreeMap<Content, Write>,
    reads: Vec<Read>,
}

#[derive(Clone, Copy, Debug)]
struct Write {
    from: u64,
    /// When it was acknowledged, if it was.
    to: Option<u64>,
    /// It may have been carried out more than once.
    is_repeated: bool,
}

#[derive(Clone, Copy, Debug)]
struct Read {
    content: Content,
    from: u64,
    to: u64,
}

/// There is no order in which a block's requests could have been carried out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disorder {
    /// The block.
    pub lba: u64,
    /// What is wrong.
    pub why: Why,
}

/// What is wrong with a history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Why {
    /// A read gave what nobody had begun to write.
    NeverWritten(Content),
    /// Two contents were there at the same time.
    Both(Content, Content),
    /// The first was seen while the other was there all along.
    Within(Content, Content),
}

/// When the first of a cluster's requests ended, and the last began.
#[derive(Clone, Copy, Debug)]
struct Zone {
    content: Content,
    first_end: u64,
    last_begin: u64,
}

impl History {
    /// A moment that is later than all before.
    pub const fn now(&mut self) -> u64 {
        self.moment += 1;
        self.moment
    }

    /// A write of a block was submitted at the moment `from`.
    pub fn writing(&mut self, lba: u64, content: Content, from: u64) {
        let write = Write { from, to: None, is_repeated: false };
        self.blocks.entry(lba).or_default().writes.insert(content, write);
    }

    /// The connection of a write broke before it was answered.
    pub fn may_repeat(&mut self, lba: u64, content: Content) {
        if let Some(write) = self.write_mut(lba, content) {
            write.is_repeated = true;
        }
    }

    /// A write was acknowledged. One that was given up instead is never told to be.
    pub fn written(&mut self, lba: u64, content: Content) {
        let to = self.now();
        if let Some(write) = self.write_mut(lba, content) {
            write.to = Some(to);
        }
    }

    /// A read that was submitted at the moment `from` gave this. One that was under way in a power cut may show what was
    /// there before, and tells nothing.
    pub fn read(&mut self, lba: u64, content: Content, from: u64) {
        let to = self.now();
        if from > self.cut {
            self.blocks.entry(lba).or_default().reads.push(Read { content, from, to });
        }
    }

    /// The power below failed: says whether all was right until then.
    ///
    /// # Errors
    /// When it was not.
    pub fn power_cut(&mut self) -> Result<(), Disorder> {
        self.judge()?;
        let cut = self.now();
        self.cut = cut;
        self.blocks.values_mut().for_each(|block| block.power_cut(cut));
        Ok(())
    }

    /// Says whether there is an order.
    ///
    /// # Errors
    /// When there is none.
    pub fn judge(&self) -> Result<(), Disorder> {
        self.blocks.iter().try_for_each(|(&lba, block)| block.judge().map_err(|why| Disorder { lba, why }))
    }

    fn write_mut(&mut self, lba: u64, content: Content) -> Option<&mut Write> {
        self.blocks.get_mut(&lba)?.writes.get_mut(&content)
    }
}

impl Block {
    /// What was written may be there, as if it had been written now; what is under way may have been, and is sent again.
    fn power_cut(&mut self, cut: u64) {
        self.reads.clear();
        for write in self.writes.values_mut() {
            match write.to {
                Some(_) => *write = Write { from: cut, to: Some(cut), is_repeated: false },
                None => write.is_repeated = true,
            }
        }
    }

    fn judge(&self) -> Result<(), Why> {
        let mut clusters: BTreeMap<Content, Zone> = BTreeMap::new();
        for (&content, write) in &self.writes {
            clusters.insert(content, Zone { content, first_end: write.end(), last_begin: write.from });
        }
        let mut zones = Vec::new();
        for read in &self.reads {
            let content = read.content;
            let write = self.writes.get(&content).filter(|write| write.from < read.to);
            let write = write.ok_or(Why::NeverWritten(content))?;
            let alone = Zone { content, first_end: read.to, last_begin: read.from };
            match clusters.get_mut(&content) {
                Some(cluster) if !write.is_repeated || read.from > write.end() => cluster.join(&alone),
                Some(_) | None => zones.push(Zone {
                    content,
                    first_end: read.to.min(write.end()),
                    last_begin: read.from.max(write.from),
                }),
            }
        }
        zones.extend(clusters.into_values());
        judge_zones(zones)
    }
}

/// Those that hold the block must not do so at once, and leave the others a moment.
fn judge_zones(zones: Vec<Zone>) -> Result<(), Why> {
    let (mut held, others): (Vec<_>, Vec<_>) = zones.into_iter().partition(Zone::holds);
    held.sort_unstable_by_key(|zone| zone.first_end);
    for pair in held.windows(2) {
        if pair[1].first_end < pair[0].last_begin {
            return Err(Why::Both(pair[0].content, pair[1].content));
        }
    }
    for zone in others {
        let before = held.partition_point(|holder| holder.first_end < zone.last_begin);
        let holder = before.checked_sub(1).map(|place| held[place]);
        if let Some(holder) = holder.filter(|holder| zone.first_end < holder.last_begin) {
            return Err(Why::Within(zone.content, holder.content));
        }
    }
    Ok(())
}

impl Zone {
    /// One of its requests ended before another began: it was there from the one to the other.
    const fn holds(&self) -> bool {
        self.first_end < self.last_begin
    }

    fn join(&mut self, other: &Self) {
        self.first_end = self.first_end.min(other.first_end);
        self.last_begin = self.last_begin.max(other.last_begin);
    }
}

impl Write {
    const fn end(&self) -> u64 {
        match self.to {
            Some(to) => to,
            None => u64::MAX,
        }
    }
}

impl Default for Block {
    /// Zeros from the beginning on.
    fn default() -> Self {
        let zeros = Write { from: 0, to: Some(0), is_repeated: false };
        Self { writes: BTreeMap::from([(Content(0), zeros)]), reads: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LBA: u64 = 3;
    const ZERO: Content = Content(0);
    const A: Content = Content(1);
    const B: Content = Content(2);

    fn begin(history: &mut History, content: Content) {
        let from = history.now();
        history.writing(LBA, content, from);
    }

    fn write(history: &mut History, content: Content) {
        begin(history, content);
        history.written(LBA, content);
    }

    fn read(history: &mut History, content: Content) {
        let from = history.now();
        history.read(LBA, content, from);
    }

    fn why(history: &History) -> Option<Why> {
        history.judge().err().map(|disorder| disorder.why)
    }

    #[test]
    fn what_comes_one_after_the_other_is_seen_so() {
        let mut history = History::default();
        read(&mut history, ZERO);
        write(&mut history, A);
        read(&mut history, A);
        write(&mut history, B);
        read(&mut history, B);
        assert_eq!(why(&history), None);
        let mut stale = history.clone();
        read(&mut stale, A);
        assert!(why(&stale).is_some(), "what was overwritten came back");
        read(&mut history, Content(9));
        assert_eq!(why(&history), Some(Why::NeverWritten(Content(9))));
    }

    #[test]
    fn a_write_that_nobody_saw_must_have_been_somewhere() {
        let mut history = History::default();
        write(&mut history, A);
        write(&mut history, B);
        read(&mut history, A);
        assert_eq!(why(&history), Some(Why::Within(B, A)));
    }

    #[test]
    fn requests_at_once_have_any_order_but_one() {
        let mut history = History::default();
        let early = history.now();
        begin(&mut history, A);
        begin(&mut history, B);
        history.written(LBA, A);
        history.written(LBA, B);
        let mut other = history.clone();
        for last in [A, B] {
            let mut history = history.clone();
            history.read(LBA, ZERO, early);
            read(&mut history, last);
            assert_eq!(why(&history), None, "{last:?} was the last");
        }
        read(&mut other, A);
        read(&mut other, B);
        assert_eq!(why(&other), Some(Why::Both(A, B)), "one after the other, both were the last");
    }

    /// Once a write was seen, the old content is not seen any more, though the write is under way.
    #[test]
    fn what_was_seen_is_not_unseen() {
        let mut history = History::default();
        begin(&mut history, A);
        read(&mut history, A);
        read(&mut history, ZERO);
        assert!(why(&history).is_some());
    }

    #[test]
    fn what_was_given_up_may_come_late_but_once() {
        let mut history = History::default();
        begin(&mut history, A);
        write(&mut history, B);
        read(&mut history, B);
        read(&mut history, A);
        assert_eq!(why(&history), None);
        let mut flicker = history.clone();
        write(&mut flicker, Content(3));
        read(&mut flicker, A);
        assert!(why(&flicker).is_some(), "a write was carried out twice");
        flicker.may_repeat(LBA, A);
        assert_eq!(why(&flicker), None, "it was sent twice");
    }

    /// A write that was sent again is done when it is acknowledged.
    #[test]
    fn what_was_sent_again_is_done_with_its_answer() {
        let mut history = History::default();
        begin(&mut history, A);
        history.may_repeat(LBA, A);
        read(&mut history, A);
        write(&mut history, B);
        read(&mut history, B);
        history.written(LBA, A);
        read(&mut history, A);
        assert_eq!(why(&history), None);
        write(&mut history, Content(3));
        read(&mut history, A);
        assert!(why(&history).is_some());
    }

    #[test]
    fn a_power_cut_leaves_one_of_what_was_written() {
        let mut history = History::default();
        write(&mut history, A);
        write(&mut history, B);
        history.power_cut().unwrap();
        for left in [ZERO, A, B] {
            let mut history = history.clone();
            read(&mut history, left);
            read(&mut history, left);
            assert_eq!(why(&history), None);
            read(&mut history, if left == A { B } else { A });
            assert!(why(&history).is_some(), "but one of them");
        }
        read(&mut history, Content(7));
        assert!(why(&history).is_some(), "and nothing else");
    }
}
