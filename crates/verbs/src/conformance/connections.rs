//! Connections: asking, answering, ending.

use super::Setting;
use super::pair::{ALL, OWNER, Pair, Side};
use crate::{
    Accept, Connect, ConnectError, ConnectionEvent, ConnectionId, ConnectionWhat, ListenerId, Parameters,
    PortSpace, QpState, Rejection, Transition, Transport, Work,
};
use core::net::SocketAddr;
use stdx::env::Owner;

const SERVER: Owner = Owner(1000);
const PORT: u16 = 7174;
const SERVICE: PortSpace = PortSpace::Service(0x0200_c903_0001_0203);

/// Two ends that are not connected yet; end 1 listens.
struct Call<'a> {
    pair: Pair<'a>,
    listener: ListenerId,
    port: u16,
}

impl<'a> Call<'a> {
    fn new(setting: &'a mut dyn Setting, space: PortSpace, port: u16) -> Self {
        let transport = match space {
            PortSpace::Udp => Transport::UnreliableDatagram,
            PortSpace::Tcp | PortSpace::Ib | PortSpace::Sdp | PortSpace::Service(_) => {
                Transport::ReliableConnection
            }
        };
        let sides = [0, 1].map(|end| Side::new(setting, end, transport));
        let mut pair = Pair { setting, sides };
        for end in [0, 1] {
            pair.modify(end, &Transition::Initialize { access: ALL, queue_key: 0x55 });
        }
        let address = SocketAddr::new(pair.setting.address(1), port);
        let device = pair.setting.end(1).0;
        let listener = device.listen(SERVER, space, address).unwrap();
        let port = device.listener_address(listener).unwrap().port();
        Self { pair, listener, port }
    }

    fn connect(&mut self, space: PortSpace, parameters: Parameters, private_data: &[u8]) -> ConnectionId {
        self.try_connect(space, self.port, parameters, private_data).unwrap()
    }

    fn try_connect(
        &mut self,
        space: PortSpace,
        port: u16,
        parameters: Parameters,
        private_data: &[u8],
    ) -> Result<ConnectionId, ConnectError> {
        let to = SocketAddr::new(self.pair.setting.address(1), port);
        let qp = (space != PortSpace::Udp).then_some(self.pair.sides[0].qp);
        let connect = Connect { space, to, from: None, qp, parameters, private_data };
        let (device, env) = self.pair.setting.end(0);
        device.connect(env, OWNER, &connect)
    }

    fn accept(&mut self, connection: ConnectionId, parameters: Parameters, private_data: &[u8]) {
        let accept = Accept { qp: self.pair.sides[1].qp, parameters, queue_key: 0x55, private_data };
        let (device, env) = self.pair.setting.end(1);
        device.accept(env, SERVER, connection, &accept).unwrap();
    }

    /// The next event at an end that `of` is for; events of the other end stay where both are one device.
    fn event(&mut self, end: usize, of: Owner) -> ConnectionEvent {
        for _ in 0..100_000 {
            while let Some(event) = self.pair.setting.end(end).0.poll_connection() {
                if event.owner == of {
                    return event;
                }
            }
            self.pair.setting.turn();
        }
        panic!("no event came for {of:?}");
    }

    fn requested(&mut self) -> (ConnectionId, Parameters, Vec<u8>) {
        let event = self.event(1, SERVER);
        let ConnectionWhat::Requested { listener, local, parameters, private_data, peer } = event.what else {
            panic!("{event:?}");
        };
        assert_eq!(listener, self.listener);
        assert_eq!(local, SocketAddr::new(self.pair.setting.address(1), self.port));
        assert_eq!(peer.ip(), self.pair.setting.address(0));
        (event.connection, parameters, private_data.bytes().to_vec())
    }
}

