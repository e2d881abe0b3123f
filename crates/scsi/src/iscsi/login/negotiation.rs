//! Operational parameters: offers, answers, and what comes of them (RFC 7143, sections 6.2 and 13).
//!
//! ```text
//!            offered by us              answered by the peer
//!   Unsaid ------------------> Offered ----------------------> Settled
//!      |                                                          ^
//!      +-------------- offered by the peer, answered by us -------+
//! ```
//!
//! Both ends use the same engine; an initiator begins with [`Negotiation::offer_all`], a target answers and offers with
//! [`Negotiation::offer_needed`] only what the initiator left at a default it cannot take.

use super::keys::{KEYS, Key, ROWS, Row, Rule, SessionType, Usage};
use super::limits::{Limits, Parameters, TaskReporting};
use super::text::{Pair, Text};
use super::value::number_of;
use thiserror::Error;

/// The negotiation of one connection's login.
#[derive(Clone, Debug)]
pub struct Negotiation {
    session_type: SessionType,
    leading: bool,
    limits: Limits,
    /// The outcome of each key; of MaxRecvDataSegmentLength, what the peer declared.
    agreed: [u32; KEYS],
    progress: [Progress; KEYS],
    declared: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Progress {
    Unsaid,
    Offered,
    /// Offered, and whatever the peer wants the outcome is sure: it may answer, and some do not (section 6.2.2).
    Decided,
    Settled,
}

/// The peer said what it must not say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum NegotiationError {
    /// A key came a second time.
    #[error("{name} was negotiated twice", name = .0.name())]
    Again(Key),
    /// A key that belongs to the login of the first connection.
    #[error("{name} is of the session, and negotiated with its first connection", name = .0.name())]
    NotLeading(Key),
    /// A declared value out of bounds, or an answer that does not follow from the offer.
    #[error("{name} has a value it must not have", name = .0.name())]
    Value(Key),
    /// A digest that we must have, or must not have, was not agreed on as we want it.
    #[error("the other end does not agree to our {name}", name = .0.name())]
    Needed(Key),
    /// A key that may be used during login only.
    #[error("{name} came after the login", name = .0.name())]
    Late(Key),
}

impl Negotiation {
    /// Nothing is said yet. `leading`: of the first connection of a session.
    pub fn new(session_type: SessionType, leading: bool, limits: Limits) -> Self {
        let agreed = ROWS.map(|row| row.default);
        let declared = Key::MaxRecvDataSegmentLength.row().default;
        Self { session_type, leading, limits, agreed, progress: [Progress::Unsaid; KEYS], declared }
    }

    /// The parameters of the session hold for a connection that joins it.
    pub fn join(session: &Parameters, limits: Limits) -> Self {
        let mut joined = Self::new(SessionType::Normal, false, limits);
        let mut keep = |key: Key, value: u32| joined.agreed[key as usize] = value;
        keep(Key::MaxConnections, session.max_connections.into());
        keep(Key::InitialR2T, session.initial_r2t.into());
        keep(Key::ImmediateData, session.immediate_data.into());
        keep(Key::MaxBurstLength, session.max_burst_len);
        keep(Key::FirstBurstLength, session.first_burst_len);
        keep(Key::DefaultTime2Wait, session.time_to_wait_s.into());
        keep(Key::DefaultTime2Retain, session.time_to_retain_s.into());
        keep(Key::MaxOutstandingR2T, session.max_outstanding_r2t.into());
        keep(Key::DataPDUInOrder, session.data_pdu_in_order.into());
        keep(Key::DataSequenceInOrder, session.data_sequence_in_order.into());
        keep(Key::ErrorRecoveryLevel, session.error_recovery_level.into());
        keep(Key::TaskReporting, session.task_reporting as u32);
        keep(Key::ISCSIProtocolLevel, session.protocol_level.into());
        keep(Key::RDMAExtensions, session.rdma_extensions.into());
        keep(Key::TaggedBufferForSolicitedDataOnly, session.tagged_buffer_is_solicited.into());
        joined
    }

