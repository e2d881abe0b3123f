//! Streams under load, for `cargo xtask bench sockets`: two processes, and bytes to and fro or one way, over SDP, TCP or a Unix
//! socket.
//!
//! `socket_load WAY` serves and prints where; `socket_load WAY ADDRESS MODE SIZE SECONDS` asks, and prints the round trips (mode
//! `ping`) or bytes (mode `stream`) of a second.

use sockets::{SdpListener, SdpStream};
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
    let mut stream = connect(text(0), text(1))?;
    let is_ping = text(2) == "ping";
    stream.write_all(&[u8::from(is_ping)])?;
    stream.write_all(&u32::try_from(size)?.to_le_bytes())?;
    println!("{}", if is_ping { ping(&mut *stream, size, span)? } else { pour(&mut *stream, size, span)? });
    Ok(())
}

/// Any stream.
trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

fn connect(way: &str, address: &str) -> Result<Box<dyn Stream>, Box<dyn Error>> {
    Ok(match way {
        "sdp" => Box::new(SdpStream::connect(address)?),
        "tcp" => {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            Box::new(stream)
        }
        "unix" => Box::new(UnixStream::connect_addr(&SocketAddr::from_abstract_name(address)?)?),
        other => return Err(format!("{other} is no way: sdp, tcp or unix").into()),
    })
}

/// Serves one after the other until it is ended.
fn serve(way: &str) -> Result<(), Box<dyn Error>> {
    let mut accept: Box<dyn FnMut() -> io::Result<Box<dyn Stream>>> = match way {
        "sdp" => {
            let listener = SdpListener::bind("127.0.0.1:0")?;
            println!("{}", listener.local_addr()?);
            Box::new(move || Ok(Box::new(listener.accept()?.0)))
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
        // Whoever asks may go away at any time.
        let _ = answer(&mut *accept()?);
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
    loop {
        // A zero for more to come, a one for the end, which is answered.
        stream.read_exact(&mut place)?;
        if place.first() == Some(&1) {
            return stream.write_all(&[1]);
        }
    }
}

/// Round trips of a second.
fn ping(stream: &mut dyn Stream, size: usize, span: Duration) -> io::Result<f64> {
    let mut place = vec![7; size];
    let mut run = |span: Duration| {
        let (began, mut count) = (Instant::now(), 0_u32);
        while !count.is_multiple_of(16) || began.elapsed() < span {
            stream.write_all(&place)?;
            stream.read_exact(&mut place)?;
            count += 1;
        }
        io::Result::Ok(f64::from(count) / began.elapsed().as_secs_f64())
    };
    run(span / 10)?;
    run(span)
}

/// Bytes of a second, until the last has been read.
fn pour(stream: &mut dyn Stream, size: usize, span: Duration) -> io::Result<f64> {
    let mut place = vec![0; size];
    for _ in 0..8 {
        stream.write_all(&place)?;
    }
    let (began, mut count) = (Instant::now(), 1_u32);
    while began.elapsed() < span {
        stream.write_all(&place)?;
        count += 1;
    }
    place[0] = 1;
    stream.write_all(&place)?;
    stream.read_exact(&mut [0])?;
    Ok(f64::from(count) * size as f64 / began.elapsed().as_secs_f64())
}
