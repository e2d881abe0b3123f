//! The yardstick of `cargo xtask bench rdma`: two ends that move bytes by bare UDP and do nothing else.
//!
//! It is as good a loop as we know: runs of datagrams as long as RoCE's at an MTU of 4096, cut and joined by the kernel
//! (UDP_SEGMENT, UDP_GRO); sockets that are tried again and again, so that nobody ever sleeps; what arrives is copied once,
//! to memory as large as the messages under way. It has no header, no checksum, no queue, and nothing that is lost is missed.
//!
//! `datagram_loop MODE SIZE DEPTH` answers, and prints its address; `datagram_loop MODE SIZE DEPTH ADDRESS SECONDS` asks, and
//! prints the messages of a second. The modes: `write` and `read` move messages of SIZE bytes, `send` many small ones, `ping`
//! has one go to and fro.

use std::error::Error;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let text = |place: usize| arguments.get(place).map_or("", String::as_str);
    let (mode, size, depth) = (text(0), text(1).parse::<usize>()?, text(2).parse::<usize>()?);
    let unit = if size > PAYLOAD { PAYLOAD + OVERHEAD } else { size };
    let socket = open(unit)?;
    let is_asking = arguments.len() > 3;
    if is_asking {
        socket.connect(text(3))?;
        socket.send(&[0])?;
    } else {
        println!("{}", socket.local_addr()?);
        let (_, peer) = socket.recv_from(&mut [0; 1])?;
        socket.connect(peer)?;
    }
    socket.set_nonblocking(true)?;
    let mut end =
        End { socket, unit, memory: vec![1; (size * depth).max(RUN_LEN)], room: vec![0; ROOM], at: 0 };
    let span = Duration::from_secs_f64(if is_asking { text(4).parse()? } else { f64::from(u32::MAX) });
    // Who pushes, or begins.
    let is_first = is_asking != (mode == "read");
    let mut run = |span, begins| match (mode, is_first) {
        ("ping", _) => end.ping(is_asking && begins, span),
        (_, true) => end.push(span),
        (_, false) => end.take(span),
    };
    run(span / 10, true)?;
    let began = Instant::now();
    let bytes = run(span, false)?;
    println!("{}", bytes as f64 / size as f64 / began.elapsed().as_secs_f64());
    Ok(())
}

/// A socket whose runs are cut after every `unit` bytes.
fn open(unit: usize) -> Result<UdpSocket, Box<dyn Error>> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let options = [
        (libc::SOL_SOCKET, libc::SO_RCVBUF, 4 << 20),
        (libc::SOL_SOCKET, libc::SO_SNDBUF, 4 << 20),
        (libc::SOL_UDP, libc::UDP_GRO, 1),
        (libc::SOL_UDP, libc::UDP_SEGMENT, unit as i32),
    ];
    for (level, name, value) in options {
        let len = size_of::<i32>() as libc::socklen_t;
        // SAFETY: the kernel reads one integer of the length given.
        let done =
            unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), len) };
        if done != 0 {
            return Err(std::io::Error::last_os_error().into());
        }
    }
    Ok(socket)
}

/// One end.
struct End {
    socket: UdpSocket,
    /// Bytes of a datagram.
    unit: usize,
    /// Where messages come from and go to.
    memory: Vec<u8>,
    /// What was received last.
    room: Vec<u8>,
    /// Where in the memory the next byte belongs.
    at: usize,
}

impl End {
    /// Sends runs, a few ahead of what is acknowledged. Says how many bytes of messages were.
    fn push(&mut self, span: Duration) -> std::io::Result<u64> {
        let run_len = (RUN_LEN / self.unit).min(RUN_MAX) * self.unit;
        let (mut ahead, mut acknowledged) = (0, 0);
        let began = Instant::now();
        while began.elapsed() < span {
            while ahead + run_len <= WINDOW {
                if self.at + run_len > self.memory.len() {
                    self.at = 0;
                }
                match self.socket.send(&self.memory[self.at..self.at + run_len]) {
                    Ok(_) => (ahead, self.at) = (ahead + run_len, self.at + run_len),
                    Err(error) if is_nothing(&error) => break,
                    Err(error) => return Err(error),
                }
            }
            while let Some(len) = self.receive()? {
                for bytes in self.room[..len].as_chunks::<4>().0 {
                    let taken = u32::from_le_bytes(*bytes) as usize;
                    ahead = ahead.saturating_sub(taken);
                    acknowledged += taken as u64;
                }
            }
        }
        Ok(self.messages_of(acknowledged))
    }

    /// Takes runs, copies what is in them, and acknowledges each.
    fn take(&mut self, span: Duration) -> std::io::Result<u64> {
        let (began, mut received) = (Instant::now(), 0);
        while began.elapsed() < span {
            let Some(len) = self.receive()? else { continue };
            if self.at + len > self.memory.len() {
                self.at = 0;
            }
            self.memory[self.at..self.at + len].copy_from_slice(&self.room[..len]);
            self.at += len;
            received += len as u64;
            self.send_all(&(len as u32).to_le_bytes())?;
        }
        Ok(self.messages_of(received))
    }

    /// Answers each datagram with one.
    fn ping(&mut self, begins: bool, span: Duration) -> std::io::Result<u64> {
        let (began, mut received) = (Instant::now(), 0);
        if begins {
            self.socket.send(&self.memory[..self.unit])?;
        }
        while began.elapsed() < span {
            for _ in 0..TURNS {
                let Some(len) = self.receive()? else { continue };
                received += len as u64;
                self.socket.send(&self.room[..len])?;
            }
        }
        Ok(received)
    }

    /// What has arrived, if anything has; the other end's going is nothing.
    fn receive(&mut self) -> std::io::Result<Option<usize>> {
        match self.socket.recv(&mut self.room) {
            Ok(len) => Ok(Some(len)),
            Err(error) if is_nothing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn send_all(&self, bytes: &[u8]) -> std::io::Result<()> {
        loop {
            match self.socket.send(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if !is_nothing(&error) => return Err(error),
                Ok(_) | Err(_) => return Ok(()),
            }
        }
    }

    /// Of so many bytes of datagrams.
    fn messages_of(&self, bytes: u64) -> u64 {
        let overhead = if self.unit > PAYLOAD { OVERHEAD } else { 0 };
        bytes / self.unit as u64 * (self.unit - overhead) as u64
    }
}

fn is_nothing(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionRefused)
}

/// Payload of a RoCE packet at the largest MTU, in bytes.
const PAYLOAD: usize = 4096;
/// What comes with it: a base transport header and the CRC.
const OVERHEAD: usize = 16;
/// Bytes of one run, at most: what an IP packet has room for.
const RUN_LEN: usize = 65_000;
/// Datagrams of one run, at most.
const RUN_MAX: usize = 64;
/// Bytes that are not acknowledged, at most.
const WINDOW: usize = 512 << 10;
/// Room for a run.
const ROOM: usize = 64 << 10;
/// Tries between two looks at the clock.
const TURNS: usize = 64;