    /// Offers every key that means something here: an initiator's first words.
    pub fn offer_all(&mut self, text: &mut Text) {
        for row in &ROWS {
            let applies = self.applies(row) && !matches!(row.rule, Rule::Stated | Rule::Retired);
            // A single value is what silence means, too.
            let said = row.key != Key::TaskReporting || self.limits.wish(row.key) != row.default;
            if applies && said {
                self.offer(row, text);
            }
        }
    }

    /// Declares what must be declared, and offers each key whose default is more than we take.
    pub fn offer_needed(&mut self, text: &mut Text) {
        for row in &ROWS {
            let unsaid = self.progress[row.key as usize] == Progress::Unsaid && self.applies(row);
            let needed = match row.rule {
                Rule::Declared(..) => self.applies(row) && self.declared != self.limits.wish(row.key),
                Rule::Announced(..) | Rule::Stated => false,
                Rule::Digest => unsaid && !self.limits.digest(row.key).takes(row.default != 0),
                _negotiated => unsaid && self.outcome(row, row.default) != row.default,
            };
            if needed {
                self.offer(row, text);
            }
        }
    }

    /// True if the peer owes no answer.
    pub fn is_settled(&self) -> bool {
        !self.progress.contains(&Progress::Offered)
    }

    /// Takes an offer or an answer of the login; what is to be answered is appended to `answers`. `Ok(false)`: the key is
    /// none of these.
    pub fn handle(&mut self, pair: &Pair<'_>, answers: &mut Text) -> Result<bool, NegotiationError> {
        let Some(key) = Key::of(pair.key) else { return Ok(false) };
        let row = key.row();
        if let Rule::Declared(min, max) = row.rule {
            self.handle_declared(key, pair.value, min, max)?;
            return Ok(true);
        }
        if let Rule::Announced(min, max) = row.rule {
            self.handle_announced(row, pair.value, min, max, answers)?;
            return Ok(true);
        }
        if row.rule == Rule::Stated && self.applies(row) {
            self.handle_stated(row, pair.value)?;
            return Ok(true);
        }
        match self.progress[key as usize] {
            Progress::Offered | Progress::Decided => self.handle_answer(row, pair.value)?,
            Progress::Settled => return Err(NegotiationError::Again(key)),
            Progress::Unsaid if !self.leading && row.usage == Usage::Leading => {
                return Err(NegotiationError::NotLeading(key));
            }
            Progress::Unsaid => self.handle_offer(row, pair.value, answers),
        }
        self.progress[key as usize] = Progress::Settled;
        Ok(true)
    }

    /// Takes a key of a text request or response in the full feature phase: only what may be declared at any time.
    pub fn handle_later(&mut self, pair: &Pair<'_>) -> Result<bool, NegotiationError> {
        let Some(key) = Key::of(pair.key) else { return Ok(false) };
        let Rule::Declared(min, max) = key.rule() else { return Err(NegotiationError::Late(key)) };
        // What was declared before holds no longer.
        self.progress[key as usize] = Progress::Unsaid;
        self.handle_declared(key, pair.value, min, max)?;
        Ok(true)
    }

    /// What was agreed on; an error if it lacks what we must have.
    pub fn parameters(&self) -> Result<Parameters, NegotiationError> {
        for key in [Key::HeaderDigest, Key::DataDigest] {
            if !self.limits.digest(key).takes(self.agreed[key as usize] != 0) {
                return Err(NegotiationError::Needed(key));
            }
        }
        // RFC 7145, section 5.1: a connection of iSER is no other.
        let is_rdma = self.agreed[Key::RDMAExtensions as usize] != 0;
        if self.session_type == SessionType::Normal && is_rdma != self.limits.rdma.is_some() {
            return Err(NegotiationError::Needed(Key::RDMAExtensions));
        }
        Ok(Parameters::of(&self.agreed, self.declared))
    }

    fn applies(&self, row: &Row) -> bool {
        let normal = self.session_type == SessionType::Normal;
        let session = !(row.normal_only || row.rdma_only) || normal;
        // What MaxRecvDataSegmentLength is to a stream other keys are to iSER (RFC 7145, section 6.2).
        let is_rdma = self.limits.rdma.is_some();
        let transport =
            if is_rdma { row.key != Key::MaxRecvDataSegmentLength || !normal } else { !row.rdma_only };
        session && transport && (self.leading || row.usage != Usage::Leading)
    }

