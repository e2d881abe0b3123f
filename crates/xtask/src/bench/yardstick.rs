//! The yardstick: two processes that exchange messages over TCP and do nothing else.
//!
//! It is as good a bare loop as we know: non-blocking sockets that are tried again and again, so that nobody ever sleeps;
//! one call receives whatever has arrived, one call sends all that is owed for it; the bytes come from and go to buffers
//! that stay in the cache. It parses nothing, keeps no command, touches no volume. What a protocol costs is what it is
//! slower than this.
//!
//! With `--spread` the data of its answers is gathered from all over as much memory as a volume has, and that of its requests put
//! there, as any target must, and requests with data come from as many buffers as are under way, as any host's do. What is left
//! between that and the target is the protocol's; the rest is the memory's, which no code makes faster.

mod spread;

use anyhow::{Context, Result};
use spread::{Gather, Scatter};
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// One end of the yardstick. The benchmark starts both, each in a process of its own.
#[derive(clap::Args)]
pub struct Arguments {
    /// Bytes of a request
    request: usize,
    /// Bytes of an answer
    answer: usize,
    /// The answering end; without it this is the answering end, which prints its address
    address: Option<SocketAddr>,
    /// Requests under way at once
    #[arg(default_value_t = 1)]
    depth: usize,
    /// How long, in seconds
    #[arg(default_value_t = 1.0)]
    seconds: f64,
    /// Bytes of memory that data is gathered from and put into; 0 sends the same few over and over again
    #[arg(long, default_value_t = 0)]
    spread: usize,
}

/// Runs one end. The asking one prints the exchanges of a second.
///
/// # Errors
/// When a socket fails, or the other end goes.
pub fn run(arguments: &Arguments) -> Result<()> {
    match arguments.address {
        Some(address) => ask(arguments, address),
        None => answer(arguments),
    }
}

fn answer(arguments: &Arguments) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen")?;
    let spread = arguments.spread > 0;
    let gather = spread.then(|| Gather::new(arguments.spread, arguments.answer));
    let scatter = spread.then(|| Scatter::new(arguments.spread, arguments.request));
    println!("{}", listener.local_addr()?);
    let (stream, _) = listener.accept()?;
    let mut end = End::new(stream, arguments.request, arguments.answer)?;
    (end.gather, end.scatter) = (gather, scatter);
    while end.turn()? {}
    Ok(())
}

fn ask(arguments: &Arguments, address: SocketAddr) -> Result<()> {
    let stream = TcpStream::connect(address).context("cannot connect")?;
    let mut end = End::new(stream, arguments.answer, arguments.request)?;
    end.owed = arguments.depth * arguments.request;
    end.gather = (arguments.spread > 0).then(|| Gather::new(end.owed, arguments.request));
    let span = Duration::from_secs_f64(arguments.seconds);
    end.run_for(span / 10)?;
    let (exchanges, began) = (end.exchanges, Instant::now());
    end.run_for(span)?;
    let rate = (end.exchanges - exchanges) as f64 / began.elapsed().as_secs_f64();
    println!("{rate}");
    Ok(())
}

/// One end: for each whole message that arrives it owes one.
struct End {
    stream: TcpStream,
    room: Vec<u8>,
    bytes: Vec<u8>,
    /// Where to gather what is sent, if not from `bytes`.
    gather: Option<Gather>,
    /// Where to put what has arrived.
    scatter: Option<Scatter>,
    message_in: usize,
    message_out: usize,
    /// Bytes of a message that has not arrived whole.
    partial: usize,
    /// Bytes to send.
    owed: usize,
    /// Messages that have arrived.
    exchanges: u64,
}

impl End {
    fn new(stream: TcpStream, message_in: usize, message_out: usize) -> Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let (room, bytes) = (vec![1; ROOM], vec![1; CHUNK]);
        Ok(Self {
            stream,
            room,
            bytes,
            gather: None,
            scatter: None,
            message_in,
            message_out,
            partial: 0,
            owed: 0,
            exchanges: 0,
        })
    }

    fn run_for(&mut self, span: Duration) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < span {
            for _ in 0..TURNS {
                anyhow::ensure!(self.turn()?, "the other end is gone");
            }
        }
        Ok(())
    }

    /// Sends what is owed, then takes what has arrived. False at the end of the stream.
    fn turn(&mut self) -> Result<bool> {
        if self.owed > 0 && !self.send()? {
            return Ok(false);
        }
        match self.stream.read(&mut self.room) {
            Ok(0) => return Ok(false),
            Ok(len) => {
                if let Some(scatter) = &mut self.scatter {
                    scatter.take(&self.room[..len]);
                }
                self.partial += len;
                let messages = self.partial / self.message_in;
                self.partial %= self.message_in;
                self.exchanges += messages as u64;
                self.owed += messages * self.message_out;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return ended(error),
        }
        Ok(true)
    }

    /// Sends what is owed. False at the end of the stream.
    fn send(&mut self) -> Result<bool> {
        let sent = match &mut self.gather {
            Some(gather) => gather.send(&mut self.stream, self.owed),
            None => self.send_chunks(),
        };
        match sent {
            Ok(len) => self.owed -= len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return ended(error),
        }
        Ok(true)
    }

    /// Sends from the one chunk, as many times over as are owed.
    fn send_chunks(&mut self) -> std::io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut left = self.owed;
        let mut count = 0;
        while left > 0 && count < SLICES {
            let len = left.min(CHUNK);
            slices[count] = IoSlice::new(&self.bytes[..len]);
            left -= len;
            count += 1;
        }
        self.stream.write_vectored(&slices[..count])
    }
}

/// The asking end stops without ceremony; anything else is a failure.
fn ended(error: std::io::Error) -> Result<bool> {
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Ok(false),
        _ => Err(error.into()),
    }
}

/// Room to receive, in bytes: it stays in the second-level cache.
const ROOM: usize = 256 << 10;

/// Bytes sent over and over again: they stay in the first-level cache.
const CHUNK: usize = 16 << 10;

/// Chunks in one call.
const SLICES: usize = 64;

/// Turns between two looks at the clock.
const TURNS: usize = 16;
