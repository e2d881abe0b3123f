//! What the ends of a measurement tell each other: messages of one length, numbers with their highest byte first.

use crate::rdma::args::{Operation, Service};
use thiserror::Error;
use verbs::{Key, Mtu, Remote};

/// Bytes of every message.
pub const LEN: usize = 48;

/// A message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message {
    /// The client: what is to be measured, and from where.
    Plan(Plan, Place),
    /// The server: it can be, and with which memory.
    Ready(Place, Remote),
    /// The client: it is over.
    Over,
    /// The server: so many messages came.
    Arrived(u64),
}

/// What is to be measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// The operation.
    pub op: Operation,
    /// The service.
    pub service: Service,
    /// Bytes of a message.
    pub size: u32,
    /// Messages under way at once.
    pub depth: u32,
    /// Every message is answered by one.
    pub echoes: bool,
}

/// A queue pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Its number.
    pub qpn: u32,
    /// Of its first packet.
    pub psn: u32,
    /// The largest payload that its device sends.
    pub mtu: Mtu,
}

/// The message is none of a measurement's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error(
    "a message that is none of a measurement's: is the other end `weft rdma bench`, of the same version?"
)]
pub struct Unknown;

impl Message {
    /// The message's bytes.
    pub fn encode(&self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4] = VERSION;
        match self {
            Self::Plan(plan, place) => {
                bytes[5] = PLAN;
                bytes[8] = code(&OPERATIONS, plan.op);
                bytes[9] = code(&SERVICES, plan.service);
                bytes[10] = u8::from(plan.echoes);
                bytes[12..16].copy_from_slice(&plan.size.to_be_bytes());
                bytes[16..20].copy_from_slice(&plan.depth.to_be_bytes());
                place.put(&mut bytes);
            }
            Self::Ready(place, remote) => {
                bytes[5] = READY;
                bytes[8..16].copy_from_slice(&remote.address.to_be_bytes());
                bytes[16..20].copy_from_slice(&remote.key.0.to_be_bytes());
                place.put(&mut bytes);
            }
            Self::Over => bytes[5] = OVER,
            Self::Arrived(count) => {
                bytes[5] = ARRIVED;
                bytes[8..16].copy_from_slice(&count.to_be_bytes());
            }
        }
        bytes
    }

    /// What bytes say.
    pub fn decode(bytes: &[u8; LEN]) -> Result<Self, Unknown> {
        if bytes[..4] != MAGIC || bytes[4] != VERSION {
            return Err(Unknown);
        }
        let long = u64::from(word(bytes, 8)) << 32 | u64::from(word(bytes, 12));
        match bytes[5] {
            PLAN => {
                let op = *OPERATIONS.get(usize::from(bytes[8])).ok_or(Unknown)?;
                let service = *SERVICES.get(usize::from(bytes[9])).ok_or(Unknown)?;
                let (size, depth, echoes) = (word(bytes, 12), word(bytes, 16), bytes[10] != 0);
                Ok(Self::Plan(Plan { op, service, size, depth, echoes }, Place::get(bytes)?))
            }
            READY => {
                let remote = Remote { address: long, key: Key(word(bytes, 16)) };
                Ok(Self::Ready(Place::get(bytes)?, remote))
            }
            OVER => Ok(Self::Over),
            ARRIVED => Ok(Self::Arrived(long)),
            _ => Err(Unknown),
        }
    }
}

impl Place {
    fn put(&self, bytes: &mut [u8; LEN]) {
        bytes[32..36].copy_from_slice(&self.qpn.to_be_bytes());
        bytes[36..40].copy_from_slice(&self.psn.to_be_bytes());
        bytes[40] = self.mtu.code();
    }

    fn get(bytes: &[u8; LEN]) -> Result<Self, Unknown> {
        let mtu = Mtu::from_code(bytes[40]).ok_or(Unknown)?;
        let (qpn, psn) = (word(bytes, 32), word(bytes, 36));
        if qpn > NUMBER_MAX || psn > NUMBER_MAX {
            return Err(Unknown);
        }
        Ok(Self { qpn, psn, mtu })
    }
}

fn word(bytes: &[u8; LEN], at: usize) -> u32 {
    u32::from_be_bytes(core::array::from_fn(|byte| bytes[at + byte]))
}

fn code<T: PartialEq>(all: &[T], one: T) -> u8 {
    all.iter().position(|other| *other == one).unwrap_or(usize::from(u8::MAX)) as u8
}

const MAGIC: [u8; 4] = *b"wftb";
const VERSION: u8 = 1;
const PLAN: u8 = 1;
const READY: u8 = 2;
const OVER: u8 = 3;
const ARRIVED: u8 = 4;
/// Their places are their codes.
const OPERATIONS: [Operation; 4] = [Operation::Send, Operation::Write, Operation::Read, Operation::Atomic];
const SERVICES: [Service; 3] = [Service::Rc, Service::Uc, Service::Ud];
/// Queue pairs' and packets' numbers have 24 bits.
const NUMBER_MAX: u32 = 0xff_ffff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_their_bytes() {
        let place = Place { qpn: 0x123456, psn: 0xff_ffff, mtu: Mtu::Mtu2048 };
        let plan =
            Plan { op: Operation::Atomic, service: Service::Uc, size: 8, depth: 0x1234_5678, echoes: true };
        let remote = Remote { address: 0x0102_0304_0506_0708, key: Key(0x090a_0b0c) };
        for message in [
            Message::Plan(plan, place),
            Message::Ready(place, remote),
            Message::Over,
            Message::Arrived(1 << 40),
        ] {
            assert_eq!(Message::decode(&message.encode()), Ok(message));
        }
    }

    #[test]
    fn other_bytes_are_none() {
        let mut bytes = Message::Over.encode();
        for at in [0, 4, 5] {
            bytes[at] ^= 0x40;
            assert_eq!(Message::decode(&bytes), Err(Unknown), "byte {at}");
            bytes[at] ^= 0x40;
        }
    }
}
