//! Streams under load, for `cargo xtask bench sockets`: two processes, and bytes to and fro or one way, over SDP, TCP or a Unix
//! socket. `lent` is SDP whose writer copies nothing, and a server whose way is `placed` has the bytes of a stream come to where it wants
//! them.
//!
//! `socket_load WAY` serves and prints where (`sdp@ADDRESS` and `placed@ADDRESS` serve for other hosts); `socket_load WAY ADDRESS MODE SIZE SECONDS [CONNECTIONS]` asks, and prints the round
//! trips (mode `ping`) or bytes (mode `stream`) of a second, of all connections together. Of several each is served by a thread.

use sockets::{SdpBuffer, SdpListener, SdpStream};
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let text = |place: usize| arguments.get(place).map_or("", String::as_str);
    if arguments.len() == 1 {
        return serve(text(0));
    }
    let (size, span) = (text(3).parse()?, Duration::from_secs_f64(text(4).parse()?));
    let (is_ping, count) = (text(2) == "ping", text(5).parse().unwrap_or(1));
    let mut streams = Vec::new();
    for _ in 0..count {
        let mut stream = connect(text(0), text(1))?;
        stream.write_all(&[u8::from(is_ping)])?;
        stream.write_all(&u32::try_from(size)?.to_le_bytes())?;
        streams.push(stream);
    }
    println!("{}", if is_ping { ping(&mut streams, size, span)? } else { pour(&mut streams, size, span)? });
    Ok(())
}

/// Any stream.
trait Stream: Read + Write + Send {
    /// Reads pieces of so many bytes, until the first byte of one is a one.
    fn swallow(&mut self, len: usize) -> io::Result<()> {
        let mut place = vec![0; len];
        while place.first() != Some(&1) {
            self.read_exact(&mut place)?;
        }
        Ok(())
    }
}

impl Stream for SdpStream {}
impl Stream for TcpStream {}
impl Stream for UnixStream {}
impl Stream for Lent {}

/// A stream that writes from memory that is there already; of what it is given it takes the first bytes alone.
struct Lent {
    stream: SdpStream,
    buffer: SdpBuffer,
}

impl Read for Lent {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.read(into)
    }
}

