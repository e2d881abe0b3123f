//! An echo over SDP: `echo ADDRESS` serves, with a thread for each stream; `echo ADDRESS WORDS ...` asks, and prints what comes back.

use sockets::{SdpListener, SdpStream};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::thread;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or(io::ErrorKind::InvalidInput)?;
    let words: Vec<String> = arguments.collect();
    if words.is_empty() { serve(&address) } else { ask(&address, &words.join(" ")) }
}

fn serve(address: &str) -> io::Result<()> {
    let listener = SdpListener::bind(address)?;
    println!("listening at {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || match io::copy(&mut &stream, &mut &stream) {
            Ok(len) => println!("echoed {len} bytes"),
            Err(error) => println!("a stream ended: {error}"),
        });
    }
    Ok(())
}

fn ask(address: &str, words: &str) -> io::Result<()> {
    let mut stream = SdpStream::connect(address)?;
    stream.write_all(words.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    println!("{answer}");
    Ok(())
}
