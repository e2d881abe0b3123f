//! A login as the target goes through it: one response of each request.
//!
//! ```text
//!            InitiatorName, TargetName            proven, or nobody asks
//!   (first) ---- the owner admits ----> Security ------------------------> Operational ----> FullFeature
//!      |                                    |                                  ^                  ^
//!      |                                    +-------- straight on -------------|------------------+
//!      +------------------ without Security, if nobody asks -------------------+
//! ```

use super::Entropy;
use super::chap::{ChapAccounts, ChapTarget};
use super::keys::SessionType;
use super::limits::{Limits, Parameters};
use super::negotiation::{Negotiation, NegotiationError};
use super::parts::{Gathering, Outgoing, PART_LEN_MAX, TEXT_LEN_MAX};
use super::refusal::Refusal;
use super::text::{Pair, Text, pairs};
use super::turn::Turn;
use crate::iscsi::IscsiName;
use std::rc::Rc;
use wire::iscsi::{Receiver, Stage};

/// Who wants in, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// InitiatorName.
    pub initiator: IscsiName,
    /// InitiatorAlias; empty if there is none.
    pub initiator_alias: String,
    /// SessionType.
    pub session_type: SessionType,
    /// TargetName; a normal session has one.
    pub target: Option<IscsiName>,
}

/// How an initiator must prove who it is.
#[derive(Clone, Debug)]
pub enum Authentication {
    /// Not at all: `AuthMethod=None` is the only method.
    None,
    /// By CHAP if it offers that; else not at all.
    Optional(Rc<ChapAccounts>),
    /// By CHAP, or it is refused.
    Required(Rc<ChapAccounts>),
}

/// What the owner lets an initiator do.
#[derive(Clone, Debug)]
pub struct Admission {
    /// How it must prove who it is.
    pub authentication: Authentication,
    /// What we want of the parameters.
    pub limits: Limits,
    /// The session it joins, if it is to be another connection of one; its parameters hold.
    pub joins: Option<Parameters>,
    /// The tag of the portal group it came to (TargetPortalGroupTag), told in a normal session.
    pub portal_group_tag: u16,
    /// TargetAlias; empty for none.
    pub target_alias: String,
}

/// Asked once in a login, when the initiator has told who it is.
pub type Admit<'a> = dyn FnMut(&Identity) -> Result<Admission, Refusal> + 'a;

/// A login under way.
pub struct TargetLogin {
    stage: Stage,
    admitted: Option<Admitted>,
    gathering: Gathering,
    outgoing: Outgoing,
    /// Nothing of this stage is left to be settled.
    ready: bool,
    turns_left: u32,
}

struct Admitted {
    identity: Identity,
    authentication: Authentication,
    chap: Option<ChapTarget>,
    /// AuthMethod was settled.
    method_settled: bool,
    negotiation: Negotiation,
}

impl Default for TargetLogin {
    fn default() -> Self {
        Self::new()
    }
}

impl TargetLogin {
    /// Waits for the first request.
    pub fn new() -> Self {
        Self {
            stage: Stage::Security,
            admitted: None,
            gathering: Gathering::new(TEXT_LEN_MAX),
            outgoing: Outgoing::default(),
            ready: false,
            turns_left: TURNS_MAX,
        }
    }

    /// The stage that the next request must be of; [`Stage::FullFeature`] once the login is over.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Who it is; `None` before the owner has admitted it.
    pub fn identity(&self) -> Option<&Identity> {
        self.admitted.as_ref().map(|admitted| &admitted.identity)
    }

    /// The name that CHAP has proven, if it did.
    pub fn proven_name(&self) -> Option<&str> {
        self.admitted.as_ref()?.chap.as_ref()?.proven_name()
    }

    /// What was agreed on; [`Refusal::InitiatorError`] if it is not enough for us. To be asked in the full feature phase.
    pub fn parameters(&self) -> Result<Parameters, Refusal> {
        let admitted = self.admitted.as_ref().ok_or(Refusal::InitiatorError)?;
        Ok(admitted.negotiation.parameters()?.seen_by(Receiver::Target))
    }