impl Write for Lent {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = bytes.len().min(BUFFER_LEN);
        self.buffer.fill(0, &bytes[..len.min(HEAD_LEN)])?;
        self.stream.write_from(&self.buffer, 0..len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A stream that reads into memory that is there already.
struct Into(SdpStream);

impl Stream for Into {
    fn swallow(&mut self, len: usize) -> io::Result<()> {
        let Self(stream) = self;
        let buffer = SdpBuffer::new(stream.fabric(), len * RANGES)?;
        let range = |place: usize| place % RANGES * len..(place % RANGES + 1) * len;
        let (mut at, mut next, mut end) = (0, 0, None);
        for place in 0.. {
            for ahead in place..place + RANGES {
                // Ranges that are too short to wait do not.
                let _ = stream.queue_into(&buffer, range(ahead));
            }
            let came = stream.read_into(&buffer, range(place))?;
            let mut first = [0];
            while next < at + came {
                buffer.copy_to(range(place).start + (next - at), &mut first)?;
                next += len;
                end = (first == [1]).then_some(next);
            }
            at += came;
            if came == 0 || end == Some(at) {
                break;
            }
        }
        Ok(())
    }
}

impl Read for Into {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl Write for Into {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn connect(way: &str, address: &str) -> Result<Box<dyn Stream>, Box<dyn Error>> {
    Ok(match way {
        "sdp" => Box::new(SdpStream::connect(address)?),
        "lent" => {
            let stream = SdpStream::connect(address)?;
            let buffer = SdpBuffer::new(stream.fabric(), BUFFER_LEN)?;
            Box::new(Lent { stream, buffer })
        }
        "tcp" => {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            Box::new(stream)
        }
        "unix" => Box::new(UnixStream::connect_addr(&SocketAddr::from_abstract_name(address)?)?),
        other => return Err(format!("{other} is no way: sdp, tcp or unix").into()),
    })
}

/// Serves until it is ended.
fn serve(way: &str) -> Result<(), Box<dyn Error>> {
    let mut accept: Box<dyn FnMut() -> io::Result<Box<dyn Stream>>> = match way {
        _ if way.starts_with("sdp") || way.starts_with("placed") => {
            let (way, address) = way.split_once('@').unwrap_or((way, "127.0.0.1"));
            let is_placed = way == "placed";
            let listener = SdpListener::bind(format!("{address}:0"))?;
            println!("{}", listener.local_addr()?);
            Box::new(move || {
                let (stream, _) = listener.accept()?;
                Ok(if is_placed { Box::new(Into(stream)) } else { Box::new(stream) })
            })
        }
        "tcp" => {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            println!("{}", listener.local_addr()?);
            Box::new(move || {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            })
        }
        "unix" => {
            // A name without a file leaves nothing behind.
            let name = format!("socket_load.{}", std::process::id());
            let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
            println!("{name}");
            Box::new(move || Ok(Box::new(listener.accept()?.0)))
        }
        other => return Err(format!("{other} is no way: sdp, tcp or unix").into()),
    };
    loop {
        let mut stream = accept()?;
        // Whoever asks may go away at any time.
        std::thread::spawn(move || answer(&mut *stream));
    }
}

/// Does what the asking end says it wants.
fn answer(stream: &mut dyn Stream) -> io::Result<()> {
    let mut head = [0; 5];
    stream.read_exact(&mut head)?;
    let [mode, size @ ..] = head;
    let mut place = vec![0; u32::from_le_bytes(size) as usize];
    if mode == 1 {
        loop {
            stream.read_exact(&mut place)?;
            stream.write_all(&place)?;
        }
    }
    // A zero for more to come, a one for the end, which is answered.
    stream.swallow(place.len())?;
    stream.write_all(&[1])
}

/// Round trips of a second: all are asked, and then all have answered.
fn ping(streams: &mut [Box<dyn Stream>], size: usize, span: Duration) -> io::Result<f64> {
    let mut place = vec![7; size];
    let mut run = |span: Duration| {
        let (began, mut count) = (Instant::now(), 0_u32);
        while !count.is_multiple_of(16) || began.elapsed() < span {
            for stream in &mut *streams {
                stream.write_all(&place)?;
            }
            for stream in &mut *streams {
                stream.read_exact(&mut place)?;
            }
            count += 1;
        }
        io::Result::Ok(f64::from(count) * streams.len() as f64 / began.elapsed().as_secs_f64())
    };
    run(span / 10)?;
    run(span)
}

/// Bytes of a second, until the last has been read.
fn pour(streams: &mut [Box<dyn Stream>], size: usize, span: Duration) -> io::Result<f64> {
    let mut place = vec![0; size];
    for _ in 0..WARM_UP {
        for stream in &mut *streams {
            stream.write_all(&place)?;
        }
    }
    let (began, mut count) = (Instant::now(), 0_u32);
    while began.elapsed() < span {
        for stream in &mut *streams {
            stream.write_all(&place)?;
            count += 1;
        }
    }
    place[0] = 1;
    for stream in &mut *streams {
        stream.write_all(&place)?;
        count += 1;
    }
    for stream in &mut *streams {
        stream.read_exact(&mut [0])?;
    }
    Ok(f64::from(count) * size as f64 / began.elapsed().as_secs_f64())
}

/// Pieces of memory that wait for bytes of one stream.
const RANGES: usize = 4;
/// Bytes of a buffer that is lent, and those of them that say something.
const BUFFER_LEN: usize = 4 << 20;
const HEAD_LEN: usize = 5;
/// Writes of each stream before the time begins.
const WARM_UP: usize = 8;
