//! Looking at the logical units: which there are, then what each is.
//!
//! It is done on the way up, and again whenever the target says that something changed. What was found replaces what was
//! known only at the end; the differences are told to the owner.

use super::pages::{self, Question};
use super::records::{Findings, Record};
use super::{SCAN_TOKEN, Units};
use crate::initiator::status::{Answer, answer_of};
use crate::initiator::{Carrier, Command, Data, Ending, UnitChange};
use std::collections::BTreeMap;
use stdx::env::Env;
use wire::scsi::{Lun, Status};

/// How far the look is.
#[derive(Debug)]
pub(super) struct Scan {
    /// The question that is asked, and of whom.
    asking: Option<(u16, Question)>,
    /// It found no room yet.
    unsent: bool,
    /// How often it was asked again.
    retries: u8,
    /// Something changed while we looked: look again.
    again: bool,
    /// Logical units still to be looked at, last first.
    pending: Vec<u16>,
    findings: Findings,
    found: BTreeMap<u16, Record>,
}

/// How far a look has got by the ending of a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Look {
    /// Not to its end, or the command was no part of it.
    Further,
    /// All is known; [`Units::poll_change`] tells what is different.
    Done,
    /// The target cannot be looked at: the way up begins anew.
    Failed(Ending),
}

impl Scan {
    pub fn idle() -> Self {
        Self {
            asking: None,
            unsent: false,
            retries: 0,
            again: false,
            pending: Vec::new(),
            findings: Findings::default(),
            found: BTreeMap::new(),
        }
    }
}

impl Units {
    /// Begins a look, or has the one under way repeated.
    pub fn begin_look(&mut self, env: &mut dyn Env, carrier: &mut dyn Carrier) {
        if self.scan.asking.is_some() {
            self.scan.again = true;
            return;
        }
        self.scan = Scan::idle();
        match self.settings.lun {
            Some(lun) => self.ask(env, carrier, lun, Question::Inquiry),
            None => self.ask(env, carrier, 0, Question::Luns),
        }
    }

    fn ask(&mut self, env: &mut dyn Env, carrier: &mut dyn Carrier, lun: u16, question: Question) {
        self.scan.retries = 0;
        self.ask_again(env, carrier, lun, question);
    }

    fn ask_again(&mut self, env: &mut dyn Env, carrier: &mut dyn Carrier, lun: u16, question: Question) {
        self.scan.asking = Some((lun, question));
        self.scan.unsent = true;
        self.continue_look(env, carrier);
    }

    /// Sends the question if it waits for room.
    pub fn continue_look(&mut self, env: &mut dyn Env, carrier: &mut dyn Carrier) {
        let (Some((lun, question)), true) = (self.scan.asking, self.scan.unsent) else { return };
        if carrier.ways() == 0 {
            return;
        }
        let (cdb, len) = question.command();
        let (lun, data) = (Lun::from_number(lun), Data::In(self.page.first(len)));
        if carrier.submit(env, 0, &Command { lun, cdb, data, token: SCAN_TOKEN }).is_ok() {
            self.scan.unsent = false;
            carrier.flush(env);
        }
    }

    /// An answer that may be another one next time tells nothing of a disk, and is no reason to take it away: the way up
    /// begins anew.
    pub(super) fn handle_scan_answer(
        &mut self,
        env: &mut dyn Env,
        carrier: &mut dyn Carrier,
        ending: &Ending,
    ) -> Look {
        let Some((lun, question)) = self.scan.asking else { return Look::Further };
        let attention = match answer_of(ending) {
            // What has changed since the look began may be behind it already, and a reset stands for all that changed
            // before it.
            Answer::Attention(_) => {
                self.scan.again = true;
                true
            }
            Answer::Again(_) => false,
            Answer::Done(_) => return self.handle_answer(env, carrier, lun, question, ending),
        };
        if self.scan.retries >= RETRIES_MAX || !attention {
            return Look::Failed(*ending);
        }
        self.scan.retries += 1;
        self.ask_again(env, carrier, lun, question);
        Look::Further
    }

