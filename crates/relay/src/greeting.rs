//! How two relays come to know each other, before anything is said of a connection.
//!
//! ```text
//!   who dials                                  who was dialled
//!   Hello: version, a number of its own  --->
//!                                        <---  Hello: version, a number of its own
//!   Offer: the connection, a proof       --->
//!                                              finds the program that claimed the other end, and has it take its memory
//!                                        <---  Answer: a proof
//!                                        Frames, both ways
//! ```
//!
//! Each proof covers both numbers, the connection, and who gives it, so that none can be used again, for another connection, or be
//! sent back to who gave it. Who has no proof hears nothing but the number.

use crate::key::{Key, PROOF_LEN, Proof};
use launch::claim::{PLACE_LEN, place_from_bytes, place_to_bytes};
use std::net::SocketAddr;

/// A number that is used once.
pub(crate) type Nonce = [u8; NONCE_LEN];

/// A TCP connection: who connected, and to what.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Ends {
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
}

/// Both numbers, that of who dialled first.
pub(crate) type Nonces = [Nonce; 2];

/// Bytes of a Hello.
pub(crate) const HELLO_LEN: usize = MAGIC.len() + NONCE_LEN;
/// Bytes of an Offer.
pub(crate) const OFFER_LEN: usize = ENDS_LEN + PROOF_LEN;
/// Bytes of an Answer.
pub(crate) const ANSWER_LEN: usize = PROOF_LEN;

/// A Hello.
pub(crate) fn hello(nonce: &Nonce) -> [u8; HELLO_LEN] {
    let mut bytes = [0; HELLO_LEN];
    bytes[..MAGIC.len()].copy_from_slice(&MAGIC);
    bytes[MAGIC.len()..].copy_from_slice(nonce);
    bytes
}

/// The number of a peer's Hello, if it speaks as we do.
pub(crate) fn heard_hello(bytes: [u8; HELLO_LEN]) -> Option<Nonce> {
    bytes.strip_prefix(&MAGIC)?.try_into().ok()
}

/// An Offer.
pub(crate) fn offer(key: &Key, nonces: &Nonces, ends: Ends) -> [u8; OFFER_LEN] {
    let mut bytes = [0; OFFER_LEN];
    let (place, proof) = bytes.split_at_mut(ENDS_LEN);
    place.copy_from_slice(&ends.to_bytes());
    proof.copy_from_slice(&prove(key, DIALLER, nonces, ends));
    bytes
}

/// The connection that an Offer is about, if it is proved.
pub(crate) fn heard_offer(key: &Key, nonces: &Nonces, bytes: [u8; OFFER_LEN]) -> Option<Ends> {
    let (ends, proof) = bytes.split_first_chunk::<ENDS_LEN>()?;
    let ends = Ends::from_bytes(ends)?;
    let proof: Proof = proof.try_into().ok()?;
    is_proved(key, &proof, DIALLER, nonces, ends).then_some(ends)
}

/// An Answer.
pub(crate) fn answer(key: &Key, nonces: &Nonces, ends: Ends) -> [u8; ANSWER_LEN] {
    prove(key, DIALLED, nonces, ends)
}

/// Whether an Answer is proved.
pub(crate) fn is_answer(key: &Key, nonces: &Nonces, ends: Ends, bytes: [u8; ANSWER_LEN]) -> bool {
    is_proved(key, &bytes, DIALLED, nonces, ends)
}

fn prove(key: &Key, who: &[u8], nonces: &Nonces, ends: Ends) -> Proof {
    key.prove(&[&MAGIC, who, &nonces[0], &nonces[1], &ends.to_bytes()])
}

fn is_proved(key: &Key, proof: &Proof, who: &[u8], nonces: &Nonces, ends: Ends) -> bool {
    key.is_proved(proof, &[&MAGIC, who, &nonces[0], &nonces[1], &ends.to_bytes()])
}

impl Ends {
    fn to_bytes(self) -> [u8; ENDS_LEN] {
        let mut bytes = [0; ENDS_LEN];
        bytes[..PLACE_LEN].copy_from_slice(&place_to_bytes(self.client));
        bytes[PLACE_LEN..].copy_from_slice(&place_to_bytes(self.server));
        bytes
    }

    fn from_bytes(bytes: &[u8; ENDS_LEN]) -> Option<Ends> {
        let (client, server) = bytes.split_first_chunk::<PLACE_LEN>()?;
        Some(Ends { client: place_from_bytes(*client), server: place_from_bytes(server.try_into().ok()?) })
    }
}

/// Bytes of a number: none is drawn twice.
const NONCE_LEN: usize = 32;
const ENDS_LEN: usize = 2 * PLACE_LEN;
/// Another way of speaking has another number.
const MAGIC: [u8; 8] = *b"weft/r1\n";
const DIALLER: &[u8] = b"dialler";
const DIALLED: &[u8] = b"dialled";

#[cfg(test)]
mod tests {
    use super::*;

    fn ends() -> Ends {
        let place = |text: &str| text.parse().expect("a place");
        Ends { client: place("10.0.0.1:40000"), server: place("[fd00::2]:80") }
    }

    #[test]
    fn who_has_the_key_is_believed() {
        let key = Key::new(b"a key of some length").expect("a key");
        let nonces = [[1; NONCE_LEN], [2; NONCE_LEN]];
        assert_eq!(heard_hello(hello(&nonces[0])), Some(nonces[0]));
        assert_eq!(heard_offer(&key, &nonces, offer(&key, &nonces, ends())), Some(ends()));
        assert!(is_answer(&key, &nonces, ends(), answer(&key, &nonces, ends())));
    }

    #[test]
    fn who_has_not_or_repeats_is_not() {
        let key = Key::new(b"a key of some length").expect("a key");
        let other = Key::new(b"another key of length").expect("a key");
        let nonces = [[1; NONCE_LEN], [2; NONCE_LEN]];
        let said = offer(&key, &nonces, ends());
        assert_eq!(heard_offer(&other, &nonces, said), None, "another key");
        assert_eq!(heard_offer(&key, &[[1; NONCE_LEN], [3; NONCE_LEN]], said), None, "another time");
        let mut changed = said;
        changed[17] ^= 1;
        assert_eq!(heard_offer(&key, &nonces, changed), None, "another connection");
        let proof: Proof = said[ENDS_LEN..].try_into().expect("a proof");
        assert!(!is_answer(&key, &nonces, ends(), proof), "sent back");
        let mut stranger = hello(&nonces[0]);
        stranger[6] = b'9';
        assert_eq!(heard_hello(stranger), None, "another version");
    }
}
