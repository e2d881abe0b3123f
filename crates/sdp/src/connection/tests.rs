//! What one end makes of a peer that keeps to nothing.

use super::*;
use core::time::Duration;
use wire::sdp::{Base, Body, ControlError, Flags, MessageId, SinkAdvert};

/// One end, and a peer that a test plays.
struct Script {
    connection: Connection,
    sequence: u32,
    now: Time,
}

/// What came of a message.
type Heard = Result<Option<Payload>, Violation>;

impl Script {
    fn new() -> Self {
        let lens = Options { receive_len: 128, desired_remote_len: 128, ..Options::default() };
        let options = Options { receives: 8, adverts_max: 3, ..lens };
        let terms = Terms { credits: 8, message_len: 128, adverts_max: 4 };
        Self { connection: Connection::new(Time::ZERO, options, terms), sequence: 0, now: Time::ZERO }
    }

    /// The peer says something, beside so many bytes of the stream.
    fn hear(&mut self, body: Body, payload: usize) -> Heard {
        self.sequence += 1;
        let len = body.message_len(payload) as u32;
        let acknowledged = self.connection.credits.sent();
        let base =
            Base { id: body.id(), flags: Flags(0), buffers: 8, len, sequence: self.sequence, acknowledged };
        let nothing = Piece { at: 0, len: 0 };
        let message = [Message::new(&base, &body, nothing, false).head(), &vec![7; payload]].concat();
        let heard = self.hear_bytes(&message);
        self.connection.release();
        heard
    }

    fn hear_bytes(&mut self, message: &[u8]) -> Heard {
        let heard = self.connection.handle_message(self.now, message, message.len() as u32);
        self.connection.check();
        assert_eq!(heard.is_err(), self.connection.is_ended());
        heard
    }

    /// What the end sends next, with the bytes it sends along.
    fn said(&mut self) -> Option<(Body, Piece)> {
        let step = self.connection.poll(self.now)?;
        self.connection.check();
        let Step::Send(message) = step else { panic!("{step:?} is no message") };
        let base = Base::decode(message.head()).expect("a header").expect("a type");
        let (body, _) = Body::decode(base.id, &message.head()[16..]).expect("a body");
        assert_eq!(base.len as usize, message.head().len() + message.payload.len as usize);
        self.connection.handle_done();
        Some((body, message.payload))
    }

    /// What the end writes to the peer's memory next, and where.
    fn written(&mut self) -> Option<(Piece, u64)> {
        let step = self.connection.poll(self.now)?;
        self.connection.check();
        let Step::Write { piece, key: 6, address } = step else { panic!("{step:?} is no write there") };
        self.connection.handle_done();
        Some((piece, address))
    }

    fn pipelined() -> Self {
        let mut script = Self::new();
        script.connection.change_mode(Mode::Pipelined).expect("a change");
        assert_eq!(script.said(), Some((Body::ModeChange(Half::Receive, Mode::Pipelined), NOTHING)));
        script.hear(Body::ModeChange(Half::Receive, Mode::Pipelined), 0).expect("a change");
        script
    }
}

const fn source(len: u32) -> Body {
    Body::SourceAvailable(Advert { len, key: 5, address: 0x1000 })
}

const fn sink(len: u32) -> Body {
    Body::SinkAvailable(SinkAdvert { advert: Advert { len, key: 6, address: 0x2000 }, non_discards: 0 })
}

#[test]
fn bytes_go_in_messages_of_the_peers_length() {
    let mut script = Script::new();
    script.connection.write(200, How::Copied, false).expect("open");
    assert_eq!(script.said(), Some((Body::Data, Piece { at: 0, len: 112 })));
    assert_eq!(script.said(), Some((Body::Data, Piece { at: 112, len: 88 })));
    assert_eq!(script.said(), None);
    assert_eq!(script.connection.released(), 200);
}

#[test]
fn the_last_two_credits_are_not_for_bytes() {
    let mut script = Script::new();
    script.connection.write(10_000, How::Copied, false).expect("open");
    let sent = core::iter::from_fn(|| script.said()).count();
    assert_eq!(sent, 6);
    script.connection.resize(4096);
    assert_eq!(script.said(), Some((Body::ChangeReceiveBuffer(4096), NOTHING)));
}

#[test]
fn an_advert_is_read_from_behind_the_bytes_that_came_with_it() {
    let mut script = Script::new();
    let payload = script.hear(source(1000), 50).expect("an advert").expect("bytes");
    assert_eq!(payload, Payload { offset: 32, len: 50, token: None, is_urgent: false });
    assert_eq!(script.connection.offer(), Some(Offer { key: 5, address: 0x1032, len: 950 }));
    script.connection.read(950);
    assert_eq!(script.said(), None, "it is being read");
    script.connection.handle_done();
    assert_eq!(script.said(), Some((Body::RdmaReadCompletion(950), NOTHING)));
}