    fn handle_answer(
        &mut self,
        env: &mut dyn Env,
        carrier: &mut dyn Carrier,
        lun: u16,
        question: Question,
        ending: &Ending,
    ) -> Look {
        let good = ending.status == Some(Status::Good as u8);
        let len = if good { (ending.moved as usize).min(self.page.len()) } else { 0 };
        self.answer.resize(len, 0);
        env.mem().read(self.page.first(len), &mut self.answer);
        let (bytes, found) = (self.answer.as_slice(), &mut self.scan.findings);
        let next = match question {
            Question::Luns => {
                // A target that cannot list them has at least the first.
                let listed = if good { pages::luns(bytes, LUNS_MAX) } else { vec![0] };
                self.scan.pending = listed;
                self.scan.pending.reverse();
                None
            }
            Question::Inquiry => pages::is_disk(bytes).then_some(Question::Pages),
            Question::Pages => {
                found.has_identification = pages::has_page(bytes, 0x83);
                found.has_limits = pages::has_page(bytes, 0xb0);
                found.has_provisioning = pages::has_page(bytes, 0xb2);
                Some(Question::Identification)
            }
            Question::Identification => {
                found.identity = pages::identity(bytes);
                Some(Question::Limits)
            }
            Question::Limits => {
                found.limits = pages::limits(bytes);
                Some(Question::Provisioning)
            }
            Question::Provisioning => {
                found.provisioning = pages::provisioning(bytes);
                Some(Question::Capacity)
            }
            Question::Capacity if good => {
                found.capacity = pages::capacity(bytes);
                Some(Question::Caching)
            }
            Question::Capacity => Some(Question::ShortCapacity),
            Question::ShortCapacity if good => {
                found.capacity = pages::short_capacity(bytes);
                Some(Question::Caching)
            }
            Question::ShortCapacity => None,
            Question::Caching => {
                found.caching = pages::caching(bytes);
                None
            }
        };
        match next.map(|question| self.skip_missing(question)) {
            Some(question) => self.ask(env, carrier, lun, question),
            None => return self.next_unit(env, carrier, lun),
        }
        Look::Further
    }

    /// The next question that the logical unit has an answer to.
    fn skip_missing(&self, question: Question) -> Question {
        let found = &self.scan.findings;
        match question {
            Question::Identification if !found.has_identification => self.skip_missing(Question::Limits),
            Question::Limits if !found.has_limits => self.skip_missing(Question::Provisioning),
            Question::Provisioning if !found.has_provisioning => Question::Capacity,
            asked => asked,
        }
    }

    /// A logical unit has been looked at; the next one, if there is one.
    fn next_unit(&mut self, env: &mut dyn Env, carrier: &mut dyn Carrier, lun: u16) -> Look {
        if let Some(record) = core::mem::take(&mut self.scan.findings).record() {
            self.scan.found.insert(lun, record);
        }
        match self.scan.pending.pop() {
            Some(lun) => self.ask(env, carrier, lun, Question::Inquiry),
            None => return self.finish_look(env, carrier),
        }
        Look::Further
    }

    fn finish_look(&mut self, env: &mut dyn Env, carrier: &mut dyn Carrier) -> Look {
        let again = self.scan.again;
        let found = core::mem::take(&mut self.scan.found);
        self.scan = Scan::idle();
        self.replace_records(found);
        if again {
            self.begin_look(env, carrier);
        }
        Look::Done
    }

    /// A disk at the same number that is another (or has blocks of another size) is one gone and one come.
    fn replace_records(&mut self, found: BTreeMap<u16, Record>) {
        let known = core::mem::take(&mut self.records);
        for (&lun, old) in &known {
            if !found.get(&lun).is_some_and(|new| is_same(old, new)) {
                self.changes.push_back(UnitChange::Removed(lun));
                self.drop_requests_of(lun);
            }
        }
        for (&lun, new) in &found {
            match known.get(&lun).filter(|old| is_same(old, new)) {
                None => self.changes.push_back(UnitChange::Added(lun)),
                Some(old) if old.info.blocks != new.info.blocks => {
                    let blocks = new.info.blocks;
                    self.changes.push_back(UnitChange::Resized { lun, blocks });
                }
                Some(_) => {}
            }
        }
        self.records = found;
        for (lun, old) in &known {
            if let Some(record) = self.records.get_mut(lun) {
                record.closed = old.closed;
            }
        }
    }
}

fn is_same(old: &Record, new: &Record) -> bool {
    old.identity == new.identity && old.info.block_size == new.info.block_size
}

/// How many logical units of a target we look at.
const LUNS_MAX: usize = 256;
/// How often a question is asked again because of unit attentions: one for each thing that may have happened.
const RETRIES_MAX: u8 = 16;
