//! What the survivor sees of a peer that is killed in the midst of a stream: an error, as with TCP, and no end that looks orderly.
//!
//! The peer is this program once more, which is told by its environment what to do.

use sockets::{SdpBuffer, SdpListener, SdpStream};
use std::io::{ErrorKind, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Where the peer is to connect.
const ADDRESS: &str = "SOCKETS_TEST_ADDRESS";
/// Long enough for the slowest machine; nothing waits so long if all is well.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(60));

/// The stream of the peer, if this is the peer.
fn as_peer() -> Option<SdpStream> {
    let address = std::env::var(ADDRESS).ok()?;
    Some(SdpStream::connect(address).expect("who started us listens"))
}

/// A stream to a peer of its own process, which runs the same test.
fn with_peer(test: &str) -> (SdpStream, Child) {
    let listener = SdpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("an address").to_string();
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command.args(["--exact", test]).env(ADDRESS, address).stdout(Stdio::null());
    let child = command.spawn().expect("a process");
    let (stream, _) = listener.accept().expect("the peer");
    stream.set_read_timeout(PATIENCE);
    stream.set_write_timeout(PATIENCE);
    (stream, child)
}

fn kill(mut child: Child) {
    child.kill().expect("it lives");
    child.wait().expect("it is ours");
}

/// Reads on, until it ends otherwise than by an end.
fn read_to_the_error(stream: &SdpStream) -> ErrorKind {
    let mut place = vec![0; 10_000];
    loop {
        match stream.receive(&mut place) {
            Ok(0) => panic!("the peer did not close the stream"),
            Ok(_) => {}
            Err(error) => return error.kind(),
        }
    }
}

#[test]
fn whoever_reads_is_told() {
    if let Some(mut peer) = as_peer() {
        loop {
            peer.write_all(&[7; 100_000]).expect("somebody reads");
        }
    }
    let (mut stream, child) = with_peer("whoever_reads_is_told");
    stream.read_exact(&mut vec![0; 3_000_000]).expect("it pours");
    kill(child);
    assert_eq!(read_to_the_error(&stream), ErrorKind::ConnectionReset);
    assert_eq!(stream.send(b"hello?").expect_err("nobody is there").kind(), ErrorKind::BrokenPipe);
}

#[test]
fn whoever_waits_for_bytes_is_woken() {
    if let Some(mut peer) = as_peer() {
        peer.write_all(b"ready").expect("room");
        loop {
            peer.wait(sockets::Interest::Read, None);
        }
    }
    let (mut stream, child) = with_peer("whoever_waits_for_bytes_is_woken");
    stream.read_exact(&mut [0; 5]).expect("it is there");
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| read_to_the_error(&stream));
        std::thread::sleep(Duration::from_millis(50));
        kill(child);
        assert_eq!(waits.join().expect("no panic"), ErrorKind::ConnectionReset);
    });
}

#[test]
fn whoever_writes_is_told_and_has_its_memory_back() {
    if let Some(mut peer) = as_peer() {
        peer.write_all(b"ready").expect("room");
        loop {
            std::thread::sleep(Duration::from_secs(1));
        }
    }
    let (mut stream, child) = with_peer("whoever_writes_is_told_and_has_its_memory_back");
    stream.read_exact(&mut [0; 5]).expect("it is there");
    let buffer = SdpBuffer::new(stream.fabric(), 1 << 20).expect("memory");
    stream.set_nonblocking(true);
    while stream.write_from(&buffer, 0..1 << 20).is_err() {}
    assert!(buffer.is_busy(), "nobody reads it");
    stream.set_nonblocking(false);
    std::thread::scope(|scope| {
        let writes = scope.spawn(|| {
            loop {
                if let Err(error) = stream.send(&[1; 100_000]) {
                    return error.kind();
                }
            }
        });
        std::thread::sleep(Duration::from_millis(50));
        kill(child);
        assert_eq!(writes.join().expect("no panic"), ErrorKind::ConnectionReset);
    });
    while buffer.is_busy() {
        stream.fabric().turn();
    }
    buffer.fill(0, &[1; 1 << 20]).expect("it is free");
}
