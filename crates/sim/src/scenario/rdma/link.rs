//! Two queue pairs and their lives: how they come up, and how they end.
//!
//! ```text
//! Down -> Rising (the connection manager is asked) -> Up -> Falling (all is flushed) -> Down
//! ```

use super::machine::{DEVICE, Machine};
use super::outcomes;
use super::plan::LinkPlan;
use super::side::{RECEIVES, Side, openings};
use super::{Check, wrong};
use core::time::Duration;
use std::net::{IpAddr, SocketAddr};
use stdx::env::Env;
use stdx::prng::Prng;
use stdx::time::Time;
use verbs::{
    Accept, Access, Connect, ConnectionEvent, ConnectionWhat, Connections, Destination, ListenerId, Object,
    Parameters, Peer, PortSpace, Provider, QpInit, Receives, Transition, Transport,
};

/// See the module.
pub(super) struct Link {
    pub(super) number: usize,
    pub(super) plan: LinkPlan,
    pub(super) sides: [Side; 2],
    pub(super) state: State,
    listener: Option<ListenerId>,
    /// How often it came up.
    life: u32,
    /// When it comes up again, if at all.
    rises_at: Option<Time>,
    /// When the second side answers.
    answers_at: Time,
    /// The second side said no.
    refused: bool,
    /// It does not come up again.
    is_ending: bool,
    /// How many turns each machine had when it fell.
    fell_at: [u64; 2],
    /// A machine lost its power since it came up.
    pub(super) is_bereft: bool,
    /// Nothing goes wrong any more, and so it may not fall.
    pub(super) strict: bool,
    /// The network has lost nothing from the beginning.
    pub(super) is_lossless: bool,
    /// Sends that completed.
    pub(super) completed: u64,
}

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Down,
    Rising,
    Up,
    Falling,
}

impl Link {
    pub(super) fn new(machines: &mut [Machine], number: usize, plan: LinkPlan, is_lossless: bool) -> Self {
        let sides = plan.machines.map(|machine| Side::new(machines, machine));
        let listener = listen(&plan, number, machines);
        Self {
            number,
            plan,
            sides,
            state: State::Down,
            listener,
            life: 0,
            rises_at: Some(Time::ZERO),
            answers_at: Time::ZERO,
            refused: false,
            is_ending: false,
            fell_at: [0; 2],
            is_bereft: false,
            strict: false,
            is_lossless,
            completed: 0,
        }
    }

    /// Goes on coming up or falling, if it is time. True if it did something.
    pub(super) fn go_on(
        &mut self,
        machines: &mut [Machine],
        at: usize,
        prng: &mut Prng,
    ) -> Result<bool, super::Outcome> {
        let now = machines[self.sides[at].machine].env.now();
        let is_lit = self.sides.iter().all(|side| machines[side.machine].dark_until.is_none());
        match self.state {
            State::Down if at == 0 && is_lit && self.rises_at.is_some_and(|time| time <= now) => {
                self.rise(machines, prng)
            }
            State::Rising if at == 1 && self.sides[1].connection.is_some() && self.answers_at <= now => {
                self.answer(machines, prng);
            }
            State::Falling if self.has_fallen(machines) => self.bury(machines, now, prng)?,
            State::Down | State::Rising | State::Up | State::Falling => return Ok(false),
        }
        Ok(true)
    }

    fn rise(&mut self, machines: &mut [Machine], prng: &mut Prng) {
        self.life += 1;
        self.refused = false;
        self.rises_at = None;
        let is_datagram = self.plan.service == Transport::UnreliableDatagram;
        self.make_pair(machines, 0);
        if !self.plan.by_manager || is_datagram {
            self.make_pair(machines, 1);
            self.join(machines, prng);
        }
        self.state = State::Up;
        if self.plan.by_manager {
            self.state = State::Rising;
            let to = SocketAddr::new(self.address(machines, 1), port(self.number));
            let connect = Connect {
                space: space(&self.plan),
                to,
                from: None,
                qp: self.sides[0].qp.filter(|_| !is_datagram),
                parameters: self.parameters(),
                private_data: &self.life.to_be_bytes(),
            };
            let machine = &mut machines[self.sides[0].machine];
            let connection = machine.device.connect(&mut machine.env, DEVICE, &connect);
            self.sides[0].connection = Some(connection.expect("there is room for a connection"));
            self.sides[0].is_up = false;
        }
    }