pub(super) fn made_and_ended(setting: &mut dyn Setting) {
    for ending in [0, 1] {
        let mut call = Call::new(setting, PortSpace::Tcp, 0);
        let here = call.connect(PortSpace::Tcp, Parameters::default(), b"who is there?");
        let (there, _, private_data) = call.requested();
        assert!(private_data.starts_with(b"who is there?\0"));
        call.accept(there, Parameters::default(), b"it is me");
        let event = call.event(0, OWNER);
        assert_eq!(event.connection, here);
        let ConnectionWhat::Established { private_data, .. } = event.what else { panic!("{event:?}") };
        assert!(private_data.bytes().starts_with(b"it is me\0"));
        // The one who asked may send at once.
        let (from, to) = (call.pair.sge(0, 0, 100), call.pair.sge(1, 0, 100));
        call.pair.receive(1, 1, &[to]);
        call.pair.work(0, 2, Work::Send, &[from]);
        call.pair.success(1);
        call.pair.success(0);
        if ending == 1 {
            call.pair.settle();
        }
        let connection = [here, there][ending];
        call.pair.setting.end(ending).0.disconnect(connection).unwrap();
        let ended = |call: &mut Call<'_>, end: usize, of: Owner| {
            while call.event(end, of).what != ConnectionWhat::Disconnected {}
            assert_eq!(call.pair.state(end), QpState::Error);
        };
        // Where both ends are one device the events of one would be taken with the other's: the asker's come first.
        if call.pair.setting.address(0) != call.pair.setting.address(1) {
            ended(&mut call, 0, OWNER);
            ended(&mut call, 1, SERVER);
        } else {
            call.pair.settle();
            assert_eq!(call.pair.state(0), QpState::Error);
            assert_eq!(call.pair.state(1), QpState::Error);
        }
        call.pair.setting.end(0).0.release(here);
        call.pair.setting.end(1).0.release(there);
        let listener = call.listener;
        call.pair.setting.end(1).0.close_listener(listener);
        assert_eq!(call.pair.setting.end(1).0.listener_address(listener), None);
    }
}

pub(super) fn refused(setting: &mut dyn Setting) {
    let mut call = Call::new(setting, PortSpace::Tcp, PORT);
    let here = call.connect(PortSpace::Tcp, Parameters::default(), b"");
    let (there, _, _) = call.requested();
    call.pair.setting.end(1).0.reject(there, b"not you").unwrap();
    let event = call.event(0, OWNER);
    assert_eq!(event.connection, here);
    let ConnectionWhat::Rejected { why, private_data } = event.what else { panic!("{event:?}") };
    assert_eq!(why, Rejection::Consumer);
    assert!(private_data.bytes().starts_with(b"not you\0"));
    assert_eq!(call.pair.setting.end(1).0.reject(there, b""), Err(ConnectError::NotFound));
    // The queue pair was not used, and may ask again.
    assert_eq!(call.pair.state(0), QpState::Initialized);
    call.connect(PortSpace::Tcp, Parameters::default(), b"");
    call.requested();
}

pub(super) fn nobody(setting: &mut dyn Setting) {
    let mut call = Call::new(setting, PortSpace::Tcp, PORT);
    let address = SocketAddr::new(call.pair.setting.address(1), PORT);
    let again = call.pair.setting.end(1).0.listen(SERVER, PortSpace::Tcp, address);
    assert_eq!(again, Err(ConnectError::InUse));
    for space in [PortSpace::Tcp, PortSpace::Ib, SERVICE] {
        let port = if space == PortSpace::Tcp { PORT + 1 } else { PORT };
        call.try_connect(space, port, Parameters::default(), b"").unwrap();
        let event = call.event(0, OWNER);
        let ConnectionWhat::Rejected { why, .. } = event.what else { panic!("{event:?}") };
        assert_eq!(why, Rejection::NoListener);
    }
    let of_ports = PortSpace::Service(0x0106_0000 | u64::from(PORT));
    let asked = call.try_connect(of_ports, PORT, Parameters::default(), b"");
    assert_eq!(asked, Err(ConnectError::Address));
    let device = call.pair.setting.end(1).0;
    assert_eq!(device.listen(SERVER, of_ports, address), Err(ConnectError::Address));
}

