//! Seeing what a device sends and receives: a [`Tap`] is shown every datagram, and a [`Recorder`] writes them to a file that
//! tshark and Wireshark open.
//!
//! What it is not: it is not between device and network; what it is shown has been sent, or is about to be looked at.
//!
//! A socket does not show the IP header. What we send has a known one (see [`stdx::env::Run`]); of what we receive the
//! identification is found by the invariant CRC, so that the CRC in the file is right where it was right on the wire.

use core::fmt::Debug;
use std::io::{self, Write};
use stdx::time::Time;
use wire::pcap::{self, Datagram};

/// Someone who wants to see every datagram.
pub trait Tap: Debug + Send {
    /// A datagram was sent, or has come.
    fn datagram(&mut self, now: Time, datagram: &Datagram<'_>);

    /// Nothing more comes.
    ///
    /// # Errors
    /// What went wrong first, if anything did.
    fn finish(&mut self) -> io::Result<()>;
}

/// Writes what it is shown as a capture file.
///
/// A file that cannot be written is no reason to stop a device: what went wrong first is kept, nothing more is written, and
/// [`Tap::finish`] tells.
#[derive(Debug)]
pub struct Recorder<W: Write + Debug> {
    file: W,
    /// Nanoseconds from the device's clock to that of the calendar.
    epoch_ns: u64,
    result: io::Result<()>,
}

impl<W: Write + Debug> Recorder<W> {
    /// Begins a file. `now` and `calendar_ms` are the same moment on both clocks of an [`Env`](stdx::env::Env).
    pub fn new(mut file: W, now: Time, calendar_ms: u64) -> Self {
        let epoch_ns = (calendar_ms * 1_000_000).saturating_sub(now.as_nanos());
        let result = file.write_all(&pcap::FILE_HEADER);
        Self { file, epoch_ns, result }
    }

    fn write(&mut self, now: Time, datagram: &Datagram<'_>) -> io::Result<()> {
        let (headers, len) = datagram.headers();
        let unix_ns = self.epoch_ns + now.as_nanos();
        self.file.write_all(&pcap::packet_header(unix_ns, len + datagram.bytes.len()))?;
        self.file.write_all(&headers[..len])?;
        self.file.write_all(datagram.bytes)
    }
}

impl<W: Write + Debug + Send> Tap for Recorder<W> {
    fn datagram(&mut self, now: Time, datagram: &Datagram<'_>) {
        if self.result.is_ok() {
            self.result = self.write(now, datagram);
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        core::mem::replace(&mut self.result, Ok(())).and_then(|()| self.file.flush())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn datagram() -> Datagram<'static> {
        Datagram {
            from: "10.0.0.1:4791".parse().unwrap(),
            to: "10.0.0.2:4791".parse().unwrap(),
            identification: 3,
            dont_fragment: true,
            traffic_class: 2,
            bytes: b"0123456789ab",
        }
    }

    #[test]
    fn datagrams_are_found_again_with_their_time() {
        let mut file = Vec::new();
        let mut recorder = Recorder::new(&mut file, Time::from_nanos(1_000_000), 5);
        recorder.datagram(Time::from_nanos(1_000_007), &datagram());
        recorder.finish().unwrap();
        let packets: Vec<_> = pcap::Reader::new(&file).unwrap().collect();
        assert_eq!(packets.len(), 1);
        assert_eq!(packets[0].unix_ns, 5_000_007);
        assert_eq!(Datagram::decode(packets[0].bytes), Some(datagram()));
    }

    #[test]
    fn a_full_disk_is_told_once_and_stops_nothing() {
        let mut recorder = Recorder::new(Full, Time::ZERO, 0);
        recorder.datagram(Time::ZERO, &datagram());
        assert_eq!(recorder.finish().unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert!(recorder.finish().is_ok());
    }
}