#[test]
fn an_unread_advert_is_taken_back_and_sent_in_messages() {
    let mut script = Script::new();
    let how = How::Advertised { key: 1, address: 0 };
    script.connection.write(100, how, false).expect("open");
    let advert = Advert { len: 100, key: 1, address: 0 };
    assert_eq!(script.said(), Some((Body::SourceAvailable(advert), Piece { at: 0, len: 64 })));
    assert_eq!(script.said(), None, "the peer is to read the rest");
    script.now = script.connection.deadline().expect("it may take its time, but not for ever");
    script.connection.handle_timeout(script.now).expect("it may be asked");
    assert_eq!(script.said(), Some((Body::SourceCancel, NOTHING)));
    script.hear(Body::RdmaReadCompletion(6), 0).expect("part of it");
    assert_eq!(script.said(), None);
    script.hear(Body::SendSmall, 0).expect("no more of it");
    assert_eq!(script.said(), Some((Body::Data, Piece { at: 70, len: 30 })));
}

#[test]
fn a_peer_that_keeps_an_advert_for_ever_is_left() {
    let mut script = Script::new();
    script.connection.write(100, How::Advertised { key: 1, address: 0 }, false).expect("open");
    script.said();
    script.connection.cancel_written(script.now);
    script.now += Duration::from_secs(60);
    assert_eq!(script.connection.handle_timeout(script.now), Err(Violation::CancelIgnored));
    assert_eq!(script.connection.poll(script.now), Some(Step::Disconnect));
}

#[test]
fn bytes_for_memory_that_the_peer_gave_are_written_there() {
    let mut script = Script::pipelined();
    script.hear(sink(500), 0).expect("memory");
    script.hear(sink(500), 0).expect("memory");
    script.connection.write(450, How::Advertised { key: 1, address: 0 }, false).expect("open");
    assert_eq!(script.written(), Some((Piece { at: 0, len: 450 }, 0x2000)));
    assert_eq!(script.said(), Some((Body::RdmaWriteCompletion(450), NOTHING)));
    // What was copied goes in pieces no longer than a message, until the memory is full.
    script.connection.write(510, How::Copied, false).expect("open");
    for at in [0, 112, 224, 336] {
        let piece = Piece { at: 450 + at, len: 112 };
        assert_eq!(script.written(), Some((piece, 0x2000 + at)));
    }
    assert_eq!(script.written(), Some((Piece { at: 898, len: 52 }, 0x2000 + 448)));
    assert_eq!(script.said(), Some((Body::RdmaWriteCompletion(500), NOTHING)));
    assert_eq!(script.said(), Some((Body::Data, Piece { at: 950, len: 10 })));
}

#[test]
fn few_bytes_for_memory_that_the_peer_gave_go_in_a_message() {
    let mut script = Script::pipelined();
    script.hear(sink(500), 0).expect("memory");
    script.connection.write(111, How::Copied, false).expect("open");
    assert_eq!(script.said(), Some((Body::Data, Piece { at: 0, len: 111 })));
    script.connection.write(450, How::Copied, false).expect("open");
    assert_eq!(script.said(), Some((Body::Data, Piece { at: 111, len: 112 })), "it was used up");
}

#[test]
fn memory_that_the_peer_gave_waits_for_what_follows_at_once() {
    let mut script = Script::pipelined();
    script.hear(sink(500), 0).expect("memory");
    script.connection.set_more(true);
    script.connection.write(100, How::Copied, false).expect("open");
    assert_eq!(script.said(), None, "too few yet");
    script.connection.write(20, How::Copied, false).expect("open");
    assert_eq!(script.written(), Some((Piece { at: 0, len: 112 }, 0x2000)));
    assert_eq!(script.written(), Some((Piece { at: 112, len: 8 }, 0x2000 + 112)));
    assert_eq!(script.said(), None);
    assert!(script.connection.set_more(false), "something waited");
    assert_eq!(script.said(), Some((Body::RdmaWriteCompletion(120), NOTHING)));
}

#[test]
fn a_peer_is_asked_once_for_the_mode_in_which_it_writes() {
    let mut script = Script::new();
    script.connection.prefer_pipelined(true);
    let Some(Step::Send(message)) = script.connection.poll(script.now) else { panic!("a message") };
    let base = Base::decode(message.head()).expect("a header").expect("a type");
    assert_eq!((base.id, base.flags), (MessageId::Data, Flags::REQUEST_PIPELINED));
    assert_eq!(script.said(), None);
    script.hear(Body::ModeChange(Half::Receive, Mode::Pipelined), 0).expect("it does");
    script.connection.advertise(3, Advert { len: 112, key: 1, address: 0 }).expect("pipelined");
    assert!(matches!(script.said(), Some((Body::SinkAvailable(_), NOTHING))));
}

