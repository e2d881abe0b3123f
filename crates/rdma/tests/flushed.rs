//! What stands behind a send that cannot be done completes, too.

mod support;

use core::time::Duration;
use support::victim::{LEN, Victim};
use verbs::{Data, Provider as _, QpState, Remote, SendRequest, Transport, Work};

#[test]
fn what_stands_behind_a_send_that_fails_is_flushed() {
    for transport in [Transport::ReliableConnection, Transport::UnreliableConnection] {
        let mut victim = Victim::new(transport);
        let remote = Remote { address: 0, key: victim.memory.key };
        let beyond = [victim.memory.sge(0, LEN as u32 + 1)];
        let within = [victim.memory.sge(0, 100)];
        for list in [beyond, within] {
            victim.send(SendRequest::new(1, Work::Write(remote), Data::Gather(&list)));
        }
        victim.pass(Duration::from_millis(1));
        let info = victim.world.devices[1].query_qp(victim.qp).expect("a queue pair");
        assert_eq!((info.state, info.sends), (QpState::Error, 0), "{transport:?}");
        assert_eq!((victim.posted, victim.completed), (2, 2), "{transport:?}");
        victim.end();
    }
}
