//! Flow control of the submission queue (Base 3.3.1.2.1, Fabrics 2.4): how many entries the controller has yet to take.

/// The host's view of a submission queue's head and tail.
#[derive(Debug)]
pub(in crate::host) struct Submission {
    /// Entries of the queue; one is always left free.
    entries: u16,
    tail: u16,
    head: u16,
    /// The controller tells its head in every response. Without it only the number outstanding bounds us.
    flow_control: bool,
}

impl Submission {
    /// An empty queue.
    pub fn new(entries: u16, flow_control: bool) -> Self {
        Self { entries, tail: 0, head: 0, flow_control }
    }

    /// True if another entry would run into those the controller has not taken.
    pub fn is_full(&self) -> bool {
        self.flow_control && self.next(self.tail) == self.head
    }

    /// An entry was sent.
    pub fn advance(&mut self) {
        self.tail = self.next(self.tail);
    }

    /// A response told the head. One that is no entry of the queue tells nothing.
    pub fn handle_head(&mut self, head: u16) {
        if head < self.entries {
            self.head = head;
        }
    }

    /// Nothing is outstanding, so everything was taken, whatever responses said or left unsaid.
    pub fn handle_idle(&mut self) {
        self.head = self.tail;
    }

    fn next(&self, at: u16) -> u16 {
        if at + 1 >= self.entries { 0 } else { at + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_entry_stays_free_and_heads_make_room() {
        let mut queue = Submission::new(4, true);
        for _ in 0..3 {
            assert!(!queue.is_full());
            queue.advance();
        }
        assert!(queue.is_full());
        queue.handle_head(9);
        assert!(queue.is_full(), "a head past the end tells nothing");
        queue.handle_head(1);
        assert!(!queue.is_full());
        queue.advance();
        assert!(queue.is_full());
        queue.handle_idle();
        assert!(!queue.is_full());
    }
}