    /// A queue pair that takes receives.
    fn make_pair(&mut self, machines: &mut [Machine], at: usize) {
        let side = &mut self.sides[at];
        let machine = &mut machines[side.machine];
        let receives = if self.plan.shared {
            Receives::Shared(machine.srq)
        } else {
            Receives::Own { entries: RECEIVES as u32, sges: 2 }
        };
        let init = QpInit {
            pd: machine.pd,
            transport: self.plan.service,
            send_cq: machine.cq,
            receive_cq: machine.cq,
            receives,
            send_entries: self.plan.entries,
            send_sges: 3,
            inline_bytes: INLINE,
        };
        let qp = machine.device.create_qp(DEVICE, &init).expect("a queue pair");
        let access = Access::LOCAL_WRITE.with(Access::REMOTE);
        let initialize = Transition::Initialize { access, queue_key: QUEUE_KEY };
        machine.device.modify_qp(qp, &initialize).expect("a new queue pair");
        machine.pairs.insert(qp, (self.number, at));
        side.qp = Some(qp);
    }

    /// Both queue pairs send from now on.
    fn join(&mut self, machines: &mut [Machine], prng: &mut Prng) {
        // Numbers near where they wrap.
        let psns = [0, 1].map(|_| prng.between(0xff_ffe0, 0x100_0010) as u32 & 0xff_ffff);
        let numbers = [0, 1].map(|at| self.qpn(machines, at));
        for at in [0, 1] {
            let peer = Peer {
                address: self.address(machines, 1 - at),
                qpn: numbers[1 - at],
                psn: psns[1 - at],
                mtu: self.plan.mtu,
                responder_resources: self.plan.depth,
                rnr_timer: self.plan.rnr_timer,
            };
            let is_datagram = self.plan.service == Transport::UnreliableDatagram;
            let ready = Transition::ReadyToSend {
                psn: psns[at],
                ack_timeout: self.plan.ack_timeout,
                retry_count: self.plan.retry_count,
                rnr_retry_count: self.plan.rnr_retry_count,
                initiator_depth: self.plan.depth,
            };
            let side = &mut self.sides[at];
            let (device, qp) = (&mut machines[side.machine].device, side.qp.expect("it was made"));
            let receive = Transition::ReadyToReceive((!is_datagram).then_some(peer));
            device.modify_qp(qp, &receive).expect("initialized before");
            device.modify_qp(qp, &ready).expect("ready to receive before");
            side.is_up = true;
            side.destination =
                Some(Destination { address: peer.address, qpn: peer.qpn, queue_key: QUEUE_KEY });
        }
    }

    /// The number of a side's queue pair.
    pub(super) fn qpn(&self, machines: &[Machine], at: usize) -> u32 {
        let side = &self.sides[at];
        let info = side.qp.and_then(|qp| machines[side.machine].device.query_qp(qp));
        info.map_or(0, |info| info.qpn)
    }

    /// The second side says yes or no.
    fn answer(&mut self, machines: &mut [Machine], prng: &mut Prng) {
        let Some(connection) = self.sides[1].connection else { return };
        self.answers_at = Time::NEVER;
        if !self.strict && prng.chance(1, 10) {
            self.refused = true;
            self.sides[1].connection = None;
            machines[self.sides[1].machine].device.reject(connection, b"no").expect("it was asked");
            return;
        }
        if self.sides[1].qp.is_none() {
            self.make_pair(machines, 1);
        }
        let qp = self.sides[1].qp.expect("made now at the latest");
        let parameters = self.parameters();
        let machine = &mut machines[self.sides[1].machine];
        let accept = Accept { qp, parameters, queue_key: QUEUE_KEY, private_data: b"yes" };
        let accepted = machine.device.accept(&mut machine.env, DEVICE, connection, &accept);
        accepted.expect("it was asked, and the queue pair is new");
        if self.plan.service == Transport::UnreliableDatagram {
            self.sides[1].connection = None;
        }
    }

