//! Who is blamed for a session that ends.

use super::*;
use crate::greeting::Nonce;
use reactor::BellListener;
use sockets::{Fabric, Options, SdpListener};
use std::io::Write;
use std::net::SocketAddr;

/// A session that dials somebody of this test, who was accepted; and the program that it is for.
struct Dialled {
    fabric: Fabric,
    session: Session,
    program: Option<Bell>,
    peer: SdpStream,
    key: Key,
    claims: Claims,
}

fn dialled(name: &str) -> Dialled {
    let fabric = Fabric::new(Options::default()).unwrap();
    let listener = SdpListener::bind_on(&fabric, "127.0.0.1:0".parse().unwrap()).unwrap();
    let server = listener.local_addr().unwrap();
    let stream = SdpStream::begin(&fabric, server).unwrap();
    let name = format!("{name}-{}", std::process::id());
    let bells = BellListener::listen(&name).unwrap();
    let program = Bell::connect(&name).unwrap();
    let ends = Ends { client: SocketAddr::new(server.ip(), 1), server };
    let session = Session::dial(stream, bells.accept().unwrap(), ends, Nonce::default(), Instant::now());
    let (peer, _) = listener.accept().unwrap();
    Dialled {
        fabric,
        session,
        program: Some(program),
        peer,
        key: Key::new(&[7; 32]).unwrap(),
        claims: Claims::default(),
    }
}

impl Dialled {
    /// The host that the session's end is blamed on.
    fn blamed(&mut self) -> Option<IpAddr> {
        for _ in 0..1_000_000 {
            self.fabric.turn();
            let mut common = Common { key: &self.key, claims: &mut self.claims, now: Instant::now() };
            if let Err(why) = self.session.turn(&mut common) {
                return self.session.blamed(&why);
            }
        }
        panic!("the session does not end");
    }
}

#[test]
fn a_host_is_not_blamed_for_a_program_that_goes() {
    let mut dialled = dialled("session-gone");
    dialled.program = None;
    assert_eq!(dialled.blamed(), None);
}

#[test]
fn a_host_is_blamed_for_speaking_otherwise() {
    let mut dialled = dialled("session-other");
    dialled.peer.write_all(&[0; greeting::HELLO_LEN]).unwrap();
    assert_eq!(dialled.blamed(), Some(IpAddr::from([127, 0, 0, 1])));
}
