//! The loopback provider passes the suite.

use std::net::{IpAddr, Ipv4Addr};
use stdx::conformance::still::StillEnv;
use stdx::env::Env;
use verbs::conformance::{Setting, run};
use verbs::loopback::Loopback;
use verbs::{Device, Limits, Provider};

/// Both ends are one device.
struct One {
    device: Loopback,
    env: StillEnv,
}

impl Setting for One {
    fn end(&mut self, _end: usize) -> (&mut dyn Device, &mut dyn Env) {
        (&mut self.device, &mut self.env)
    }

    fn address(&self, _end: usize) -> IpAddr {
        ADDRESS
    }

    fn turn(&mut self) {
        self.device.turn(&mut self.env);
        self.env.poll(&mut Vec::new(), self.device.deadline());
    }
}

#[test]
fn the_loopback_provider_conforms() {
    run(|| Box::new(One { device: Loopback::new(Limits::default(), ADDRESS), env: StillEnv::new(1) }));
}

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