    /// Something happened to the connection of the side at `at`.
    pub(super) fn handle_connection(
        &mut self,
        machines: &mut [Machine],
        at: usize,
        event: &ConnectionEvent,
        prng: &mut Prng,
    ) -> Check {
        let machine = self.sides[at].machine;
        let now = machines[machine].env.now();
        let is_ours = self.sides[at].connection == Some(event.connection);
        match event.what {
            ConnectionWhat::Requested { private_data, .. } => {
                let is_now = private_data.bytes().get(..4) == Some(&self.life.to_be_bytes()[..]);
                if is_now && self.sides[1].connection.is_some() {
                    return Err(wrong(format!("link {}: one request was told twice", self.number)));
                }
                let is_late = !is_now
                    || self.state != State::Rising
                    || self.sides[1].qp.is_some()
                        && self.sides[1].is_up
                        && self.plan.service != Transport::UnreliableDatagram;
                if is_late {
                    machines[machine].device.reject(event.connection, &[]).expect("it was asked");
                } else {
                    self.sides[1].connection = Some(event.connection);
                    self.answers_at = now + Duration::from_micros(prng.below(30_000));
                }
            }
            ConnectionWhat::Established { .. } if is_ours => {
                if core::mem::replace(&mut self.sides[at].is_up, true) {
                    return Err(wrong(format!("link {}: established twice", self.number)));
                }
                if self.sides.iter().all(|side| side.is_up) {
                    self.state = State::Up;
                }
            }
            ConnectionWhat::Resolved { to, .. } if is_ours => {
                self.sides[at].is_up = true;
                self.state = State::Up;
                let expected = self.sides[at].destination.replace(to);
                machines[machine].device.release(event.connection);
                self.sides[at].connection = None;
                if expected != Some(to) {
                    return Err(wrong(format!("link {}: resolved to {to:?}", self.number)));
                }
            }
            ConnectionWhat::Rejected { .. } | ConnectionWhat::Unreachable | ConnectionWhat::Disconnected
                if is_ours =>
            {
                machines[machine].device.release(event.connection);
                self.sides[at].connection = None;
                if self.strict && self.state == State::Up {
                    return Err(wrong(format!("link {}: {:?} without a reason", self.number, event.what)));
                }
                self.fall(machines, prng);
            }
            what => return Err(wrong(format!("link {}: {what:?} of an unknown connection", self.number))),
        }
        Ok(())
    }

    /// Its sides that are on a machine.
    pub(super) fn sides_on(&self, machine: usize) -> impl Iterator<Item = usize> + use<> {
        let machines = self.plan.machines;
        [0, 1].into_iter().filter(move |at| machines[*at] == machine)
    }

    /// True if an event of this listener is for this link.
    pub(super) fn listens(&self, machine: usize, listener: ListenerId) -> bool {
        self.sides[1].machine == machine && self.listener == Some(listener)
    }

    /// Both queue pairs give up; what is under way is flushed.
    pub(super) fn fall(&mut self, machines: &mut [Machine], prng: &mut Prng) {
        if matches!(self.state, State::Falling | State::Down) {
            return;
        }
        self.state = State::Falling;
        for (side, fell_at) in self.sides.iter_mut().zip(&mut self.fell_at) {
            let machine = &mut machines[side.machine];
            *fell_at = machine.turns;
            if let Some(connection) = side.connection {
                if prng.chance(1, 4) {
                    machine.device.release(connection);
                    side.connection = None;
                } else if machine.device.disconnect(connection).is_err()
                    && machine.device.reject(connection, &[]).is_ok()
                {
                    // It was only asked for.
                    side.connection = None;
                }
            }
            if let Some(qp) = side.qp {
                machine.device.modify_qp(qp, &Transition::Error).expect("it is initialized at least");
            }
        }
    }

    fn has_fallen(&self, machines: &[Machine]) -> bool {
        self.sides.iter().zip(self.fell_at).all(|(side, fell_at)| {
            machines[side.machine].turns > fell_at + 1
                && side.pending.is_empty()
                && side.receives.is_empty()
                && side.connection.is_none()
        })
    }