    /// Makes the response to a request. After a refusal the connection is to be closed, with [`Refusal::status`] told.
    pub fn handle(
        &mut self,
        entropy: &mut Entropy<'_>,
        turn: Turn,
        text: &[u8],
        admit: &mut Admit<'_>,
    ) -> Result<(Turn, Vec<u8>), Refusal> {
        self.turns_left = self.turns_left.checked_sub(1).ok_or(Refusal::InitiatorError)?;
        self.check_turn(turn)?;
        if !self.outgoing.is_empty() {
            // It owes us an empty request for each part of our text (section 6.2).
            return if text.is_empty() { Ok(self.respond(turn)) } else { Err(Refusal::InitiatorError) };
        }
        let Some(whole) = self.gathering.add(text, turn.more)? else {
            return Ok((Turn::stay(self.stage), Vec::new()));
        };
        let pairs = pairs(&whole).collect::<Result<Vec<_>, _>>()?;
        let mut answer = Text::default();
        if self.admitted.is_none() {
            self.admit(&pairs, &mut answer, admit)?;
        }
        self.handle_pairs(entropy, turn, &pairs, &mut answer)?;
        self.outgoing = Outgoing::new(answer.into_bytes());
        Ok(self.respond(turn))
    }

    /// The first request may begin in either stage; after that the stage is where both are.
    fn check_turn(&mut self, turn: Turn) -> Result<(), Refusal> {
        let first = self.turns_left == TURNS_MAX - 1;
        if !turn.is_valid() || self.stage == Stage::FullFeature || !(first || turn.stage == self.stage) {
            return Err(Refusal::InitiatorError);
        }
        self.stage = turn.stage;
        Ok(())
    }

