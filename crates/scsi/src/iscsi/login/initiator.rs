//! A login as the initiator goes through it: one request of each response.

use super::Entropy;
use super::chap::{ChapError, ChapInitiator, ChapOptions};
use super::keys::SessionType;
use super::limits::{Limits, Parameters};
use super::negotiation::{Negotiation, NegotiationError};
use super::parts::{Gathering, Outgoing, PART_LEN_MAX, TEXT_LEN_MAX};
use super::text::{Pair, Text, TextError, pairs};
use super::turn::Turn;
use super::value::number_of;
use crate::iscsi::IscsiName;
use std::rc::Rc;
use thiserror::Error;
use wire::iscsi::{LoginStatus, Receiver, Stage};

/// Who we are and where we want in.
#[derive(Clone, Debug)]
pub struct InitiatorIdentity {
    /// InitiatorName.
    pub initiator: IscsiName,
    /// InitiatorAlias; empty for none.
    pub alias: String,
    /// TargetName; `None` for a discovery session.
    pub target: Option<IscsiName>,
    /// What we prove ourselves with if asked, and whether the target is to.
    pub chap: Option<Rc<ChapOptions>>,
}

/// What comes next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// This request.
    Send(Turn, Vec<u8>),
    /// Nothing: the full feature phase has begun.
    Done,
}

