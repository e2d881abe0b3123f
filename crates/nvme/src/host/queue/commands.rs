//! The commands outstanding on a queue, known by their identifiers.
//!
//! A command identifier is the place in the table in its low bits and the place's generation in the rest, so a response
//! that comes for a command long completed finds nothing (until the generation, six bits or more, comes round).

/// The table of commands; what is known of each is its transport's.
#[derive(Debug)]
pub(in crate::host) struct Commands<C> {
    slots: Vec<Slot<C>>,
    free: Vec<u16>,
    /// How many low bits of an identifier are the place.
    index_bits: u32,
}

#[derive(Debug)]
struct Slot<C> {
    generation: u16,
    command: Option<C>,
}

impl<C> Commands<C> {
    /// A table for `limit` commands, 1 to 1,024.
    pub fn new(limit: u16) -> Self {
        let slots = (0..limit).map(|_| Slot { generation: 0, command: None }).collect();
        let index_bits = u16::BITS - limit.saturating_sub(1).leading_zeros();
        Self { slots, free: (0..limit).rev().collect(), index_bits }
    }

    /// Puts a command in and gives its identifier; `None` if the table is full.
    pub fn insert(&mut self, command: C) -> Option<(u16, u16)> {
        let slot = self.free.pop()?;
        self.slots[usize::from(slot)].command = Some(command);
        Some((slot, self.id(slot)))
    }

    /// The identifier of the command at a place.
    pub fn id(&self, slot: u16) -> u16 {
        let generation = u32::from(self.slots[usize::from(slot)].generation);
        // The shift is past the end only if the place takes all the bits, which the limit forbids.
        (generation << self.index_bits) as u16 | slot
    }

    /// The place of an identifier a peer sent, if that very command is outstanding.
    pub fn find(&self, id: u16) -> Option<u16> {
        let slot = (u32::from(id) & ((1 << self.index_bits) - 1)) as u16;
        let live = self.slots.get(usize::from(slot))?.command.is_some();
        (live && self.id(slot) == id).then_some(slot)
    }

    /// The command at a place, if there is one.
    pub fn get_mut(&mut self, slot: u16) -> Option<&mut C> {
        self.slots.get_mut(usize::from(slot))?.command.as_mut()
    }

    /// Takes the command at a place out. Its identifier is stale from here on.
    pub fn remove(&mut self, slot: u16) -> Option<C> {
        let place = &mut self.slots[usize::from(slot)];
        let command = place.command.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(slot);
        Some(command)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// True if no more can be put in.
    pub fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    /// All commands, with their identifiers.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &C)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(slot, place)| place.command.as_ref().map(|command| (self.id(slot as u16), command)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_identifier_finds_nothing() {
        let mut commands = Commands::new(3);
        let (slot, first) = commands.insert(1).unwrap();
        assert_eq!(commands.find(first), Some(slot));
        commands.remove(slot);
        assert_eq!(commands.find(first), None);
        let (again, second) = commands.insert(2).unwrap();
        assert_eq!(again, slot);
        assert_ne!(second, first);
        assert_eq!(commands.find(first), None);
        assert_eq!(commands.find(second), Some(slot));
    }

    #[test]
    fn every_identifier_of_a_full_table_is_another() {
        for limit in [1, 2, 3, 31, 127, 1024] {
            let mut commands = Commands::new(limit);
            let mut ids: Vec<u16> = core::iter::from_fn(|| commands.insert(0)).map(|(_, id)| id).collect();
            assert!(commands.is_full());
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), usize::from(limit));
        }
    }

    #[test]
    fn no_identifier_of_a_peer_is_out_of_bounds() {
        let mut commands = Commands::new(5);
        commands.insert(0);
        let found = (0..=u16::MAX).filter(|&id| commands.find(id).is_some()).count();
        assert_eq!(found, 1);
    }
}
