//! Messages whose data lies all over a large memory: each is a header, which stays in the cache, and data that is gathered from
//! a place drawn anew, or put there.

use std::collections::VecDeque;
use std::io::{IoSlice, Write};

/// A memory, and places in it.
struct Places {
    memory: Vec<u8>,
    /// Bytes of the data of a message.
    data: usize,
    random: u64,
}

impl Places {
    /// Writes all of the memory, so that there is some. Messages without data need none.
    fn new(bytes: usize, data: usize) -> Self {
        Self {
            memory: vec![1; if data == 0 { 0 } else { bytes.max(data) }],
            data,
            random: 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// A place of one message's data (Marsaglia's xorshift).
    fn draw(&mut self) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let places = (self.memory.len() / self.data.max(1)).max(1) as u64;
        (self.random % places) as usize * self.data
    }
}

/// The messages that are being sent.
pub(super) struct Gather {
    from: Places,
    header: Vec<u8>,
    /// Where the data of the next ones lies.
    places: VecDeque<usize>,
    /// Bytes of the first of them that are sent.
    sent: usize,
}

impl Gather {
    /// Messages of so many bytes from a memory of so many.
    pub(super) fn new(bytes: usize, message: usize) -> Self {
        let data = data_of(message);
        let header = vec![1; message - data];
        Self { from: Places::new(bytes, data), header, places: VecDeque::new(), sent: 0 }
    }

    /// Sends some of `owed` bytes; says how many.
    pub(super) fn send(&mut self, to: &mut impl Write, owed: usize) -> std::io::Result<usize> {
        let (header, data) = (self.header.len(), self.from.data);
        let wanted = (self.sent + owed).div_ceil(header + data).min(MESSAGES);
        while self.places.len() < wanted {
            self.places.push_back(self.from.draw());
        }
        let mut slices = [IoSlice::new(&[]); 2 * MESSAGES];
        let mut skip = self.sent;
        for (pair, &place) in slices.chunks_exact_mut(2).zip(self.places.iter().take(wanted)) {
            let of_header = skip.min(header);
            pair[0] = IoSlice::new(&self.header[of_header..]);
            pair[1] = IoSlice::new(&self.from.memory[place + (skip - of_header)..place + data]);
            skip = 0;
        }
        let len = to.write_vectored(&slices[..2 * wanted])?;
        self.sent += len;
        while self.sent >= header + data {
            self.sent -= header + data;
            self.places.pop_front();
        }
        Ok(len)
    }
}

/// The message that is arriving.
pub(super) struct Scatter {
    into: Places,
    header: usize,
    /// Bytes of it that have arrived.
    arrived: usize,
    /// Where its data goes.
    place: usize,
}

impl Scatter {
    /// Messages of so many bytes into a memory of so many.
    pub(super) fn new(bytes: usize, message: usize) -> Self {
        let data = data_of(message);
        let mut into = Places::new(bytes, data);
        let place = into.draw();
        Self { into, header: message - data, arrived: 0, place }
    }

    /// Puts what has arrived where it belongs.
    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let of_header = self.header.saturating_sub(self.arrived).min(bytes.len());
            self.arrived += of_header;
            bytes = &bytes[of_header..];
            let at = self.arrived - self.header.min(self.arrived);
            let len = bytes.len().min(self.into.data - at);
            self.into.memory[self.place + at..][..len].copy_from_slice(&bytes[..len]);
            self.arrived += len;
            bytes = &bytes[len..];
            if self.arrived == self.header + self.into.data {
                (self.arrived, self.place) = (0, self.into.draw());
            }
        }
    }
}

/// Bytes of a message that are data: what is left is its header.
const fn data_of(message: usize) -> usize {
    message / PAGE * PAGE
}

/// What data is a multiple of.
const PAGE: usize = 4096;

/// Messages in one call.
const MESSAGES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes of each call.
    struct Narrow(usize, Vec<u8>);

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.write_vectored(&[IoSlice::new(bytes)])
        }

        fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> std::io::Result<usize> {
            let before = self.1.len();
            for slice in slices {
                let left = self.0 - (self.1.len() - before);
                self.1.extend(&slice[..left.min(slice.len())]);
            }
            Ok(self.1.len() - before)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn answers_are_whole_however_they_are_cut() {
        for step in [5, 24, 4096, 5000, 100_000] {
            let mut spread = Gather::new(1 << 20, 4120);
            spread.header.fill(9);
            let mut out = Narrow(step, Vec::new());
            let mut owed = 7 * 4120;
            while owed > 0 {
                owed -= spread.send(&mut out, owed).unwrap();
            }
            let answer = [vec![9; 24], vec![1; 4096]].concat();
            assert!(out.1.len() == 7 * 4120 && out.1.chunks(4120).all(|sent| sent == answer), "by {step}");
        }
    }

    #[test]
    fn data_comes_where_it_belongs_however_it_is_cut() {
        for step in [5, 24, 4096, 5000, 100_000] {
            let mut spread = Scatter::new(1 << 20, 4120);
            let message = [vec![9; 24], vec![7; 4096]].concat();
            for part in message.repeat(300).chunks(step) {
                spread.take(part);
            }
            let written = spread.into.memory.iter().filter(|&&byte| byte == 7).count();
            assert!(spread.into.memory.iter().all(|&byte| byte != 9), "by {step}");
            assert!(written > 100 * 4096 && written % 4096 == 0, "by {step}: {written}");
        }
    }
}