    fn offer(&mut self, row: &Row, text: &mut Text) {
        let wish = self.limits.wish(row.key);
        self.progress[row.key as usize] = Progress::Offered;
        match row.rule {
            Rule::Digest => text.put(row.name, self.limits.digest(row.key).offer()),
            Rule::Or | Rule::And => {
                if self.outcome(row, 0) == self.outcome(row, 1) {
                    self.progress[row.key as usize] = Progress::Decided;
                    self.agreed[row.key as usize] = wish;
                }
                text.put(row.name, yes_or_no(wish));
            }
            Rule::Minimum(..) | Rule::Maximum(..) => text.put(row.name, wish),
            Rule::Reporting => {
                let names: Vec<_> = self.reporting().rev().map(TaskReporting::name).collect();
                text.put(row.name, names.join(","));
            }
            Rule::Declared(..) => {
                // The peer's own declaration is another matter, and owes this one no answer.
                self.progress[row.key as usize] = Progress::Unsaid;
                self.declared = wish;
                text.put(row.name, wish);
            }
            Rule::Announced(..) => {
                self.progress[row.key as usize] = Progress::Decided;
                text.put(row.name, wish);
            }
            Rule::Stated | Rule::Retired => {}
        }
    }

    /// The ways of reporting that we have.
    fn reporting(&self) -> impl DoubleEndedIterator<Item = TaskReporting> {
        TaskReporting::ALL.into_iter().filter(|way| *way <= self.limits.task_reporting)
    }

    fn handle_declared(&mut self, key: Key, value: &str, min: u32, max: u32) -> Result<(), NegotiationError> {
        if SPECIAL.contains(&value) {
            // About ours; they take it or leave.
            return Ok(());
        }
        if self.progress[key as usize] == Progress::Settled {
            return Err(NegotiationError::Again(key));
        }
        let number = number_of(value).filter(|number| (min..=max).contains(number));
        self.agreed[key as usize] = number.ok_or(NegotiationError::Value(key))?;
        self.progress[key as usize] = Progress::Settled;
        Ok(())
    }

    /// The peer tells its own; ours follows, if it was not told.
    fn handle_announced(
        &mut self,
        row: &Row,
        value: &str,
        min: u32,
        max: u32,
        answers: &mut Text,
    ) -> Result<(), NegotiationError> {
        let progress = core::mem::replace(&mut self.progress[row.key as usize], Progress::Settled);
        if progress == Progress::Settled {
            return Err(NegotiationError::Again(row.key));
        }
        if SPECIAL.contains(&value) {
            return Ok(());
        }
        let number = number_of(value).filter(|number| (min..=max).contains(number));
        self.agreed[row.key as usize] = number.ok_or(NegotiationError::Value(row.key))?;
        if progress == Progress::Unsaid && self.applies(row) {
            answers.put(row.name, self.limits.wish(row.key));
        }
        Ok(())
    }

    /// The peer says what it does.
    fn handle_stated(&mut self, row: &Row, value: &str) -> Result<(), NegotiationError> {
        if core::mem::replace(&mut self.progress[row.key as usize], Progress::Settled) == Progress::Settled {
            return Err(NegotiationError::Again(row.key));
        }
        self.agreed[row.key as usize] = read(row, value).ok_or(NegotiationError::Value(row.key))?;
        Ok(())
    }

    /// The peer offers: the outcome is said. An offer that makes no sense is rejected, and the default stays.
    fn handle_offer(&mut self, row: &Row, value: &str, answers: &mut Text) {
        if SPECIAL.contains(&value) && row.rule != Rule::Digest {
            return answers.put(row.name, "Reject");
        }
        if row.normal_only && self.session_type == SessionType::Discovery {
            return answers.put(row.name, "Irrelevant");
        }
        if row.rdma_only && self.limits.rdma.is_none() && row.key != Key::RDMAExtensions {
            return answers.put(row.name, "Irrelevant");
        }
        let outcome = self.outcome_of_offer(row, value);
        let Some(outcome) = outcome else { return answers.put(row.name, "Reject") };
        self.agreed[row.key as usize] = outcome;
        match row.rule {
            Rule::Digest => answers.put(row.name, digest_name(outcome)),
            Rule::Or | Rule::And => answers.put(row.name, yes_or_no(outcome)),
            Rule::Reporting => answers.put(row.name, TaskReporting::ALL[outcome as usize].name()),
            Rule::Minimum(..)
            | Rule::Maximum(..)
            | Rule::Declared(..)
            | Rule::Announced(..)
            | Rule::Stated
            | Rule::Retired => {
                answers.put(row.name, outcome);
            }
        }
    }

