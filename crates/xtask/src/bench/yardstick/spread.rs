//! Answers that lie all over a large memory: each is a header, which stays in the cache, and data from a place drawn anew.

use std::collections::VecDeque;
use std::io::{IoSlice, Write};

/// The memory, and the answers that are being sent.
pub(super) struct Spread {
    memory: Vec<u8>,
    header: Vec<u8>,
    /// Bytes of data in an answer.
    data: usize,
    /// Where the data of the next answers lies.
    places: VecDeque<usize>,
    /// Bytes of the first of them that are sent.
    sent: usize,
    random: u64,
}

impl Spread {
    /// Writes all of the memory, so that there is some.
    pub(super) fn new(bytes: usize, answer: usize) -> Self {
        let data = answer / PAGE * PAGE;
        let header = vec![1; answer - data];
        let memory = vec![1; bytes.max(data)];
        Self { memory, header, data, places: VecDeque::new(), sent: 0, random: 0x9e37_79b9_7f4a_7c15 }
    }

    /// Sends some of `owed` bytes; says how many.
    pub(super) fn send(&mut self, to: &mut impl Write, owed: usize) -> std::io::Result<usize> {
        let answer = self.header.len() + self.data;
        let wanted = (self.sent + owed).div_ceil(answer).min(ANSWERS);
        while self.places.len() < wanted {
            let place = self.draw();
            self.places.push_back(place);
        }
        let mut slices = [IoSlice::new(&[]); 2 * ANSWERS];
        let mut skip = self.sent;
        for (pair, &place) in slices.chunks_exact_mut(2).zip(self.places.iter().take(wanted)) {
            let header = skip.min(self.header.len());
            pair[0] = IoSlice::new(&self.header[header..]);
            pair[1] = IoSlice::new(&self.memory[place + (skip - header)..place + self.data]);
            skip = 0;
        }
        let len = to.write_vectored(&slices[..2 * wanted])?;
        self.sent += len;
        while self.sent >= answer {
            self.sent -= answer;
            self.places.pop_front();
        }
        Ok(len)
    }

    /// A place of one answer's data (Marsaglia's xorshift).
    fn draw(&mut self) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let places = (self.memory.len() / self.data.max(1)).max(1) as u64;
        (self.random % places) as usize * self.data
    }
}

/// What data is a multiple of.
const PAGE: usize = 4096;

/// Answers in one call.
const ANSWERS: usize = 256;

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
            let mut spread = Spread::new(1 << 20, 4120);
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
}