    fn admit(&mut self, pairs: &[Pair<'_>], answer: &mut Text, admit: &mut Admit<'_>) -> Result<(), Refusal> {
        let identity = identity_of(pairs)?;
        let admission = admit(&identity)?;
        if identity.session_type == SessionType::Normal {
            answer.put("TargetPortalGroupTag", admission.portal_group_tag);
            if !admission.target_alias.is_empty() {
                answer.put("TargetAlias", &admission.target_alias);
            }
        }
        let negotiation = match &admission.joins {
            Some(session) => Negotiation::join(session, admission.limits),
            None => Negotiation::new(identity.session_type, true, admission.limits),
        };
        let authentication = admission.authentication;
        let (chap, method_settled) = (None, false);
        self.admitted = Some(Admitted { identity, authentication, chap, method_settled, negotiation });
        Ok(())
    }

    fn handle_pairs(
        &mut self,
        entropy: &mut Entropy<'_>,
        turn: Turn,
        pairs: &[Pair<'_>],
        answer: &mut Text,
    ) -> Result<(), Refusal> {
        let admitted = self.admitted.as_mut().ok_or(Refusal::InitiatorError)?;
        // Neither end goes on while an offer of ours waits for its answer, or the initiator has something to prove.
        self.ready = match self.stage {
            Stage::Security => admitted.handle_security(entropy, turn.next, pairs, answer)?,
            Stage::Operational | Stage::FullFeature => admitted.handle_operational(pairs, answer)?,
        };
        if self.ready && turn.next == Some(Stage::FullFeature) {
            admitted.negotiation.parameters()?;
        }
        Ok(())
    }

    /// The next part of what is to be said; the transition goes with the last, if the request it answers wants it.
    fn respond(&mut self, request: Turn) -> (Turn, Vec<u8>) {
        let (part, more) = self.outgoing.next(PART_LEN_MAX);
        let next = request.next.filter(|_| self.ready && !more);
        let turn = Turn { stage: self.stage, next, more };
        self.stage = next.unwrap_or(self.stage);
        (turn, part)
    }
}

impl Admitted {
    /// True if the initiator may go on to the next stage.
    fn handle_security(
        &mut self,
        entropy: &mut Entropy<'_>,
        next: Option<Stage>,
        pairs: &[Pair<'_>],
        answer: &mut Text,
    ) -> Result<bool, Refusal> {
        for pair in pairs {
            match pair.key {
                "AuthMethod" => self.choose_method(pair.value, answer)?,
                key if is_of_identity(key) || key.starts_with("CHAP_") => {}
                _other => self.handle_other(pair, answer)?,
            }
        }
        let chap: Vec<Pair<'_>> =
            pairs.iter().filter(|pair| pair.key.starts_with("CHAP_")).copied().collect();
        match &mut self.chap {
            Some(chap_target) if !chap.is_empty() => {
                chap_target.handle(entropy, &chap, answer).map_err(|_| Refusal::AuthenticationFailure)?;
            }
            None if !chap.is_empty() => return Err(Refusal::InitiatorError),
            Some(_) | None => {}
        }
        let passed = self.has_passed();
        // Who wants to go on without having said a word of how to prove itself never will.
        if next.is_some() && !passed && self.chap.is_none() {
            return Err(Refusal::AuthenticationFailure);
        }
        Ok(passed)
    }

    fn handle_operational(&mut self, pairs: &[Pair<'_>], answer: &mut Text) -> Result<bool, Refusal> {
        if !self.has_passed() {
            return Err(Refusal::AuthenticationFailure);
        }
        for pair in pairs {
            let handled = is_of_identity(pair.key) || self.negotiation.handle(pair, answer)?;
            if !handled {
                answer_unknown(pair, answer);
            }
        }
        self.negotiation.offer_needed(answer);
        Ok(self.negotiation.is_settled())
    }

    /// In the security stage, of the operational keys only those that may come at any time.
    fn handle_other(&mut self, pair: &Pair<'_>, answer: &mut Text) -> Result<(), Refusal> {
        match super::Key::of(pair.key) {
            Some(key) if key.usage() == super::Usage::Any => {
                self.negotiation.handle(pair, answer)?;
            }
            Some(_) => return Err(Refusal::InitiatorError),
            None => answer_unknown(pair, answer),
        }
        Ok(())
    }

    /// True if nothing more is to be proven.
    fn has_passed(&self) -> bool {
        match (&self.chap, &self.authentication) {
            (Some(chap), _) => chap.proven_name().is_some(),
            (None, Authentication::None | Authentication::Optional(_)) => true,
            (None, Authentication::Required(_)) => false,
        }
    }

    /// The first method of the list that will do.
    fn choose_method(&mut self, list: &str, answer: &mut Text) -> Result<(), Refusal> {
        if core::mem::replace(&mut self.method_settled, true) {
            return Err(Refusal::InitiatorError);
        }
        for method in list.split(',') {
            match (method, &self.authentication) {
                ("CHAP", Authentication::Optional(accounts) | Authentication::Required(accounts)) => {
                    self.chap = Some(ChapTarget::new(Rc::clone(accounts)));
                    answer.put("AuthMethod", "CHAP");
                    return Ok(());
                }
                ("None", Authentication::None | Authentication::Optional(_)) => {
                    answer.put("AuthMethod", "None");
                    return Ok(());
                }
                _another => {}
            }
        }
        Err(Refusal::AuthenticationFailure)
    }
}

impl From<NegotiationError> for Refusal {
    fn from(_: NegotiationError) -> Self {
        Refusal::InitiatorError
    }
}

fn identity_of(pairs: &[Pair<'_>]) -> Result<Identity, Refusal> {
    let mut found = [None; 4];
    for pair in pairs {
        if let Some(index) = IDENTITY_KEYS.iter().position(|key| *key == pair.key)
            && found[index].replace(pair.value).is_some()
        {
            return Err(Refusal::InitiatorError);
        }
    }
    let [initiator, alias, session_type, target] = found;
    let name = |text: &str| IscsiName::from_peer(text).map_err(|_| Refusal::InitiatorError);
    let initiator = name(initiator.ok_or(Refusal::MissingParameter)?)?;
    let session_type = match session_type {
        Some("Discovery") => SessionType::Discovery,
        Some("Normal") | None => SessionType::Normal,
        Some(_another) => return Err(Refusal::SessionType),
    };
    let target = target.map(name).transpose()?;
    if session_type == SessionType::Normal && target.is_none() {
        return Err(Refusal::MissingParameter);
    }
    let alias: String = alias.unwrap_or("").chars().take(ALIAS_LEN_MAX).collect();
    Ok(Identity { initiator, initiator_alias: alias, session_type, target })
}

/// Keys that say who it is; of use in the first request only, and no harm later.
fn is_of_identity(key: &str) -> bool {
    IDENTITY_KEYS.contains(&key)
}

/// A key nobody here knows is answered, unless it is such an answer itself.
fn answer_unknown(pair: &Pair<'_>, answer: &mut Text) {
    if pair.value != "NotUnderstood" {
        answer.put(pair.key, "NotUnderstood");
    }
}

const IDENTITY_KEYS: [&str; 4] = ["InitiatorName", "InitiatorAlias", "SessionType", "TargetName"];
/// The longest alias we keep, in characters (section 13.6: 255 bytes).
const ALIAS_LEN_MAX: usize = 255;
/// Requests in a login, parts of long texts among them.
const TURNS_MAX: u32 = 32;