    fn outcome_of_offer(&self, row: &Row, value: &str) -> Option<u32> {
        match row.rule {
            Rule::Digest => {
                let policy = self.limits.digest(row.key);
                let mut known = value.split(',').filter_map(digest_of);
                known.find(|digest| policy.takes(*digest != 0))
            }
            Rule::Reporting => {
                let mut known = value.split(',').filter_map(reporting_of);
                known.find(|way| *way <= self.limits.task_reporting).map(|way| way as u32)
            }
            Rule::Or | Rule::And | Rule::Minimum(..) | Rule::Maximum(..) => {
                read(row, value).map(|offered| self.outcome(row, offered))
            }
            Rule::Declared(..) | Rule::Announced(..) | Rule::Stated | Rule::Retired => None,
        }
    }

    /// What a value of the peer's and our wish make.
    fn outcome(&self, row: &Row, offered: u32) -> u32 {
        let wish = self.limits.wish(row.key);
        match row.rule {
            Rule::Or | Rule::Maximum(..) => offered.max(wish),
            Rule::And | Rule::Minimum(..) => offered.min(wish),
            Rule::Digest
            | Rule::Reporting
            | Rule::Declared(..)
            | Rule::Announced(..)
            | Rule::Stated
            | Rule::Retired => offered,
        }
    }

    /// The peer answers our offer. What it says must follow from it.
    fn handle_answer(&mut self, row: &Row, value: &str) -> Result<(), NegotiationError> {
        if SPECIAL.contains(&value) && !(row.rule == Rule::Digest && value == "None") {
            return Ok(());
        }
        let answer = match row.rule {
            Rule::Digest => match digest_of(value) {
                Some(digest) if !self.limits.digest(row.key).takes(digest != 0) => {
                    return Err(NegotiationError::Needed(row.key));
                }
                digest => digest,
            },
            Rule::Reporting => {
                reporting_of(value).filter(|way| *way <= self.limits.task_reporting).map(|way| way as u32)
            }
            Rule::Or | Rule::And | Rule::Minimum(..) | Rule::Maximum(..) => {
                read(row, value).filter(|answer| self.outcome(row, *answer) == *answer)
            }
            Rule::Declared(..) | Rule::Announced(..) | Rule::Stated | Rule::Retired => None,
        };
        self.agreed[row.key as usize] = answer.ok_or(NegotiationError::Value(row.key))?;
        Ok(())
    }
}

/// The value of a number or of yes and no.
fn read(row: &Row, value: &str) -> Option<u32> {
    match row.rule {
        Rule::Or | Rule::And | Rule::Stated => match value {
            "Yes" => Some(1),
            "No" => Some(0),
            _neither => None,
        },
        Rule::Minimum(min, max)
        | Rule::Maximum(min, max)
        | Rule::Declared(min, max)
        | Rule::Announced(min, max) => number_of(value).filter(|number| (min..=max).contains(number)),
        Rule::Digest | Rule::Reporting | Rule::Retired => None,
    }
}

fn yes_or_no(value: u32) -> &'static str {
    if value != 0 { "Yes" } else { "No" }
}

fn digest_name(digest: u32) -> &'static str {
    if digest != 0 { "CRC32C" } else { "None" }
}

fn digest_of(name: &str) -> Option<u32> {
    match name {
        "None" => Some(0),
        "CRC32C" => Some(1),
        _unknown => None,
    }
}

fn reporting_of(name: &str) -> Option<TaskReporting> {
    TaskReporting::ALL.into_iter().find(|way| way.name() == name)
}

/// Values that stand for themselves in every key (section 6.1).
pub(super) const SPECIAL: [&str; 4] = ["None", "Reject", "Irrelevant", "NotUnderstood"];

#[cfg(test)]
#[path = "negotiation_tests.rs"]
mod tests;
