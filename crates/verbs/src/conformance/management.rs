//! Datagrams of management: who asks is answered.

use super::Setting;
use crate::{AgentError, AgentId, ManagementDatagram, Role, What};
use core::net::IpAddr;
use stdx::env::Owner;

/// Not communication management's, which is the provider's own.
const CLASS: u8 = 0x06;
const ASKS: Owner = Owner(3000);
const ANSWERS: Owner = Owner(4000);

fn question(transaction: u64) -> ManagementDatagram {
    ManagementDatagram {
        class: CLASS,
        class_version: 1,
        method: 0x01,
        status: 0,
        class_specific: 0x0102,
        transaction,
        attribute: 0x10,
        modifier: 0x0304_0506,
        data: core::array::from_fn(|at| at as u8),
    }
}

/// The next datagram for an agent at an end, once its owner was told; events of the other end stay where both are one device.
fn next(setting: &mut dyn Setting, end: usize, agent: AgentId, owner: Owner) -> (IpAddr, ManagementDatagram) {
    for _ in 0..100_000 {
        while let Some(event) = setting.end(end).0.poll_event() {
            if event.what == What::Datagrams(agent) {
                assert_eq!(event.owner, owner);
            }
        }
        if let Some(came) = setting.end(end).0.poll_datagram(agent) {
            return came;
        }
        setting.turn();
    }
    panic!("nothing came for {owner:?}");
}

pub(super) fn answered(setting: &mut dyn Setting) {
    let [here, there] = [0, 1].map(|end| setting.address(end));
    let answering = setting.end(1).0.open_agent(ANSWERS, CLASS, Role::Answers).unwrap();
    let again = setting.end(1).0.open_agent(ANSWERS, CLASS, Role::Answers);
    assert_eq!(again, Err(AgentError::InUse));
    let asking: [AgentId; 2] =
        core::array::from_fn(|_| setting.end(0).0.open_agent(ASKS, CLASS, Role::Asks).unwrap());
    for (number, agent) in asking.into_iter().enumerate() {
        let asked = question(7 + number as u64);
        setting.end(0).0.send_datagram(agent, there, &asked).unwrap();
        let (from, came) = next(setting, 1, answering, ANSWERS);
        assert_eq!((from, came.transaction as u32), (here, asked.transaction as u32));
        assert_eq!(ManagementDatagram { transaction: asked.transaction, ..came }, asked);
        let answer = ManagementDatagram { method: 0x81, status: 0x1c, data: [9; 232], ..came };
        setting.end(1).0.send_datagram(answering, from, &answer).unwrap();
        let (from, came) = next(setting, 0, agent, ASKS);
        assert_eq!(from, there);
        assert_eq!(came, ManagementDatagram { transaction: asked.transaction, ..answer });
    }
    for agent in asking {
        setting.end(0).0.close_agent(agent);
        let gone = setting.end(0).0.send_datagram(agent, there, &question(1));
        assert_eq!(gone, Err(AgentError::NotFound));
    }
    setting.end(1).0.close_agent(answering);
    assert!(setting.end(1).0.open_agent(ANSWERS, CLASS, Role::Answers).is_ok(), "the class is free again");
}