pub(super) fn negotiated(setting: &mut dyn Setting) {
    let mut call = Call::new(setting, PortSpace::Tcp, PORT);
    let asked = Parameters { responder_resources: 7, initiator_depth: 5, retry_count: 2, rnr_retry_count: 3 };
    call.connect(PortSpace::Tcp, asked, b"");
    let (there, offered, _) = call.requested();
    assert_eq!((offered.responder_resources, offered.initiator_depth), (5, 7));
    let answer = Parameters { responder_resources: 2, initiator_depth: 9, ..offered };
    call.accept(there, answer, b"");
    let event = call.event(0, OWNER);
    let ConnectionWhat::Established { parameters, .. } = event.what else { panic!("{event:?}") };
    assert_eq!((parameters.responder_resources, parameters.initiator_depth), (7, 2));
    // Everything is read, though no more than two at once.
    for id in 0..8 {
        let (to, remote) = (call.pair.sge(0, id * 100, 100), call.pair.remote(1, 0));
        call.pair.work(0, id, Work::Read(remote), &[to]);
    }
    call.pair.completions(0, 8);
}

pub(super) fn resolved(setting: &mut dyn Setting) {
    let mut call = Call::new(setting, PortSpace::Udp, PORT);
    for end in [0, 1] {
        call.pair.raise(end, Transport::UnreliableDatagram, 0);
    }
    let here = call.connect(PortSpace::Udp, Parameters::default(), b"where?");
    let (there, _, private_data) = call.requested();
    assert!(private_data.starts_with(b"where?\0"));
    call.accept(there, Parameters::default(), b"here");
    let event = call.event(0, OWNER);
    assert_eq!(event.connection, here);
    let ConnectionWhat::Resolved { to, private_data } = event.what else { panic!("{event:?}") };
    assert!(private_data.bytes().starts_with(b"here\0"));
    assert_eq!((to.qpn, to.queue_key), (call.pair.info(1).qpn, 0x55));
    let (from, into) = (call.pair.sge(0, 0, 10), call.pair.sge(1, 0, 100));
    call.pair.receive(1, 1, &[into]);
    call.pair.work(0, 2, Work::Datagram { to, immediate: None }, &[from]);
    call.pair.success(1);
}

pub(super) fn private_data(setting: &mut dyn Setting) {
    private_data_in(setting, PortSpace::Tcp);
}

pub(super) fn private_data_of_sdp(setting: &mut dyn Setting) {
    private_data_in(setting, PortSpace::Sdp);
}

pub(super) fn private_data_of_services(setting: &mut dyn Setting) {
    private_data_in(setting, SERVICE);
}

fn private_data_in(setting: &mut dyn Setting, space: PortSpace) {
    let mut call = Call::new(setting, space, PORT);
    let long = [9; 197];
    let (port, room) = (call.port, space.request_room());
    let mut ask = |len: usize| call.try_connect(space, port, Parameters::default(), &long[..len]);
    assert_eq!(ask(room + 1), Err(ConnectError::PrivateData));
    ask(room).unwrap();
    let (there, _, private_data) = call.requested();
    assert_eq!(private_data, long[..room]);
    let accept = Accept {
        qp: call.pair.sides[1].qp,
        parameters: Parameters::default(),
        queue_key: 0,
        private_data: &long,
    };
    let (device, env) = call.pair.setting.end(1);
    assert_eq!(device.accept(env, SERVER, there, &accept), Err(ConnectError::PrivateData));
    assert_eq!(device.reject(there, &long[..149]), Err(ConnectError::PrivateData));
    call.accept(there, Parameters::default(), &long[..196]);
    let event = call.event(0, OWNER);
    let ConnectionWhat::Established { private_data, .. } = event.what else { panic!("{event:?}") };
    assert_eq!(private_data.bytes(), &long[..196]);
}
