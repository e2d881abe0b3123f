//! Device management (section 16.3): which I/O controllers a port has behind it, and which services each of them offers. SRP
//! says what its targets tell (T10 SRP, revision 16a, annex B.7).
//!
//! A request is a [`Request`] in a datagram of class [`CLASS`] with the method Get; the attribute asked for begins at
//! [`ATTRIBUTE_AT`] of the response's data.

mod controller;
mod services;
mod unit;

pub use controller::{Capabilities, IoControllerProfile};
pub use services::{SERVICES_AT_ONCE, ServiceEntries, ServiceEntry, ServiceName};
pub use unit::{ClassPortInfo, IoUnitInfo, Slot};

use super::{DATA_LEN, Datagram, Method, RESPONSE};

/// The management class.
pub const CLASS: u8 = 0x06;
/// The version of the class.
pub const CLASS_VERSION: u8 = 1;
/// Where in a datagram's data the attribute begins: forty bytes are reserved.
pub const ATTRIBUTE_AT: usize = 40;
/// Bytes there are for an attribute.
pub const ATTRIBUTE_LEN: usize = DATA_LEN - ATTRIBUTE_AT;

codes! {
    /// What can be asked for, of what there is here (16.3.3, table 279).
    pub enum Attribute: u16 {
        ClassPortInfo = 0x0001, "ClassPortInfo";
        IoUnitInfo = 0x0010, "IOUnitInfo";
        IoControllerProfile = 0x0011, "IOControllerProfile";
        ServiceEntries = 0x0012, "ServiceEntries";
    }
}

codes! {
    /// How a request went (13.4.7, table 115; 16.3.1.1).
    pub enum Status: u16 {
        Good = 0x0000, "good";
        Busy = 0x0001, "busy";
        UnsupportedVersion = 0x0004, "unsupported version";
        UnsupportedMethod = 0x0008, "unsupported method";
        UnsupportedAttribute = 0x000c, "unsupported attribute";
        InvalidField = 0x001c, "invalid field";
        NoResponse = 0x0100, "no response from the I/O controller";
        NoServiceEntries = 0x0200, "no service entries";
        GeneralFailure = 0x8000, "general failure";
    }
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// What the class can do here.
    ClassPortInfo,
    /// Which slots have controllers.
    IoUnitInfo,
    /// The controller in a slot, from 1.
    IoControllerProfile {
        /// The slot.
        slot: u32,
    },
    /// Services of a controller.
    ServiceEntries {
        /// The controller's slot, from 1.
        slot: u16,
        /// The first service, from 0.
        first: u8,
        /// The last: at most three further.
        last: u8,
    },
}

/// A request cannot be read, and is answered with this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request is answered: {0}")]
pub struct Refusal(pub Status);

impl Request {
    /// Reads what a datagram asks.
    pub const fn decode(datagram: &Datagram) -> Result<Self, Refusal> {
        if datagram.class_version != CLASS_VERSION {
            return Err(Refusal(Status::UnsupportedVersion));
        }
        match Method::from_code(datagram.method) {
            Some(Method::Get) => {}
            Some(Method::Set) => return Err(Refusal(Status::UnsupportedAttribute)),
            Some(_) | None => return Err(Refusal(Status::UnsupportedMethod)),
        }
        let modifier = datagram.modifier;
        Ok(match Attribute::from_code(datagram.attribute) {
            Some(Attribute::ClassPortInfo) => Self::ClassPortInfo,
            Some(Attribute::IoUnitInfo) => Self::IoUnitInfo,
            Some(Attribute::IoControllerProfile) => Self::IoControllerProfile { slot: modifier },
            Some(Attribute::ServiceEntries) => {
                let [_, _, last, first] = modifier.to_be_bytes();
                Self::ServiceEntries { slot: (modifier >> 16) as u16, first, last }
            }
            None => return Err(Refusal(Status::UnsupportedAttribute)),
        })
    }

    /// The datagram that asks it.
    pub const fn datagram(self, transaction: u64) -> Datagram {
        let (attribute, modifier) = match self {
            Self::ClassPortInfo => (Attribute::ClassPortInfo, 0),
            Self::IoUnitInfo => (Attribute::IoUnitInfo, 0),
            Self::IoControllerProfile { slot } => (Attribute::IoControllerProfile, slot),
            Self::ServiceEntries { slot, first, last } => {
                let which = (slot as u32) << 16 | (last as u32) << 8 | first as u32;
                (Attribute::ServiceEntries, which)
            }
        };
        Datagram {
            class: CLASS,
            class_version: CLASS_VERSION,
            method: Method::Get.code(),
            status: 0,
            class_specific: 0,
            transaction,
            attribute: attribute.code(),
            modifier,
            data: [0; DATA_LEN],
        }
    }
}

/// The answer to a datagram: the attribute, or why there is none.
pub fn answer(asked: &Datagram, attribute: Result<&[u8], Status>) -> Datagram {
    let mut answer = Datagram { method: Method::Get.code() | RESPONSE, data: [0; DATA_LEN], ..*asked };
    answer.status = attribute.err().unwrap_or(Status::Good).code();
    let bytes = attribute.unwrap_or(&[]);
    for (place, byte) in answer.data.iter_mut().skip(ATTRIBUTE_AT).zip(bytes) {
        *place = *byte;
    }
    answer
}

/// The attribute that an answer brings.
pub fn attribute(answer: &Datagram) -> &[u8] {
    answer.data.get(ATTRIBUTE_AT..).unwrap_or(&[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_as_written() {
        let all = [
            Request::ClassPortInfo,
            Request::IoUnitInfo,
            Request::IoControllerProfile { slot: 1 },
            Request::ServiceEntries { slot: 0x0102, first: 4, last: 7 },
        ];
        for request in all {
            assert_eq!(Request::decode(&request.datagram(9)), Ok(request));
        }
        assert_eq!(all[3].datagram(9).modifier, 0x0102_0704);
    }

    #[test]
    fn what_cannot_be_asked_is_refused_with_its_status() {
        let asked = Request::IoUnitInfo.datagram(1);
        let refused = |asked: Datagram| Request::decode(&asked).err().map(|Refusal(status)| status);
        assert_eq!(refused(Datagram { class_version: 2, ..asked }), Some(Status::UnsupportedVersion));
        assert_eq!(refused(Datagram { method: 2, ..asked }), Some(Status::UnsupportedAttribute));
        assert_eq!(refused(Datagram { method: 0x12, ..asked }), Some(Status::UnsupportedMethod));
        assert_eq!(refused(Datagram { attribute: 0x20, ..asked }), Some(Status::UnsupportedAttribute));
        let answer = answer(&asked, Err(Status::InvalidField));
        assert_eq!((answer.method, answer.status, answer.transaction), (0x81, 0x1c, 1));
    }
}