#[test]
fn peers_that_know_no_such_mode_are_not_asked() {
    let options = Options { receives: 8, receive_len: 128, ..Options::default() };
    let terms = Terms { credits: 8, message_len: 128, adverts_max: 1 };
    let mut connection = Connection::new(Time::ZERO, options, terms);
    connection.prefer_pipelined(true);
    assert_eq!(connection.poll(Time::ZERO), None);
    let advert = Advert { len: 1000, key: 1, address: 0 };
    assert_eq!(connection.advertise(3, advert), Err(Refused::Mode));
    connection.write(10, How::Copied, false).expect("open");
    let Some(Step::Send(message)) = connection.poll(Time::ZERO) else { panic!("a message") };
    assert_eq!(Base::decode(message.head()).expect("a header").expect("a type").flags, Flags(0));
}

#[test]
fn memory_that_the_peer_does_not_know_of_yet_goes_back_when_bytes_come() {
    let mut script = Script::pipelined();
    script.connection.advertise(3, Advert { len: 112, key: 1, address: 0 }).expect("pipelined");
    script.hear(Body::Data, 20).expect("bytes").expect("for the stream");
    assert_eq!(script.connection.poll_event(), Some(Event::Returned { token: 3 }));
    assert_eq!(script.said(), None);
}

#[test]
fn the_urgent_byte_ends_its_message() {
    let mut script = Script::new();
    script.connection.write(10, How::Copied, true).expect("open");
    script.connection.write(10, How::Copied, false).expect("open");
    let Some(Step::Send(message)) = script.connection.poll(script.now) else { panic!("a message") };
    let base = Base::decode(message.head()).expect("a header").expect("a type");
    assert_eq!(base.flags, Flags::OUT_OF_BAND_PRESENT | Flags::OUT_OF_BAND_PENDING);
    assert_eq!(message.payload, Piece { at: 0, len: 10 });
    assert!(message.is_solicited);
}

#[test]
fn whoever_closed_first_ends_the_connection_once_all_is_done() {
    let mut script = Script::new();
    script.connection.write(10, How::Copied, false).expect("open");
    script.connection.shut_down();
    assert_eq!(script.connection.write(1, How::Copied, false), Err(Refused::Closed));
    assert!(matches!(script.said(), Some((Body::Data, _))));
    assert_eq!(script.said(), Some((Body::Disconnect, NOTHING)));
    script.hear(Body::Data, 20).expect("the peer's half is open").expect("bytes");
    script.hear(Body::Disconnect, 0).expect("it closes");
    assert_eq!(script.connection.poll_event(), Some(Event::PeerClosed));
    assert_eq!(script.connection.poll(script.now), Some(Step::Disconnect));
    assert_eq!(script.connection.poll(script.now), None);
}

#[test]
fn bytes_that_nobody_reads_end_the_connection() {
    let mut script = Script::new();
    script.connection.shut_read();
    let base =
        Base { id: MessageId::Data, flags: Flags(0), buffers: 8, len: 20, sequence: 1, acknowledged: 0 };
    let message = [base.encode().as_slice(), &[1, 2, 3, 4]].concat();
    assert_eq!(script.connection.handle_message(script.now, &message, 20), Ok(None));
    assert_eq!(script.connection.poll(script.now), Some(Step::Disconnect));
}

#[test]
fn messages_that_are_none_end_the_connection() {
    let base =
        Base { id: MessageId::Data, flags: Flags(0), buffers: 8, len: 16, sequence: 1, acknowledged: 0 };
    let mut unknown = base.encode();
    unknown[0] = 0x77;
    assert_eq!(Script::new().hear_bytes(&unknown), Err(Violation::UnknownType));
    let longer = Base { len: 17, ..base }.encode();
    assert_eq!(Script::new().hear_bytes(&longer), Err(Violation::Length { said: 17, received: 16 }));
    assert_eq!(Script::new().hear_bytes(&longer[..9]), Err(Violation::Length { said: 9, received: 9 }));
    let headless = Base { id: MessageId::SourceAvailable, ..base }.encode();
    let short = Violation::Malformed(ControlError::TooShort);
    assert_eq!(Script::new().hear_bytes(&headless), Err(short));
}

