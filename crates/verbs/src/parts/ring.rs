//! A bounded queue whose places are used again, so that what they hold (lists, bytes) is allocated once.

/// A queue of at most as many things as it was made for.
#[derive(Debug)]
pub struct Ring<T> {
    places: Vec<T>,
    head: usize,
    len: usize,
}

impl<T: Default> Ring<T> {
    /// An empty queue.
    pub fn new(capacity: u32) -> Self {
        let places = core::iter::repeat_with(T::default).take(capacity as usize).collect();
        Self { places, head: 0, len: 0 }
    }

    /// The place behind the last thing, to be filled; `None` if the queue is full. What it held before is still there.
    pub fn push(&mut self) -> Option<&mut T> {
        if self.len == self.places.len() {
            return None;
        }
        let at = self.place(self.len);
        self.len += 1;
        self.places.get_mut(at)
    }

    /// Takes the first thing off; it can still be looked at.
    pub fn pop(&mut self) -> Option<&mut T> {
        if self.len == 0 {
            return None;
        }
        let at = self.head;
        self.head = self.place(1);
        self.len -= 1;
        self.places.get_mut(at)
    }

    /// Takes the last thing off; it can still be looked at.
    pub fn pop_last(&mut self) -> Option<&mut T> {
        self.len = self.len.checked_sub(1)?;
        let at = self.place(self.len);
        self.places.get_mut(at)
    }

    /// The thing behind `index` others.
    pub fn get(&self, index: usize) -> Option<&T> {
        if index < self.len { self.places.get(self.place(index)) } else { None }
    }

    /// The thing behind `index` others.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        let at = self.place(index);
        if index < self.len { self.places.get_mut(at) } else { None }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        (self.head, self.len) = (0, 0);
    }

    /// How many things there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// True if there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// True if no more can be pushed.
    pub fn is_full(&self) -> bool {
        self.len == self.places.len()
    }

    fn place(&self, index: usize) -> usize {
        let at = self.head + index;
        if at < self.places.len() { at } else { at.saturating_sub(self.places.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_used_again() {
        let mut ring: Ring<Vec<u8>> = Ring::new(2);
        for round in 0..5u8 {
            ring.push().unwrap().push(round);
            ring.push().unwrap();
            assert!(ring.push().is_none() && ring.is_full());
            assert_eq!(ring.get(0).unwrap().len(), usize::from(round) + 1);
            ring.pop().unwrap();
            ring.pop().unwrap();
            assert!(ring.pop().is_none() && ring.is_empty());
        }
    }

    #[test]
    fn the_last_can_be_taken_first() {
        let mut ring: Ring<u8> = Ring::new(3);
        for number in 1..=4u8 {
            // The third and the fourth lie where the first two did.
            *ring.push().unwrap() = number;
            if number == 2 {
                assert_eq!((ring.pop().copied(), ring.pop_last().copied()), (Some(1), Some(2)));
            }
        }
        assert_eq!((ring.pop_last().copied(), ring.pop_last().copied()), (Some(4), Some(3)));
        assert!(ring.pop_last().is_none() && ring.is_empty());
    }

    #[test]
    fn a_ring_without_places_is_full() {
        let mut ring: Ring<u8> = Ring::new(0);
        assert!(ring.push().is_none());
        assert!(ring.pop().is_none() && ring.pop_last().is_none());
        assert_eq!(ring.get(0), None);
    }
}