    /// The queue pairs go, and memory is what they may have made of it.
    fn bury(&mut self, machines: &mut [Machine], now: Time, prng: &mut Prng) -> Check {
        outcomes::check_areas(self, machines)?;
        for side in &mut self.sides {
            let machine = &mut machines[side.machine];
            if let Some(qp) = side.qp {
                machine.device.destroy(&mut machine.env, Object::Qp(qp)).expect("it is there");
                machine.pairs.remove(&qp);
            }
            for key in side.openings {
                machine.device.destroy(&mut machine.env, Object::Memory(key)).expect("it is there");
            }
            side.openings = openings(machine);
            machine.window.take_if(|(link, ..)| *link == self.number);
            side.forget();
        }
        self.state = State::Down;
        self.rises_at = (!self.is_ending).then(|| now + Duration::from_micros(prng.below(2_000)));
        self.mourn(now);
        Ok(())
    }

    /// The machine of the side at `at` has lost its power. The other side does not know.
    pub(super) fn lose_power(&mut self, machines: &mut [Machine], at: usize) {
        let side = &mut self.sides[at];
        side.lose_power(&mut machines[side.machine]);
        self.is_bereft = true;
    }

    /// It has power again. Whoever still waits for it gives up.
    pub(super) fn regain_power(&mut self, machines: &mut [Machine], at: usize, prng: &mut Prng) {
        let side = &mut self.sides[at];
        side.regain_power(&mut machines[side.machine]);
        if at == 1 {
            self.listener = listen(&self.plan, self.number, machines);
        }
        self.is_bereft = true;
        self.fall(machines, prng);
        if self.state == State::Down {
            self.mourn(machines[self.sides[at].machine].env.now());
        }
    }

    /// A new device knows no number that the one before it used: nothing comes up while packets for that may be on their way.
    fn mourn(&mut self, now: Time) {
        if core::mem::take(&mut self.is_bereft) {
            self.rises_at = self.rises_at.map(|at| at.max(now + MOURNING));
        }
    }

    /// It does not come up again.
    pub(super) fn end(&mut self, machines: &mut [Machine], prng: &mut Prng) {
        self.fall(machines, prng);
        self.strict = false;
        (self.is_ending, self.rises_at) = (true, None);
    }

    /// The areas that are being written.
    pub(super) fn moving(&self, machine: usize) -> impl Iterator<Item = verbs::Registered> {
        let is_reliable = self.plan.service == Transport::ReliableConnection;
        let is_quiet = move |at: usize| {
            let peer = &self.sides[1 - at];
            is_reliable && peer.pending.is_empty() && peer.uncertain.is_empty()
        };
        (0..2)
            .filter(move |at| self.sides[*at].machine == machine && !is_quiet(*at))
            .map(|at| self.sides[at].written)
    }

    /// Where a side is.
    pub(super) fn address(&self, machines: &[Machine], at: usize) -> IpAddr {
        machines[self.sides[at].machine].address()
    }

    fn parameters(&self) -> Parameters {
        Parameters {
            responder_resources: self.plan.depth,
            initiator_depth: self.plan.depth,
            retry_count: self.plan.retry_count,
            rnr_retry_count: self.plan.rnr_retry_count,
        }
    }
}

/// Has the second side's machine wait for connections, if there are to be any.
fn listen(plan: &LinkPlan, number: usize, machines: &mut [Machine]) -> Option<ListenerId> {
    let machine = &mut machines[plan.machines[1]];
    let address = SocketAddr::new(machine.address(), port(number));
    plan.by_manager.then(|| machine.device.listen(DEVICE, space(plan), address).expect("a port of its own"))
}

fn space(plan: &LinkPlan) -> PortSpace {
    if plan.service == Transport::UnreliableDatagram { PortSpace::Udp } else { PortSpace::Tcp }
}

/// Each link has a port of its own.
const fn port(number: usize) -> u16 {
    7000 + number as u16
}

/// Longer than any packet is on its way.
const MOURNING: Duration = Duration::from_millis(6);
/// Bytes of inline data.
pub(super) const INLINE: u32 = 64;
/// What datagrams must carry.
pub(super) const QUEUE_KEY: u32 = 0x1357;
