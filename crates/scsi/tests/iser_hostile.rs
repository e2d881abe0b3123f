//! Messages of iSER that are not one PDU: each ends the session that it came by, and no other of the same target.

mod world;

use stdx::env::Env;
use stdx::slab::Key;
use wire::iscsi::{Opcode, Reject, RejectReason};
use wire::iser::{HEADER_LEN, Header, MESSAGE_LEN_MIN};
use world::initiator::Initiator;
use world::rdma::{PLAIN, RdmaWorld};

/// A session that is to suffer, and a neighbour's that is not.
struct Pair {
    world: RdmaWorld,
    connection: Key,
    host: Initiator,
    good: Key,
    neighbour: Initiator,
}

impl Pair {
    fn new() -> Self {
        let mut world = RdmaWorld::new();
        let (good, neighbour) = world.ready(1);
        let (connection, host) = world.ready(2);
        Self { world, connection, host, good, neighbour }
    }

    /// The bytes of a ping behind a header.
    fn ping(&mut self, data: &[u8]) -> Vec<u8> {
        [&Header::default().encode()[..], &self.host.ping(1, data)].concat()
    }

    /// The connection has ended, and what belonged to it is gone; the neighbour's session moves data as ever.
    fn ended(&mut self, what: &str) {
        self.world.run();
        self.world.happened.clear();
        assert!(!self.world.is_alive(self.connection), "{what}");
        assert!(self.world.is_alive(self.good), "{what}");
        assert_eq!(self.world.world.server.sessions().count(), 1, "{what}");
        assert_eq!(self.world.world.env.mem().buffers_taken(), 0, "{what}");
        let memory = self.world.at(0);
        let header = Header { read: Some(memory), write: None };
        let bytes = self.neighbour.read_blocks(1, 0, 8);
        assert_eq!(self.world.status(self.good, header, &bytes), 0, "{what}");
    }
}

/// RFC 7145, section 10.1.3: what has no whole header is no PDU, so that there is none to be rejected.
#[test]
fn messages_without_a_whole_header_end_their_session() {
    for len in [0, 1, HEADER_LEN - 1, HEADER_LEN, HEADER_LEN + 1, MESSAGE_LEN_MIN - 1] {
        let mut pair = Pair::new();
        let ping = pair.ping(&[]);
        pair.world.send_bytes(pair.connection, &ping[..len]);
        pair.world.run();
        assert!(pair.world.told(pair.connection).is_empty(), "{len} bytes");
        pair.ended(&format!("{len} bytes"));
        assert_eq!(pair.world.world.server.counters().protocol_errors, 1, "{len} bytes");
    }
}

/// The same of who has not logged in, and during the login.
#[test]
fn messages_without_a_whole_header_end_a_login() {
    let mut world = RdmaWorld::new();
    let (good, mut neighbour) = world.ready(1);
    for (errors, len) in [0, 1, HEADER_LEN, MESSAGE_LEN_MIN - 1].into_iter().enumerate() {
        for begins in [false, true] {
            let (connection, _) = world.connect(PLAIN);
            let login = [&Header::default().encode()[..], &world::rdma::initiator(2).login("")].concat();
            if begins {
                // A login of which more is to follow: the first byte of its flags says so.
                let mut first = login.clone();
                first[HEADER_LEN + 1] = 0x44;
                world.send_bytes(connection, &first);
                world.run();
                assert!(world.is_alive(connection));
                world.told(connection);
            }
            world.send_bytes(connection, &login[..len]);
            world.run();
            world.happened.clear();
            assert!(!world.is_alive(connection), "{len} bytes");
        }
        assert_eq!(world.world.server.counters().protocol_errors, 2 * (errors as u64 + 1));
    }
    let bytes = neighbour.test_unit_ready(1);
    assert_eq!(world.status(good, Header::default(), &bytes), 0);
    assert_eq!(world.world.server.sessions().count(), 1);
}

/// A message that says less or more than its PDU is rejected with that PDU's own header (RFC 7143, section 11.17.3).
#[test]
fn bytes_before_or_behind_the_end_of_a_pdu_end_its_session() {
    // Of five bytes of data three of padding may follow.
    for (data, more) in [(5, -1), (5, 1), (5, 2), (5, 4), (8, -8), (8, -1), (8, 1), (8, 4), (0, 1), (0, 76)] {
        let mut pair = Pair::new();
        // What was taken before is not what is rejected.
        let bytes = pair.host.test_unit_ready(7);
        assert_eq!(pair.world.status(pair.connection, Header::default(), &bytes), 0);
        let mut message = pair.ping(&[7; 8][..data]);
        let (header, len) = (message[HEADER_LEN..MESSAGE_LEN_MIN].to_vec(), MESSAGE_LEN_MIN + data);
        message.resize(len.checked_add_signed(more).unwrap(), 0);
        pair.world.send_bytes(pair.connection, &message);
        pair.world.run();
        let told = pair.world.told(pair.connection);
        let context = format!("{more} bytes after {data}");
        let [told] = &told[..] else { panic!("{context}: {told:?}") };
        assert_eq!(told.answer.opcode(), Opcode::Reject, "{context}");
        assert_eq!(
            Reject::decode(&told.answer.bhs).unwrap().reason,
            RejectReason::ProtocolError,
            "{context}"
        );
        assert_eq!(told.answer.data, header, "{context}");
        pair.ended(&context);
    }
}

/// Padding is taken, and none (RFC 7145, section 9.2, has none; Linux's initiator sends some).
#[test]
fn padding_may_follow_a_pdu() {
    let mut pair = Pair::new();
    for padding in [0, 3] {
        let mut message = pair.ping(&[7; 5]);
        message.resize(MESSAGE_LEN_MIN + 5 + padding, 0);
        pair.world.send_bytes(pair.connection, &message);
        pair.world.run();
        assert_eq!(pair.world.told(pair.connection)[0].answer.data, [7; 5]);
    }
}
