//! The end that asks first.

use super::super::text::Text;
use super::super::value::{Binary, number_of};
use super::super::{Entropy, Pair, Secret};
use super::{Challenge, ChapAlgorithm, ChapError};
use std::rc::Rc;

/// What one initiator proves itself with.
#[derive(Clone, Debug)]
pub struct ChapAccount {
    /// The name it gives (CHAP_N).
    pub name: String,
    /// Its secret.
    pub secret: Secret,
    /// The name and secret that we prove ourselves with to it, if it asks.
    pub mutual: Option<(String, Secret)>,
}

/// Who may prove itself, and how.
#[derive(Clone, Debug)]
pub struct ChapAccounts {
    /// The initiators.
    pub accounts: Vec<ChapAccount>,
    /// The algorithms that will do.
    pub algorithms: Vec<ChapAlgorithm>,
    /// The initiator must ask us for proof as well.
    pub mutual_required: bool,
}

/// CHAP as the target goes through it.
pub struct ChapTarget {
    accounts: Rc<ChapAccounts>,
    state: State,
}

enum State {
    /// CHAP_A is to come.
    Algorithms,
    /// We have asked.
    Asked { algorithm: ChapAlgorithm, challenge: Challenge },
    /// The initiator is who it says.
    Passed { name: String },
    /// It is not, or it broke the rules; nothing more is heard.
    Failed,
}

impl ChapTarget {
    /// Waits for the algorithms of an initiator.
    pub fn new(accounts: Rc<ChapAccounts>) -> Self {
        Self { accounts, state: State::Algorithms }
    }

    /// The name that was proven, once it is.
    pub fn proven_name(&self) -> Option<&str> {
        match &self.state {
            State::Passed { name } => Some(name),
            State::Algorithms | State::Asked { .. } | State::Failed => None,
        }
    }

    /// Takes all CHAP pairs of one request, and appends the answer. Any error is the end of it.
    pub fn handle(
        &mut self,
        entropy: &mut Entropy<'_>,
        request: &[Pair<'_>],
        answer: &mut Text,
    ) -> Result<(), ChapError> {
        let value = |key: &str| request.iter().find(|pair| pair.key == key).map(|pair| pair.value);
        self.state = match core::mem::replace(&mut self.state, State::Failed) {
            State::Algorithms => {
                let algorithm = self.choose(value("CHAP_A").ok_or(ChapError::Sequence)?)?;
                let challenge = Challenge::draw(entropy);
                answer.put("CHAP_A", algorithm.code());
                answer.put("CHAP_I", challenge.id);
                answer.put("CHAP_C", Binary(&challenge.bytes));
                State::Asked { algorithm, challenge }
            }
            State::Asked { algorithm, challenge } => {
                let name = value("CHAP_N").ok_or(ChapError::Sequence)?;
                let response = value("CHAP_R").ok_or(ChapError::Sequence)?;
                let account = self.prove(algorithm, &challenge, name, response)?;
                match (value("CHAP_I"), value("CHAP_C")) {
                    (Some(id), Some(bytes)) => {
                        let asked = Challenge::read(id, bytes)?;
                        prove_ourselves(account, algorithm, &challenge, &asked, answer)?;
                    }
                    (None, None) if self.accounts.mutual_required => return Err(ChapError::OneWay),
                    (None, None) => {}
                    (Some(_), None) | (None, Some(_)) => return Err(ChapError::Sequence),
                }
                State::Passed { name: account.name.clone() }
            }
            State::Passed { .. } | State::Failed => return Err(ChapError::Sequence),
        };
        Ok(())
    }

    /// The first of the initiator's list that will do.
    fn choose(&self, list: &str) -> Result<ChapAlgorithm, ChapError> {
        let mut known = list.split(',').filter_map(number_of).filter_map(ChapAlgorithm::from_code);
        known.find(|algorithm| self.accounts.algorithms.contains(algorithm)).ok_or(ChapError::Algorithm)
    }

    /// The account of a name, if the response proves it.
    fn prove(
        &self,
        algorithm: ChapAlgorithm,
        challenge: &Challenge,
        name: &str,
        response: &str,
    ) -> Result<&ChapAccount, ChapError> {
        let account = self.accounts.accounts.iter().find(|account| account.name == name);
        // An unknown name costs as much as a known one, so that time does not tell which names there are.
        let any = self.accounts.accounts.first().ok_or(ChapError::Response)?;
        let answered = challenge.is_answered(algorithm, &account.unwrap_or(any).secret, response)?;
        account.filter(|_| answered).ok_or(ChapError::Response)
    }
}

/// A challenge that is our own would have us compute the answer that the initiator owes us (section 12.1.3).
fn prove_ourselves(
    account: &ChapAccount,
    algorithm: ChapAlgorithm,
    ours: &Challenge,
    asked: &Challenge,
    answer: &mut Text,
) -> Result<(), ChapError> {
    if asked.bytes == ours.bytes {
        return Err(ChapError::Reflected);
    }
    let (name, secret) = account.mutual.as_ref().ok_or(ChapError::OneWay)?;
    answer.put("CHAP_N", name);
    answer.put("CHAP_R", Binary(&asked.answer(algorithm, secret)));
    Ok(())
}
