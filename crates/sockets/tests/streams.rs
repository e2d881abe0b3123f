//! Two fabrics of one machine, each with threads of its own: bytes arrive, in order and whole, and streams end as TCP's do.

use sockets::{Fabric, Interest, Options, SdpBuffer, SdpListener, SdpStream};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::thread;
use std::time::Duration;

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// Long enough for the slowest machine; nothing waits so long if all is well.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(60));

fn fabric() -> Fabric {
    Fabric::new(Options::default()).expect("a fabric")
}

/// Two ends of a stream, of two fabrics.
fn pair() -> (SdpStream, SdpStream) {
    let listener = SdpListener::bind_on(&fabric(), ANY).expect("a listener");
    let address = listener.local_addr().expect("an address");
    let client = thread::spawn(move || SdpStream::connect_on(&fabric(), address).expect("a stream"));
    let (server, peer) = listener.accept().expect("a stream");
    let client = client.join().expect("no panic");
    assert_eq!(client.peer_addr().expect("a peer"), address);
    assert_eq!(client.local_addr().expect("an address"), peer);
    assert_eq!(server.local_addr().expect("an address"), address);
    for end in [&client, &server] {
        end.set_read_timeout(PATIENCE);
        end.set_write_timeout(PATIENCE);
    }
    (client, server)
}

/// The byte at a place of a stream.
fn byte(at: usize) -> u8 {
    (at.wrapping_mul(0x9e37_79b9) >> 11) as u8
}

/// Writes `len` bytes in pieces of many lengths, then closes the half.
fn pour(stream: &SdpStream, len: usize) {
    let bytes: Vec<u8> = (0..len).map(byte).collect();
    let (mut at, mut step) = (0, 1);
    while at < len {
        let end = (at + step).min(len);
        (&mut &*stream).write_all(&bytes[at..end]).expect("room");
        (at, step) = (end, (step * 3 + 1) % 300_000);
    }
    stream.shutdown(Shutdown::Write).expect("a half to close");
}

/// Reads to the end, in pieces of many lengths; says how much came.
fn drain(stream: &SdpStream) -> usize {
    let (mut at, mut step) = (0, 7);
    let mut place = vec![0; 70_000];
    loop {
        let len = stream.receive(&mut place[..step]).expect("bytes");
        assert!(
            place[..len].iter().enumerate().all(|(offset, found)| *found == byte(at + offset)),
            "at {at}"
        );
        (at, step) = (at + len, (step * 5 + 3) % 69_999 + 1);
        if len == 0 {
            return at;
        }
    }
}

#[test]
fn bytes_arrive_both_ways_at_once() {
    const LEN: usize = 9_000_000;
    let (client, server) = pair();
    thread::scope(|scope| {
        scope.spawn(|| pour(&client, LEN));
        scope.spawn(|| pour(&server, LEN / 2));
        let there = scope.spawn(|| drain(&server));
        assert_eq!(drain(&client), LEN / 2);
        assert_eq!(there.join().expect("no panic"), LEN);
    });
    assert_eq!(client.send(b"more").expect_err("closed").kind(), ErrorKind::BrokenPipe);
}

#[test]
fn what_was_written_goes_on_while_its_writer_is_elsewhere() {
    const LEN: usize = 100_000;
    for _ in 0..5 {
        let (client, server) = pair();
        let buffer = SdpBuffer::new(server.fabric(), LEN).expect("memory");
        server.queue_into(&buffer, 0..LEN).expect("it is free");
        // The peer knows where its bytes are wanted.
        for _ in 0..1000 {
            client.fabric().turn();
            server.fabric().turn();
        }
        let bytes: Vec<u8> = (0..LEN).map(byte).collect();
        (&client).write_all(&bytes).expect("room");
        client.shutdown(Shutdown::Write).expect("a half to close");
        // From here on no thread is in a call of the client's, and bytes have to be told of that were put there.
        assert_eq!(server.read_into(&buffer, 0..LEN).expect("bytes"), LEN);
        let mut found = vec![0; LEN];
        buffer.copy_to(0, &mut found).expect("within");
        assert_eq!(found, bytes);
        assert_eq!(server.read_into(&buffer, 0..LEN).expect("the end"), 0);
        drop(client);
    }
}

#[test]
fn many_threads_wait_on_one_fabric() {
    const STREAMS: usize = 16;
    let (here, there) = (fabric(), fabric());
    let listener = SdpListener::bind_on(&there, ANY).expect("a listener");
    let address = listener.local_addr().expect("an address");
    thread::scope(|scope| {
        for number in 0..STREAMS {
            let here = &here;
            scope.spawn(move || {
                let stream = SdpStream::connect_on(here, address).expect("a stream");
                stream.set_read_timeout(PATIENCE);
                for round in 0..200_u32 {
                    let said = [number as u8; 100].map(|byte| byte ^ round as u8);
                    (&stream).write_all(&said).expect("room");
                    let mut heard = [0; 100];
                    (&stream).read_exact(&mut heard).expect("an echo");
                    assert_eq!(said, heard);
                    if round % 50 == number as u32 {
                        thread::sleep(Duration::from_millis(3));
                    }
                }
            });
        }
        for _ in 0..STREAMS {
            let (stream, _) = listener.accept().expect("a stream");
            scope.spawn(move || io::copy(&mut &stream, &mut &stream).expect("an echo"));
        }
    });
}

