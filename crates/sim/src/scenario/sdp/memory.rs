//! What an end lets the other read and write.

use super::{Check, wrong};
use crate::scenario::Outcome;

/// Memory of an end, by its keys.
#[derive(Debug, Default)]
pub(super) struct Memory {
    regions: Vec<Region>,
}

/// Memory under one key: its key is its place, and the upper half of its address.
#[derive(Debug)]
enum Region {
    /// Bytes of the stream from a place on, until the end says that they are released.
    Source { at: u64, len: u32 },
    /// For bytes of the peer's stream.
    Sink(Vec<u8>),
    /// Given back.
    Closed,
}

impl Memory {
    /// Opens bytes of the stream to be read; their key and address.
    pub(super) fn open_source(&mut self, at: u64, len: u32) -> (u32, u64) {
        self.open(Region::Source { at, len })
    }

    /// Opens memory to be written.
    pub(super) fn open_sink(&mut self, len: u32) -> (u32, u64) {
        self.open(Region::Sink(vec![0; len as usize]))
    }

    /// The place in the stream of what is read.
    pub(super) fn read(&self, key: u32, address: u64, len: u32, released: u64) -> Result<u64, Outcome> {
        let offset = offset(key, address);
        match self.regions.get(key as usize) {
            Some(&Region::Source { at, len: whole }) if offset + u64::from(len) <= whole.into() => {
                let place = at + offset;
                if place < released {
                    return Err(wrong(format!("{place} of the stream is read, {released} is released")));
                }
                Ok(place)
            }
            region => Err(wrong(format!("{len} bytes at {offset} are read of {region:?}"))),
        }
    }

    /// Bytes are written.
    pub(super) fn write(&mut self, key: u32, address: u64, bytes: &[u8]) -> Check {
        let offset = offset(key, address) as usize;
        match self.regions.get_mut(key as usize) {
            Some(Region::Sink(place)) if offset + bytes.len() <= place.len() => {
                place[offset..offset + bytes.len()].copy_from_slice(bytes);
                Ok(())
            }
            region => Err(wrong(format!("{} bytes at {offset} are written to {region:?}", bytes.len()))),
        }
    }

    /// Takes memory back, with what was written to it.
    pub(super) fn close_sink(&mut self, key: u32) -> Vec<u8> {
        match core::mem::replace(&mut self.regions[key as usize], Region::Closed) {
            Region::Sink(bytes) => bytes,
            Region::Source { .. } | Region::Closed => Vec::new(),
        }
    }

    fn open(&mut self, region: Region) -> (u32, u64) {
        let key = self.regions.len() as u32;
        self.regions.push(region);
        (key, base(key))
    }
}

/// Where the memory of a key begins.
fn base(key: u32) -> u64 {
    u64::from(key) << 32
}

fn offset(key: u32, address: u64) -> u64 {
    address.wrapping_sub(base(key))
}
