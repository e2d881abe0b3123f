//! A bounded table of things known by a small key, where a key of a removed thing never finds its successor.

/// Where a thing sits in a [`Slab`], and which tenant of the place it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key {
    index: u32,
    generation: u32,
}

impl Key {
    /// How many tags there are: each is below (see [`Slab::tagged`]).
    pub const TAGS: usize = 1 << (u32::BITS - TAG_SHIFT);

    /// The key as one number, for tags; [`Key::from_u64`] is its inverse.
    pub const fn as_u64(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    /// The key that [`Key::as_u64`] gave.
    pub const fn from_u64(raw: u64) -> Self {
        Self { index: raw as u32, generation: (raw >> 32) as u32 }
    }

    /// The place in the table: below the slab's limit, reused after removal.
    pub const fn index(self) -> usize {
        self.index as usize
    }

    /// The tag of the table it is of (see [`Slab::tagged`]).
    pub const fn tag(self) -> u8 {
        (self.generation >> TAG_SHIFT) as u8
    }
}

/// A table of at most `limit` things. Insertion and removal are O(1) and allocate only while the table grows.
#[derive(Debug)]
pub struct Slab<T> {
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
    limit: usize,
    /// The generation of places that were never taken.
    first: u32,
}

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Slab<T> {
    /// An empty table that holds at most `limit` things.
    pub const fn new(limit: usize) -> Self {
        Self::tagged(limit, 0)
    }

    /// So, and its keys carry a tag below [`Key::TAGS`] which tells them from those of other tables.
    pub const fn tagged(limit: usize, tag: u8) -> Self {
        Self { entries: Vec::new(), free: Vec::new(), limit, first: (tag as u32) << TAG_SHIFT }
    }

    /// Puts a thing in; hands it back if the table is full.
    pub fn insert(&mut self, value: T) -> Result<Key, T> {
        if let Some(index) = self.free.pop() {
            let entry = &mut self.entries[index as usize];
            entry.value = Some(value);
            return Ok(Key { index, generation: entry.generation });
        }
        if self.entries.len() >= self.limit {
            return Err(value);
        }
        let index = self.entries.len() as u32;
        self.entries.push(Entry { generation: self.first, value: Some(value) });
        Ok(Key { index, generation: self.first })
    }

    /// The key that the next [`Slab::insert`] gives; `None` if it would be refused.
    pub fn next_key(&self) -> Option<Key> {
        match self.free.last() {
            Some(&index) => Some(Key { index, generation: self.entries[index as usize].generation }),
            None if self.entries.len() < self.limit => {
                Some(Key { index: self.entries.len() as u32, generation: self.first })
            }
            None => None,
        }
    }

    /// The key of the thing at a place (see [`Key::index`]), if there is one.
    pub fn key_at(&self, index: usize) -> Option<Key> {
        let entry = self.entries.get(index)?;
        entry.value.as_ref().map(|_| Key { index: index as u32, generation: entry.generation })
    }

    /// How many places there are, taken or not: every key's index is below.
    pub fn places(&self) -> usize {
        self.entries.len()
    }

    /// Takes the thing out; `None` if it is gone already.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let entry = self.entries.get_mut(key.index())?;
        if entry.generation != key.generation {
            return None;
        }
        let value = entry.value.take()?;
        entry.generation = self.first | entry.generation.wrapping_add(1) & GENERATIONS;
        self.free.push(key.index);
        Some(value)
    }

    /// The thing, if it is still there.
    pub fn get(&self, key: Key) -> Option<&T> {
        let entry = self.entries.get(key.index())?;
        if entry.generation == key.generation { entry.value.as_ref() } else { None }
    }

    /// The thing, if it is still there.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let entry = self.entries.get_mut(key.index())?;
        if entry.generation == key.generation { entry.value.as_mut() } else { None }
    }

    /// How many things there are.
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True if the next [`Slab::insert`] would be refused.
    pub fn is_full(&self) -> bool {
        self.len() >= self.limit
    }

    /// All things, in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.entries.iter().enumerate().filter_map(|(index, entry)| {
            let key = Key { index: index as u32, generation: entry.generation };
            entry.value.as_ref().map(|value| (key, value))
        })
    }

    /// All things, in the order of their places.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Key, &mut T)> {
        self.entries.iter_mut().enumerate().filter_map(|(index, entry)| {
            let key = Key { index: index as u32, generation: entry.generation };
            entry.value.as_mut().map(|value| (key, value))
        })
    }
}

/// Where a generation ends and the tag begins.
const TAG_SHIFT: u32 = 28;
const GENERATIONS: u32 = (1 << TAG_SHIFT) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_tagged_tables_differ() {
        let (mut one, mut other) = (Slab::tagged(1, 1), Slab::tagged(1, 15));
        for _ in 0..3 {
            let keys = (one.insert(()).unwrap(), other.insert(()).unwrap());
            assert_eq!((keys.0.tag(), keys.1.tag()), (1, 15));
            assert_ne!(keys.0, keys.1);
            assert_eq!(one.get(keys.1), None);
            one.remove(keys.0).unwrap();
            other.remove(keys.1).unwrap();
        }
        let last = Key { index: 0, generation: 15 << TAG_SHIFT | GENERATIONS };
        other.entries[0] = Entry { generation: last.generation, value: Some(()) };
        other.free.clear();
        other.remove(last).unwrap();
        assert_eq!(other.next_key(), Some(Key { index: 0, generation: 15 << TAG_SHIFT }));
    }

    #[test]
    fn a_stale_key_finds_nothing() {
        let mut slab = Slab::new(2);
        let a = slab.insert('a').unwrap();
        assert_eq!(slab.remove(a), Some('a'));
        let b = slab.insert('b').unwrap();
        assert_eq!(a.index(), b.index());
        assert_eq!(slab.get(a), None);
        assert_eq!(slab.remove(a), None);
        assert_eq!(slab.get(Key::from_u64(b.as_u64())), Some(&'b'));
    }

    #[test]
    fn the_next_key_is_foretold() {
        let mut slab = Slab::new(2);
        let foretold = slab.next_key();
        let a = slab.insert('a').unwrap();
        assert_eq!(foretold, Some(a));
        slab.remove(a);
        let foretold = slab.next_key();
        assert_eq!(slab.key_at(0), None);
        let b = slab.insert('b').unwrap();
        assert_eq!((foretold, slab.key_at(0)), (Some(b), Some(b)));
        slab.insert('c').unwrap();
        assert_eq!(slab.next_key(), None);
    }

    #[test]
    fn a_full_table_hands_back() {
        let mut slab = Slab::new(1);
        slab.insert(1).unwrap();
        assert!(slab.is_full());
        assert_eq!(slab.insert(2), Err(2));
        assert_eq!(slab.len(), 1);
    }
}