#[test]
fn nobody_listens() {
    let error = SdpStream::connect_on(&fabric(), (Ipv4Addr::LOCALHOST, 9).into()).expect_err("nobody");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn an_address_is_listened_at_once() {
    let listener = SdpListener::bind_on(&fabric(), ANY).expect("a listener");
    let address = listener.local_addr().expect("an address");
    let again = SdpListener::bind_on(&fabric(), address).expect_err("taken");
    assert_eq!(again.kind(), ErrorKind::AddrInUse);
    drop(listener);
    SdpListener::bind_on(&fabric(), address).expect("free again");
}

#[test]
fn who_does_not_block_is_told_so() {
    let (client, server) = pair();
    client.set_nonblocking(true);
    let mut place = [0; 10];
    assert_eq!(client.receive(&mut place).expect_err("nothing").kind(), ErrorKind::WouldBlock);
    let chunk = vec![1; 100_000];
    let mut written = 0;
    while let Ok(len) = client.send(&chunk) {
        written += len;
        assert!(written < 1 << 30, "nobody reads it");
    }
    let reader = thread::spawn(move || io::copy(&mut &server, &mut io::sink()).expect("bytes"));
    assert!(client.wait(Interest::Write, PATIENCE).writable);
    written += client.send(&chunk).expect("room");
    drop(client);
    assert_eq!(reader.join().expect("no panic"), written as u64);
}

#[test]
fn bytes_are_peeked_at() {
    let (client, server) = pair();
    client.send(b"hello").expect("room");
    let mut place = [0; 3];
    assert_eq!(server.peek(&mut place).expect("bytes"), 3);
    assert_eq!((server.readable(), &place), (5, b"hel"));
    let mut place = [0; 10];
    assert_eq!(server.receive(&mut place).expect("bytes"), 5);
    assert_eq!(&place[..5], b"hello");
}

#[test]
fn an_urgent_byte_is_apart() {
    let (client, server) = pair();
    client.send(b"abc").expect("room");
    client.send_urgent(b"def!").expect("room");
    client.send(b"ghi").expect("room");
    let mut place = [0; 20];
    let mut heard = Vec::new();
    while heard.len() < 6 {
        let len = server.receive(&mut place).expect("bytes");
        heard.extend_from_slice(&place[..len]);
    }
    assert_eq!(heard, b"abcdef");
    assert!(server.is_at_mark() && server.readiness().urgent);
    assert_eq!((server.take_urgent(), server.take_urgent()), (Some(b'!'), None));
    assert_eq!(server.receive(&mut place).expect("bytes"), 3);
}

#[test]
fn an_aborted_stream_is_reset() {
    let (client, server) = pair();
    client.send(b"never mind").expect("room");
    client.abort();
    let mut place = [0; 20];
    let error = loop {
        match server.receive(&mut place) {
            Ok(0) => panic!("that is no end"),
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn whoever_leaves_bytes_unread_resets() {
    let (client, server) = pair();
    client.send(b"who reads this?").expect("room");
    assert!(server.wait(Interest::Read, PATIENCE).readable);
    drop(server);
    let error = client.receive(&mut [0; 1]).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn what_was_written_arrives_though_its_writer_leaves() {
    let (client, server) = pair();
    client.send(&[7; 100_000]).expect("room");
    let fabric = client.fabric().clone();
    drop(client);
    let mut all = Vec::new();
    (&server).read_to_end(&mut all).expect("bytes");
    assert_eq!(all, [7; 100_000]);
    drop(server);
    drop(fabric);
}

#[test]
fn a_stream_pauses_and_goes_on() {
    let (client, server) = pair();
    thread::scope(|scope| {
        // The peer's end does its part while its owner does something else.
        scope.spawn(|| pour(&server, 2_000_000));
        let mut place = vec![0; 1000];
        let mut at = 0;
        for _ in 0..5 {
            client.suspend().expect("a pause");
            assert!(client.is_suspended());
            client.resume().expect("the peer");
            assert!(!client.is_suspended());
            let len = client.receive(&mut place).expect("bytes");
            assert!(place[..len].iter().enumerate().all(|(offset, found)| *found == byte(at + offset)));
            at += len;
        }
        let mut rest = Vec::new();
        (&client).read_to_end(&mut rest).expect("bytes");
        assert!(rest.iter().enumerate().all(|(offset, found)| *found == byte(at + offset)));
        assert_eq!(at + rest.len(), 2_000_000);
    });
    let error = client.suspend().expect_err("the peer sends no more");
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

#[test]
fn bytes_are_written_from_where_they_lie() {
    const LEN: usize = 1_500_000;
    let (client, server) = pair();
    let buffer = SdpBuffer::new(client.fabric(), LEN).expect("memory");
    let bytes: Vec<u8> = (0..LEN).map(byte).collect();
    buffer.fill(0, &bytes).expect("nobody reads it");
    thread::scope(|scope| {
        let heard = scope.spawn(|| drain(&server));
        // Few bytes, which are copied, and many, one write after the other.
        let (mut at, mut step) = (0, 1000);
        while at < LEN {
            at += client.write_from(&buffer, at..LEN.min(at + step)).expect("room");
            assert!(!buffer.is_busy(), "a stream that blocks waits for its reader");
            step = if step < 500_000 { step * 7 } else { 1000 };
        }
        client.shutdown(Shutdown::Write).expect("a half to close");
        assert_eq!(heard.join().expect("no panic"), LEN);
    });
    let other = SdpBuffer::new(server.fabric(), 10).expect("memory");
    assert_eq!(
        client.write_from(&other, 0..10).expect_err("another fabric's").kind(),
        ErrorKind::InvalidInput
    );
    assert_eq!(server.write_from(&other, 5..11).expect_err("too far").kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_busy_buffer_is_not_changed_and_outlives_its_owner() {
    const LEN: usize = 3_000_000;
    let (client, server) = pair();
    let buffer = SdpBuffer::new(client.fabric(), LEN).expect("memory");
    let bytes: Vec<u8> = (0..LEN).map(byte).collect();
    buffer.fill(0, &bytes).expect("nobody reads it");
    client.set_nonblocking(true);
    while client.write_from(&buffer, 0..LEN).is_err() {}
    assert!(buffer.is_busy(), "the reader takes no more than it may");
    assert_eq!(buffer.fill(0, b"x").expect_err("a reader").kind(), ErrorKind::WouldBlock);
    drop(buffer);
    client.shutdown(Shutdown::Write).expect("a half to close");
    thread::scope(|scope| {
        let heard = scope.spawn(|| drain(&server));
        while !client.readiness().ended && client.unsent() > 0 {
            client.fabric().turn();
        }
        assert_eq!(heard.join().expect("no panic"), LEN);
    });
}

/// Reads to the end into a buffer, of which some ranges wait ahead; says how much came.
fn drain_into(stream: &SdpStream, ranges: usize, len: usize) -> usize {
    let buffer = SdpBuffer::new(stream.fabric(), ranges * len).expect("memory");
    let range = |place: usize| place % ranges * len..(place % ranges + 1) * len;
    let (mut at, mut place, mut found) = (0, 0, vec![0; len]);
    loop {
        for next in place..place + ranges {
            if let Err(error) = stream.queue_into(&buffer, range(next)) {
                assert_ne!(error.kind(), ErrorKind::InvalidInput);
            }
        }
        let came = stream.read_into(&buffer, range(place)).expect("bytes");
        buffer.copy_to(range(place).start, &mut found[..came]).expect("within");
        assert!(
            found[..came].iter().enumerate().all(|(offset, found)| *found == byte(at + offset)),
            "at {at}"
        );
        (at, place) = (at + came, place + 1);
        if came == 0 {
            stream.withdraw();
            return at;
        }
    }
}

#[test]
fn bytes_are_read_to_where_they_are_wanted() {
    const LEN: usize = 9_000_000;
    for (ranges, len) in [(1, 1 << 20), (3, 300_000), (2, 10_000)] {
        let (client, server) = pair();
        thread::scope(|scope| {
            let heard = scope.spawn(|| drain_into(&server, ranges, len));
            pour(&client, LEN);
            assert_eq!(heard.join().expect("no panic"), LEN);
        });
    }
}

#[test]
fn bytes_are_read_from_where_they_lie_to_where_they_are_wanted() {
    const LEN: usize = 6_000_000;
    for ranges in [1, 4] {
        let (client, server) = pair();
        let buffer = SdpBuffer::new(client.fabric(), LEN).expect("memory");
        buffer.fill(0, &(0..LEN).map(byte).collect::<Vec<_>>()).expect("nobody reads it");
        thread::scope(|scope| {
            let heard = scope.spawn(|| drain_into(&server, ranges, 400_000));
            let (mut at, mut step) = (0, 1000);
            while at < LEN {
                at += client.write_from(&buffer, at..LEN.min(at + step)).expect("room");
                step = if step < 1_000_000 { step * 7 } else { 1000 };
            }
            client.shutdown(Shutdown::Write).expect("a half to close");
            assert_eq!(heard.join().expect("no panic"), LEN);
        });
    }
}

#[test]
fn nothing_is_written_to_memory_that_its_owner_has_back() {
    const LEN: usize = 500_000;
    let (client, server) = pair();
    let buffer = SdpBuffer::new(server.fabric(), LEN).expect("memory");
    server.set_read_timeout(Some(Duration::from_millis(20)));
    let error = server.read_into(&buffer, 0..LEN).expect_err("nobody writes");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    // The peer lets go of it while one of its threads is in a call.
    let is_over = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                client.fabric().turn();
            }
        });
        while buffer.is_busy() {
            server.fabric().turn();
        }
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    buffer.fill(0, &[7; LEN]).expect("it is free");
    thread::scope(|scope| {
        scope.spawn(|| pour(&client, LEN));
        server.set_read_timeout(PATIENCE);
        assert_eq!(drain(&server), LEN);
    });
    let mut found = vec![0; LEN];
    buffer.copy_to(0, &mut found).expect("within");
    assert!(found.iter().all(|found| *found == 7));
}

#[test]
fn a_buffer_that_bytes_are_to_come_to_outlives_its_owner() {
    const LEN: usize = 500_000;
    let (client, server) = pair();
    server.set_nonblocking(true);
    let buffer = SdpBuffer::new(server.fabric(), LEN).expect("memory");
    assert_eq!(server.read_into(&buffer, 0..LEN).expect_err("nothing yet").kind(), ErrorKind::WouldBlock);
    assert!(buffer.is_busy());
    assert_eq!(buffer.fill(0, b"x").expect_err("a read").kind(), ErrorKind::WouldBlock);
    let within = server.read_into(&buffer, 5..LEN).expect_err("needed");
    assert_eq!(within.kind(), ErrorKind::InvalidInput);
    drop(buffer);
    server.set_nonblocking(false);
    thread::scope(|scope| {
        scope.spawn(|| pour(&client, LEN));
        assert_eq!(drain(&server), LEN, "what came there is read all the same");
    });
}

#[test]
fn the_range_that_waits_is_asked_for_again() {
    const LEN: usize = 500_000;
    let (client, server) = pair();
    server.set_nonblocking(true);
    let buffer = SdpBuffer::new(server.fabric(), LEN).expect("memory");
    thread::scope(|scope| {
        scope.spawn(|| pour(&client, 2 * LEN));
        let (mut at, mut found) = (0, vec![0; LEN]);
        while at < 2 * LEN {
            match server.read_into(&buffer, 0..LEN) {
                Ok(came) => {
                    assert!(came > 0, "{at} came");
                    buffer.copy_to(0, &mut found[..came]).expect("within");
                    assert!(found[..came].iter().enumerate().all(|(offset, it)| *it == byte(at + offset)));
                    at += came;
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    assert!(server.wait(Interest::Read, PATIENCE).readable);
                }
            }
        }
    });
}

#[test]
fn a_stream_is_told_how_to_be() {
    let (client, server) = pair();
    client.set_nodelay(false);
    assert_eq!(client.keepalive().expect("a stream"), None);
    client.set_keepalive(Some(Duration::from_millis(5))).expect("a stream");
    assert_eq!(client.keepalive().expect("a stream"), Some(Duration::from_millis(5)));
    // A peer that is there may be silent as long as it likes.
    client.set_read_timeout(Some(Duration::from_millis(50)));
    assert_eq!(client.receive(&mut [0; 1]).expect_err("nothing").kind(), ErrorKind::WouldBlock);
    assert!(client.take_error().is_none());

    let usual = server.recv_buffer_size().expect("a stream");
    server.set_recv_buffer_size(usual / 2).expect("a stream");
    assert_eq!(server.recv_buffer_size().expect("a stream"), usual / 2);
    server.set_recv_buffer_size(usual * 2).expect("a stream");
    assert_eq!(server.recv_buffer_size().expect("a stream"), usual * 2);
    client.set_send_buffer_size(usual * 2).expect("a stream");
    assert!(client.send_buffer_size().expect("a stream") >= usual * 2);
    // The reader's end tells of its new receives while it looks.
    server.set_read_timeout(Some(Duration::from_millis(20)));
    assert_eq!(server.receive(&mut [0; 1]).expect_err("nothing").kind(), ErrorKind::WouldBlock);
    client.set_nonblocking(true);
    let (chunk, mut written) = (vec![1; 100_000], 0);
    while let Ok(len) = client.send(&chunk) {
        written += len;
    }
    assert!(written > usual * 3 / 2, "{written} bytes are taken ahead of their reader");
    let reader = thread::spawn(move || io::copy(&mut &server, &mut io::sink()));
    thread::sleep(Duration::from_millis(5));
    drop(client);
    drop(reader.join().expect("no panic"));
}