#[test]
fn what_the_mode_does_not_allow_ends_the_connection() {
    let combined = Violation::AdvertInMode(Mode::Combined);
    assert_eq!(Script::new().hear(source(1000), 0), Err(combined));
    assert_eq!(Script::new().hear(source(50), 50), Err(combined), "nothing is left to be read");
    assert_eq!(Script::new().hear(sink(1000), 0), Err(combined));
    let pipelined = Violation::AdvertInMode(Mode::Pipelined);
    assert_eq!(Script::pipelined().hear(source(1000), 1), Err(pipelined));
    let same = Violation::ModeChange { from: Mode::Combined, to: Mode::Combined };
    assert_eq!(Script::new().hear(Body::ModeChange(Half::Receive, Mode::Combined), 0), Err(same));
    let theirs = Violation::ModeChange { from: Mode::Combined, to: Mode::Pipelined };
    assert_eq!(Script::new().hear(Body::ModeChange(Half::Send, Mode::Pipelined), 0), Err(theirs));
}

#[test]
fn adverts_that_cannot_be_end_the_connection() {
    let far = Body::SourceAvailable(Advert { len: 1000, key: 5, address: u64::MAX - 10 });
    assert_eq!(Script::pipelined().hear(far, 0), Err(Violation::AdvertUncovered));
    assert_eq!(Script::pipelined().hear(sink(111), 0), Err(Violation::SinkTooShort(111)));
    let mut script = Script::pipelined();
    for _ in 0..3 {
        script.hear(source(1000), 0).expect("as many as we take");
    }
    assert_eq!(script.hear(source(1000), 0), Err(Violation::TooManyAdverts));
    let mut script = Script::new();
    script.hear(source(1000), 10).expect("an advert");
    assert_eq!(script.hear(Body::Data, 10), Err(Violation::DataBesideAdvert));
}

#[test]
fn answers_to_nothing_end_the_connection() {
    for body in [Body::RdmaReadCompletion(1), Body::RdmaWriteCompletion(1), Body::SinkCancelAck] {
        assert_eq!(Script::new().hear(body, 0), Err(Violation::NoAdvert));
    }
    assert_eq!(Script::new().hear(Body::SuspendAck, 0), Err(Violation::Unasked));
    assert_eq!(Script::new().hear(Body::ChangeReceiveBufferAck(4096), 0), Err(Violation::Unasked));
    let mut script = Script::new();
    script.connection.resize(4096);
    assert_eq!(script.said(), Some((Body::ChangeReceiveBuffer(4096), NOTHING)));
    assert_eq!(script.hear(Body::ChangeReceiveBufferAck(36), 0), Err(Violation::ReceiveTooShort(36)));
    let mut script = Script::new();
    script.connection.write(100, How::Advertised { key: 1, address: 0 }, false).expect("open");
    script.said();
    assert_eq!(script.hear(Body::RdmaReadCompletion(37), 0), Err(Violation::TooMuchMoved));
}

/// Each message of ours that it takes brings the peer as many of its own as it has credits.
#[test]
fn a_peer_that_asks_without_end_is_left() {
    let mut script = Script::new();
    let heard = (0..200).find_map(|asked| {
        if asked % 6 == 5 {
            script.said().expect("an answer");
        }
        script.hear(Body::ChangeReceiveBuffer(256), 0).err()
    });
    assert_eq!(heard, Some(Violation::TooManyAsked));
}

#[test]
fn a_silent_peer_is_looked_at_though_something_waits_for_a_credit() {
    let mut script = Script::new();
    script.connection.set_keep_alive(Some(Duration::from_secs(5)));
    script.connection.write(10_000, How::Copied, false).expect("open");
    while script.said().is_some() {}
    script.connection.resize(4096);
    assert_eq!(script.said(), Some((Body::ChangeReceiveBuffer(4096), NOTHING)));
    script.connection.resize(4096);
    assert_eq!(script.said(), None, "the last credit is not for this");
    script.now = script.connection.deadline().expect("it is to be looked");
    assert_eq!(script.connection.poll(script.now), Some(Step::Probe));
    assert_eq!(script.connection.poll(script.now), None);
}

#[test]
fn a_message_is_no_longer_than_our_receives() {
    assert_eq!(Script::new().hear(Body::Data, 113), Err(Violation::TooLong(129)));
    let mut script = Script::new();
    script.hear(Body::ChangeReceiveBuffer(256), 0).expect("a wish");
    assert_eq!(
        script.said(),
        Some((Body::ChangeReceiveBufferAck(128), NOTHING)),
        "there is no room for more"
    );
}

#[test]
fn whoever_closed_sends_no_more() {
    for body in [Body::Data, source(1000), Body::Disconnect] {
        let mut script = Script::new();
        script.hear(Body::Disconnect, 0).expect("it closes");
        let payload = if body == Body::Disconnect { 0 } else { 10 };
        assert_eq!(script.hear(body, payload), Err(Violation::AfterClose));
    }
}

const NOTHING: Piece = Piece { at: 0, len: 0 };
