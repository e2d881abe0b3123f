//! CHAP (RFC 7143, section 12.1.3; RFC 1994): who knows the secret can tell the hash of it with a challenge.
//!
//! ```text
//!   initiator                                    target
//!      CHAP_A=<algorithms>            ------->
//!                                     <-------   CHAP_A=<one> CHAP_I=<id> CHAP_C=<challenge>
//!      CHAP_N=<name> CHAP_R=<response>
//!      [CHAP_I=<id> CHAP_C=<challenge>] ----->
//!                                     <-------   [CHAP_N=<name> CHAP_R=<response>]
//! ```
//!
//! Invariants: a response is compared in constant time; a challenge is drawn anew for each login; a challenge of the peer's
//! that is our own is refused (it would have us answer ourselves), and so is an unknown name, after the same work as a known
//! one.

mod algorithm;
mod initiator;
mod target;

pub use algorithm::ChapAlgorithm;
pub use initiator::{ChapInitiator, ChapOptions};
pub use target::{ChapAccount, ChapAccounts, ChapTarget};

use super::Entropy;
use super::Secret;
use super::value::{Binary, number_of};
use thiserror::Error;

/// CHAP failed. Which of these it was is for our own ears: the peer hears no more than that it failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ChapError {
    /// A key is missing, or came out of turn.
    #[error("the peer left out or mixed up a step of CHAP")]
    Sequence,
    /// A value that is none.
    #[error("the peer sent a value that CHAP does not have")]
    Value,
    /// The peer knows none of the algorithms we do.
    #[error("no algorithm in common")]
    Algorithm,
    /// The name is unknown or the response is wrong.
    #[error("wrong name or secret")]
    Response,
    /// Our own challenge came back.
    #[error("the peer sent our own challenge back")]
    Reflected,
    /// The peer was to prove who it is, or wants us to, and there is no secret for that.
    #[error("one end wants proof that the other has no secret for")]
    OneWay,
}

/// A question, ours or the peer's.
#[derive(Clone, PartialEq, Eq)]
struct Challenge {
    id: u8,
    bytes: Vec<u8>,
}

impl Challenge {
    /// A question nobody has been asked before.
    fn draw(entropy: &mut Entropy<'_>) -> Self {
        let words: [u64; CHALLENGE_LEN / 8] = core::array::from_fn(|_| entropy());
        let id = entropy() as u8;
        Self { id, bytes: words.iter().flat_map(|word| word.to_be_bytes()).collect() }
    }

    /// From the values of CHAP_I and CHAP_C.
    fn read(id: &str, bytes: &str) -> Result<Self, ChapError> {
        let id = number_of(id).and_then(|id| u8::try_from(id).ok()).ok_or(ChapError::Value)?;
        let bytes = Binary::read(bytes, CHALLENGE_LEN_MAX).ok_or(ChapError::Value)?;
        Ok(Self { id, bytes })
    }

    /// The hash of identifier, secret and challenge (RFC 1994, section 4.1).
    fn answer(&self, algorithm: ChapAlgorithm, secret: &Secret) -> Vec<u8> {
        algorithm.hash(&[&[self.id], secret.reveal(), &self.bytes])
    }

    /// True if the value of CHAP_R is the answer.
    fn is_answered(
        &self,
        algorithm: ChapAlgorithm,
        secret: &Secret,
        response: &str,
    ) -> Result<bool, ChapError> {
        use subtle::ConstantTimeEq;
        let response = Binary::read(response, CHALLENGE_LEN_MAX).ok_or(ChapError::Value)?;
        Ok(self.answer(algorithm, secret).ct_eq(&response).into())
    }
}

/// The value of CHAP_R for a challenge, for tests that stand in for an initiator.
#[cfg(test)]
pub(super) fn answer_of(algorithm: ChapAlgorithm, id: u8, secret: &Secret, challenge: &str) -> String {
    let challenge = Challenge::read(&id.to_string(), challenge).expect("a challenge");
    Binary(&challenge.answer(algorithm, secret)).to_string()
}

/// Bytes of our challenges: no fewer than the longest hash has.
const CHALLENGE_LEN: usize = 32;
/// The longest binary item of CHAP (section 12.1.3).
const CHALLENGE_LEN_MAX: usize = 1024;