/// The login came to nothing.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum LoginError {
    /// The target wants us elsewhere.
    #[error("the target is at {address}")]
    Moved {
        /// `host:port[,group]`, as TargetAddress says it.
        address: String,
        /// For good.
        permanently: bool,
    },
    /// The target refused, with this class and detail.
    #[error("the target refused the login: {0}")]
    Refused(LoginStatus),
    /// Its text is none.
    #[error("the target sends {0}")]
    Text(#[from] TextError),
    /// Its values are impossible.
    #[error("in the negotiation {0}")]
    Negotiation(#[from] NegotiationError),
    /// It or we could not be proven.
    #[error("authentication failed: {0}")]
    Chap(#[from] ChapError),
    /// It wants proof, and we have none; or it does not want to prove itself.
    #[error("the target demands another method of authentication")]
    Method,
    /// It goes to another stage than we asked for, or answers out of turn.
    #[error("the target does not keep to the stages of a login")]
    Stage,
    /// It never comes to an end.
    #[error("the login does not end")]
    Endless,
}

/// A login under way.
pub struct InitiatorLogin {
    identity: Rc<InitiatorIdentity>,
    stage: Stage,
    chap: Option<ChapInitiator>,
    negotiation: Negotiation,
    offered: bool,
    gathering: Gathering,
    outgoing: Outgoing,
    /// The transition to ask for with the last part of `outgoing`.
    wanted: Option<Stage>,
    /// What we last asked for.
    asked: Option<Stage>,
    turns_left: u32,
    portal_group_tag: Option<u16>,
    target_alias: String,
}

impl InitiatorLogin {
    /// Logs a first connection in.
    pub fn new(identity: Rc<InitiatorIdentity>, limits: Limits) -> Self {
        let session_type = match identity.target {
            Some(_) => SessionType::Normal,
            None => SessionType::Discovery,
        };
        Self::with(identity, Negotiation::new(session_type, true, limits))
    }

    /// Logs another connection of a session in.
    pub fn join(identity: Rc<InitiatorIdentity>, limits: Limits, session: &Parameters) -> Self {
        Self::with(identity, Negotiation::join(session, limits))
    }

    fn with(identity: Rc<InitiatorIdentity>, negotiation: Negotiation) -> Self {
        Self {
            identity,
            stage: Stage::Security,
            chap: None,
            negotiation,
            offered: false,
            gathering: Gathering::new(TEXT_LEN_MAX),
            outgoing: Outgoing::default(),
            wanted: None,
            asked: None,
            turns_left: TURNS_MAX,
            portal_group_tag: None,
            target_alias: String::new(),
        }
    }

    /// The portal group we came to, if the target told.
    pub fn portal_group_tag(&self) -> Option<u16> {
        self.portal_group_tag
    }

    /// How the target calls itself; empty if it does not.
    pub fn target_alias(&self) -> &str {
        &self.target_alias
    }

    /// What was agreed on.
    pub fn parameters(&self) -> Result<Parameters, LoginError> {
        Ok(self.negotiation.parameters()?.seen_by(Receiver::Initiator))
    }

    /// The first request: who we are, and how we could prove it.
    pub fn begin(&mut self) -> (Turn, Vec<u8>) {
        let mut text = Text::default();
        text.put("InitiatorName", &self.identity.initiator);
        if !self.identity.alias.is_empty() {
            text.put("InitiatorAlias", &self.identity.alias);
        }
        match &self.identity.target {
            Some(target) => {
                text.put("SessionType", "Normal");
                text.put("TargetName", target);
            }
            None => text.put("SessionType", "Discovery"),
        }
        // With nothing to prove and nothing to have proven, a target that wants neither saves us a turn.
        self.wanted = None;
        match &self.identity.chap {
            Some(chap) if chap.mutual.is_some() => text.put("AuthMethod", "CHAP"),
            Some(_) => text.put("AuthMethod", "CHAP,None"),
            None => {
                text.put("AuthMethod", "None");
                self.wanted = Some(Stage::Operational);
            }
        }
        self.outgoing = Outgoing::new(text.into_bytes());
        self.request()
    }

    /// Takes a response with its status and says what comes next. Any error is the end of the login.
    pub fn handle(
        &mut self,
        entropy: &mut Entropy<'_>,
        status: LoginStatus,
        turn: Turn,
        text: &[u8],
    ) -> Result<Step, LoginError> {
        self.turns_left = self.turns_left.checked_sub(1).ok_or(LoginError::Endless)?;
        if !status.is_success() {
            return Err(refusal_of(status, text));
        }
        self.check_turn(turn)?;
        let Some(whole) = self.gathering.add(text, turn.more)? else {
            // It owes us the rest, and we owe it an empty request for that.
            self.asked = None;
            return Ok(Step::Send(Turn::stay(self.stage), Vec::new()));
        };
        if !self.outgoing.is_empty() {
            let (turn, part) = self.request();
            return Ok(Step::Send(turn, part));
        }
        let pairs = pairs(&whole).collect::<Result<Vec<_>, _>>()?;
        let mut next = Text::default();
        match self.stage {
            Stage::Security => self.handle_security(entropy, &pairs, &mut next)?,
            Stage::Operational | Stage::FullFeature => self.handle_operational(&pairs, &mut next)?,
        }
        self.advance(turn.next, next)
    }

    /// A target stays, or goes where we asked it to.
    fn check_turn(&self, turn: Turn) -> Result<(), LoginError> {
        let goes_along = turn.next.is_none() || turn.next == self.asked;
        if turn.is_valid() && turn.stage == self.stage && goes_along {
            Ok(())
        } else {
            Err(LoginError::Stage)
        }
    }

    fn handle_security(
        &mut self,
        entropy: &mut Entropy<'_>,
        pairs: &[Pair<'_>],
        next: &mut Text,
    ) -> Result<(), LoginError> {
        for pair in pairs {
            match pair.key {
                "AuthMethod" => self.handle_method(pair.value, next)?,
                key if key.starts_with("CHAP_") => {}
                _other => self.handle_other(pair, next)?,
            }
        }
        let proofs: Vec<Pair<'_>> =
            pairs.iter().filter(|pair| pair.key.starts_with("CHAP_")).copied().collect();
        if let Some(chap) = &mut self.chap {
            // The response that chooses CHAP has nothing of it yet.
            let waits = next.is_empty() || !proofs.is_empty();
            if waits && !chap.is_done() {
                chap.handle(entropy, &proofs, next)?;
            }
            self.wanted = chap.has_answered().then_some(Stage::Operational);
        }
        Ok(())
    }

    /// The target has chosen.
    fn handle_method(&mut self, method: &str, next: &mut Text) -> Result<(), LoginError> {
        match (method, &self.identity.chap) {
            ("CHAP", Some(options)) if self.chap.is_none() => {
                self.chap = Some(ChapInitiator::offer(Rc::clone(options), next));
                Ok(())
            }
            ("None", Some(options)) if options.mutual.is_some() => Err(LoginError::Method),
            ("None", _) if self.chap.is_none() => {
                self.wanted = Some(Stage::Operational);
                Ok(())
            }
            _another => Err(LoginError::Method),
        }
    }

    fn handle_operational(&mut self, pairs: &[Pair<'_>], next: &mut Text) -> Result<(), LoginError> {
        for pair in pairs {
            self.handle_other(pair, next)?;
        }
        self.wanted = Some(Stage::FullFeature);
        Ok(())
    }

    fn handle_other(&mut self, pair: &Pair<'_>, next: &mut Text) -> Result<(), LoginError> {
        match pair.key {
            "TargetPortalGroupTag" => {
                self.portal_group_tag = number_of(pair.value).and_then(|tag| u16::try_from(tag).ok());
            }
            "TargetAlias" => self.target_alias = pair.value.chars().take(ALIAS_LEN_MAX).collect(),
            "TargetAddress" | "TargetName" => {}
            _negotiated => {
                let known = self.negotiation.handle(pair, next)?;
                if !known && pair.value != "NotUnderstood" {
                    next.put(pair.key, "NotUnderstood");
                }
            }
        }
        Ok(())
    }

    /// Goes on to the stage the target has granted, and says there what is to be said.
    fn advance(&mut self, granted: Option<Stage>, mut next: Text) -> Result<Step, LoginError> {
        match granted {
            Some(Stage::FullFeature) if next.is_empty() && self.negotiation.is_settled() => {
                self.negotiation.parameters()?;
                self.stage = Stage::FullFeature;
                return Ok(Step::Done);
            }
            Some(Stage::Operational) if next.is_empty() => self.enter_operational(&mut next)?,
            Some(_) => return Err(LoginError::Stage),
            None => {}
        }
        self.outgoing = Outgoing::new(next.into_bytes());
        let (turn, part) = self.request();
        Ok(Step::Send(turn, part))
    }

    fn enter_operational(&mut self, next: &mut Text) -> Result<(), LoginError> {
        if self.chap.as_ref().is_some_and(|chap| !chap.is_done()) {
            return Err(LoginError::Chap(ChapError::OneWay));
        }
        self.stage = Stage::Operational;
        self.wanted = Some(Stage::FullFeature);
        if !core::mem::replace(&mut self.offered, true) {
            self.negotiation.offer_all(next);
        }
        Ok(())
    }

    fn request(&mut self) -> (Turn, Vec<u8>) {
        let (part, more) = self.outgoing.next(PART_LEN_MAX);
        let next = if more { None } else { self.wanted };
        self.asked = next;
        (Turn { stage: self.stage, next, more }, part)
    }
}

fn refusal_of(status: LoginStatus, text: &[u8]) -> LoginError {
    let permanently = status == LoginStatus::MovedPermanently;
    if !permanently && status != LoginStatus::MovedTemporarily {
        return LoginError::Refused(status);
    }
    match pairs(text).map_while(Result::ok).find(|pair| pair.key == "TargetAddress") {
        Some(pair) => LoginError::Moved { address: pair.value.to_owned(), permanently },
        None => LoginError::Refused(status),
    }
}

impl LoginError {
    /// True if trying again is known to be useless: who we are, where we go or what we can would have to change first.
    pub fn is_final(&self) -> bool {
        match self {
            LoginError::Refused(status) => is_final(*status),
            LoginError::Chap(_) | LoginError::Method => true,
            LoginError::Negotiation(NegotiationError::Needed(_)) => true,
            LoginError::Moved { .. } | LoginError::Text(_) | LoginError::Negotiation(_) => false,
            LoginError::Stage | LoginError::Endless => false,
        }
    }
}

fn is_final(status: LoginStatus) -> bool {
    match status {
        LoginStatus::MovedTemporarily | LoginStatus::MovedPermanently => false,
        LoginStatus::InitiatorError
        | LoginStatus::AuthenticationFailure
        | LoginStatus::AuthorizationFailure
        | LoginStatus::NotFound
        | LoginStatus::TargetRemoved
        | LoginStatus::UnsupportedVersion
        | LoginStatus::MissingParameter
        | LoginStatus::CannotInclude
        | LoginStatus::SessionType
        | LoginStatus::InvalidDuringLogin => true,
        LoginStatus::TooManyConnections | LoginStatus::NoSuchSession => false,
        LoginStatus::TargetError | LoginStatus::ServiceUnavailable | LoginStatus::OutOfResources => false,
        LoginStatus::Success => false,
    }
}

/// The longest alias we keep, in characters.
const ALIAS_LEN_MAX: usize = 255;
/// Responses in a login, parts of long texts among them.
const TURNS_MAX: u32 = 32;
