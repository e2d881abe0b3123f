//! The initiator's memory for one direction of a command (section 5.4), and how far data has been moved.

use stdx::planted::{Bug, planted};
use verbs::{Key, Remote};
use wire::srp::{Descriptor, DescriptorTable, MemoryDescriptor};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// Reused from command to command.
    list: Vec<MemoryDescriptor>,
    /// The next piece, and how much of it is moved.
    at: usize,
    offset: u32,
    /// Bytes moved.
    moved: u32,
}

/// Where the descriptors of a command are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// They are known.
    Here,
    /// In the initiator's memory.
    Table(MemoryDescriptor),
}

/// Descriptors that contradict what is said of them, or are too many.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Invalid;

impl Pieces {
    pub(super) const fn new() -> Self {
        Self { list: Vec::new(), at: 0, offset: 0, moved: 0 }
    }

    /// Takes what a descriptor says.
    pub(super) fn take(&mut self, descriptor: &Descriptor<'_>, most: u32) -> Result<Source, Invalid> {
        self.clear();
        match *descriptor {
            Descriptor::None | Descriptor::Immediate { .. } => Ok(Source::Here),
            Descriptor::Direct(memory) => {
                self.list.push(memory);
                Ok(Source::Here)
            }
            Descriptor::Indirect { table, len, first } => {
                let count = table.len as usize / wire::srp::DESCRIPTOR_LEN;
                if count > most as usize {
                    return Err(Invalid);
                }
                match first.count() < count {
                    true => Ok(Source::Table(table)),
                    false => self.fill(first, len).map(|()| Source::Here),
                }
            }
        }
    }

    /// The table is here; it is to describe `len` bytes.
    pub(super) fn fill(&mut self, table: DescriptorTable<'_>, len: u32) -> Result<(), Invalid> {
        self.clear();
        self.list.extend(table.iter());
        let described: u64 = self.list.iter().map(|piece| u64::from(piece.len)).sum();
        if described < u64::from(len) { Err(Invalid) } else { Ok(()) }
    }

    /// Bytes moved.
    pub(super) const fn moved(&self) -> u32 {
        self.moved
    }

    /// The next piece of what is left of `wanted` bytes.
    pub(super) fn next(&self, wanted: u32) -> Option<(Remote, u32)> {
        let left = wanted.checked_sub(self.moved).filter(|left| *left > 0)?;
        let piece = self.list.get(self.at)?;
        let address = piece.address.wrapping_add(u64::from(self.offset));
        Some((Remote { address, key: Key(piece.key) }, left.min(piece.len - self.offset)))
    }

    /// So many bytes of that piece are on their way.
    pub(super) fn advance(&mut self, len: u32) {
        self.moved += len;
        self.offset += len;
        if self.list.get(self.at).is_some_and(|piece| self.offset >= piece.len) {
            let kept = if planted(Bug::PieceOffsetKept) { self.offset / 2 } else { 0 };
            (self.at, self.offset) = (self.at + 1, kept);
        }
    }

    /// Nothing.
    pub(super) fn clear(&mut self) {
        self.list.clear();
        (self.at, self.offset, self.moved) = (0, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(lens: &[u32]) -> Vec<u8> {
        let piece = |len: &u32| MemoryDescriptor { address: u64::from(*len) << 16, key: 9, len: *len };
        lens.iter().flat_map(|len| piece(len).encode()).collect()
    }

    #[test]
    fn data_goes_through_all_pieces() {
        let bytes = table(&[100, 0, 50, 300]);
        let mut pieces = Pieces::default();
        assert_eq!(pieces.fill(DescriptorTable::new(&bytes), 450), Ok(()));
        let mut seen = vec![];
        while let Some((remote, len)) = pieces.next(200) {
            seen.push((remote.address, len));
            pieces.advance(len);
        }
        assert_eq!(seen, [(100 << 16, 100), (0, 0), (50 << 16, 50), (300 << 16, 50)]);
        assert_eq!(
            (pieces.moved(), pieces.next(201).map(|(remote, len)| (remote.address, len))),
            (200, Some(((300 << 16) + 50, 1)))
        );
    }

    #[test]
    fn tables_that_contradict_themselves_are_invalid() {
        let bytes = table(&[100, 100]);
        let mut pieces = Pieces::default();
        assert_eq!(pieces.fill(DescriptorTable::new(&bytes), 201), Err(Invalid));
        let first = DescriptorTable::new(&bytes);
        let memory = |len| MemoryDescriptor { address: 0, key: 1, len };
        let indirect = |len| Descriptor::Indirect { table: memory(len), len: 200, first };
        assert_eq!(pieces.take(&indirect(32), 2), Ok(Source::Here));
        assert_eq!(pieces.take(&indirect(48), 2), Err(Invalid));
        assert_eq!(pieces.take(&indirect(48), 3), Ok(Source::Table(memory(48))));
    }
}
