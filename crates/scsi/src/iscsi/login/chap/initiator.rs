//! The end that is asked first.

use super::super::text::Text;
use super::super::value::{Binary, number_of};
use super::super::{Entropy, Pair, Secret};
use super::{Challenge, ChapAlgorithm, ChapError};
use std::rc::Rc;

/// What an initiator proves itself with, and what it wants proven.
#[derive(Clone, Debug)]
pub struct ChapOptions {
    /// The name we give.
    pub name: String,
    /// Our secret.
    pub secret: Secret,
    /// The target's name (`None`: whatever it says) and secret, if it is to prove itself, too.
    pub mutual: Option<(Option<String>, Secret)>,
    /// The algorithms to offer, the best first.
    pub algorithms: Vec<ChapAlgorithm>,
}

impl ChapOptions {
    /// One way, with every algorithm.
    pub fn one_way(name: String, secret: Secret) -> Self {
        Self { name, secret, mutual: None, algorithms: ChapAlgorithm::ALL.to_vec() }
    }

    /// True unless both directions share a secret, which would let one end's answer serve as the other's: it must not be
    /// configured (section 12.1.3).
    pub fn is_sound(&self) -> bool {
        let distinct = self.mutual.as_ref().is_none_or(|(_, secret)| !secret.is_same(&self.secret));
        distinct && !self.algorithms.is_empty()
    }
}

/// CHAP as the initiator goes through it.
pub struct ChapInitiator {
    options: Rc<ChapOptions>,
    state: State,
}

enum State {
    /// We have said which algorithms we know.
    Offered,
    /// We have answered; the target owes nothing.
    Answered,
    /// We have answered and asked.
    Asked { algorithm: ChapAlgorithm, challenge: Challenge },
    /// The target is who it says.
    Proven,
    /// It broke the rules.
    Failed,
}

impl ChapInitiator {
    /// Appends the algorithms we know.
    pub fn offer(options: Rc<ChapOptions>, text: &mut Text) -> Self {
        let codes: Vec<String> =
            options.algorithms.iter().map(|algorithm| algorithm.code().to_string()).collect();
        text.put("CHAP_A", codes.join(","));
        Self { options, state: State::Offered }
    }

    /// True once we have answered and, if we wanted proof, have got it.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Answered | State::Proven)
    }

    /// True once we have answered: the next stage may be asked for.
    pub fn has_answered(&self) -> bool {
        matches!(self.state, State::Answered | State::Asked { .. } | State::Proven)
    }

    /// Takes all CHAP pairs of one response, and appends the next step to the next request. Any error is the end of it.
    pub fn handle(
        &mut self,
        entropy: &mut Entropy<'_>,
        response: &[Pair<'_>],
        next: &mut Text,
    ) -> Result<(), ChapError> {
        let value = |key: &str| response.iter().find(|pair| pair.key == key).map(|pair| pair.value);
        self.state = match core::mem::replace(&mut self.state, State::Failed) {
            State::Offered => {
                let code = value("CHAP_A").and_then(number_of).ok_or(ChapError::Sequence)?;
                let chosen = ChapAlgorithm::from_code(code).ok_or(ChapError::Algorithm)?;
                if !self.options.algorithms.contains(&chosen) {
                    return Err(ChapError::Algorithm);
                }
                let (id, bytes) = value("CHAP_I").zip(value("CHAP_C")).ok_or(ChapError::Sequence)?;
                let asked = Challenge::read(id, bytes)?;
                next.put("CHAP_N", &self.options.name);
                next.put("CHAP_R", Binary(&asked.answer(chosen, &self.options.secret)));
                self.ask(entropy, chosen, &asked, next)
            }
            State::Asked { algorithm, challenge } => {
                let (name, response) = value("CHAP_N").zip(value("CHAP_R")).ok_or(ChapError::OneWay)?;
                let (wanted, secret) = self.options.mutual.as_ref().ok_or(ChapError::Sequence)?;
                let answered = challenge.is_answered(algorithm, secret, response)?;
                if !answered || wanted.as_ref().is_some_and(|wanted| wanted != name) {
                    return Err(ChapError::Response);
                }
                State::Proven
            }
            // Nothing more is to come; what does is of no use to anybody.
            State::Answered | State::Proven | State::Failed => return Err(ChapError::Sequence),
        };
        Ok(())
    }

    /// Asks back, if the target is to prove itself.
    fn ask(
        &self,
        entropy: &mut Entropy<'_>,
        algorithm: ChapAlgorithm,
        asked: &Challenge,
        next: &mut Text,
    ) -> State {
        if self.options.mutual.is_none() {
            return State::Answered;
        }
        let mut challenge = Challenge::draw(entropy);
        // A target that guesses our challenges would be a wonder; that it must not be its own is a rule.
        while challenge.bytes == asked.bytes {
            challenge = Challenge::draw(entropy);
        }
        next.put("CHAP_I", challenge.id);
        next.put("CHAP_C", Binary(&challenge.bytes));
        State::Asked { algorithm, challenge }
    }
}
