//! Ten thousand streams between two fabrics of one machine, each with bytes of its own both ways.
//!
//! One thread drives all, which is why nothing here blocks: a fabric moves while somebody is in a call of it.

use sockets::{Fabric, Options, SdpListener, SdpStream};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};

const STREAMS: usize = 10_000;
/// Streams that are asked for at once.
const BATCH: usize = 100;

struct World {
    fabrics: [Fabric; 2],
    listener: SdpListener,
}

impl World {
    fn new() -> Self {
        let [here, there] = [(); 2].map(|()| Fabric::new(Options::default()).expect("a fabric"));
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = SdpListener::bind_on(&there, any).expect("a listener");
        listener.set_nonblocking(true);
        Self { fabrics: [here, there], listener }
    }

    fn turn(&self) {
        self.fabrics.iter().for_each(|fabric| {
            fabric.turn();
        });
    }

    /// Both ends of as many streams, in the order in which they were accepted.
    fn connect(&self) -> Vec<[SdpStream; 2]> {
        let address = self.listener.local_addr().expect("an address");
        let (mut clients, mut servers) = (Vec::new(), Vec::new());
        while clients.len() < STREAMS {
            for _ in 0..BATCH {
                clients.push(SdpStream::begin(&self.fabrics[0], address).expect("a stream"));
            }
            while servers.len() < clients.len() {
                self.turn();
                while let Ok((stream, _)) = self.listener.accept() {
                    stream.set_nonblocking(true);
                    servers.push(stream);
                }
            }
        }
        while clients.iter().any(|client| !client.readiness().writable) {
            self.turn();
        }
        // The same two ends have the same addresses.
        let port = |address: std::io::Result<SocketAddr>| address.expect("an address").port();
        clients.sort_by_key(|client| port(client.local_addr()));
        servers.sort_by_key(|server| port(server.peer_addr()));
        clients.into_iter().zip(servers).map(|(client, server)| [client, server]).collect()
    }

    /// One end of each stream says its number, and the other hears it.
    fn tell(&self, streams: &[[SdpStream; 2]], [from, to]: [usize; 2]) {
        let number = |place: usize| ((place * 2 + from) as u64).to_le_bytes();
        let (mut said, mut heard) = (0, 0);
        while heard < streams.len() {
            while said < streams.len() && streams[said][from].send(&number(said)).is_ok() {
                said += 1;
            }
            self.turn();
            let mut place = [0; 9];
            while heard < said
                && let Ok(len) = streams[heard][to].receive(&mut place)
            {
                assert_eq!(place[..len], number(heard), "stream {heard}");
                heard += 1;
            }
        }
    }
}

#[test]
fn ten_thousand_streams_carry_bytes_of_their_own() {
    let world = World::new();
    let streams = world.connect();
    assert_eq!(streams.len(), STREAMS);
    world.tell(&streams, [0, 1]);
    world.tell(&streams, [1, 0]);
    let (clients, servers): (Vec<_>, Vec<_>) =
        streams.into_iter().map(|[client, server]| (client, server)).unzip();
    drop(clients);
    for server in &servers {
        let ended = loop {
            match server.receive(&mut [0; 1]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => world.turn(),
                other => break other,
            }
        };
        assert_eq!(ended.expect("an end, not an error"), 0);
    }
}
