//! The commands outstanding on a queue, known by their identifiers.
//!
//! A command identifier is the place in the table in its low bits and the place's generation in the rest, so a response
//! that comes for a command long completed finds nothing (until the generation, six bits or more, comes round).

use super::Data;
use stdx::mem::Span;
use stdx::time::Time;
use wire::nvme::Status;

/// The table of commands.
#[derive(Debug)]
pub(super) struct Commands {
    slots: Vec<Slot>,
    free: Vec<u16>,
    /// How many low bits of an identifier are the place.
    index_bits: u32,
}

#[derive(Debug)]
struct Slot {
    generation: u16,
    command: Option<Command>,
}

/// A command that was sent, or waits in the transmit queue.
#[derive(Debug)]
pub(super) struct Command {
    /// What the owner of the queue knows it by.
    pub token: u64,
    /// Its data.
    pub data: Data,
    /// The data went along in the capsule; nothing may be asked for.
    pub in_capsule: bool,
    /// Bytes that have come, or were asked for by R2T.
    pub moved: u32,
    /// The R2T being answered.
    pub r2t: Option<Requested>,
    /// Segments of its data in the transmit queue: its memory may not go back to its owner before they are gone.
    pub unsent: u16,
    /// The last data of a read has come.
    pub last_seen: bool,
    /// A data digest did not match.
    pub damaged: bool,
    /// The response has come, but data is unsent.
    pub response: Option<(Status, u64)>,
    /// When it was put into the transmit queue.
    pub since: Time,
}

/// The part of a command's data that an R2T asked for and that is yet to go into the transmit queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Requested {
    pub transfer_tag: u16,
    pub offset: u32,
    pub left: u32,
}

impl Commands {
    /// A table for `limit` commands, 1 to 1,024.
    pub fn new(limit: u16) -> Self {
        let slots = (0..limit).map(|_| Slot { generation: 0, command: None }).collect();
        let index_bits = u16::BITS - limit.saturating_sub(1).leading_zeros();
        Self { slots, free: (0..limit).rev().collect(), index_bits }
    }

    /// Puts a command in and gives its identifier; `None` if the table is full.
    pub fn insert(&mut self, command: Command) -> Option<(u16, u16)> {
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
    pub fn get_mut(&mut self, slot: u16) -> Option<&mut Command> {
        self.slots.get_mut(usize::from(slot))?.command.as_mut()
    }

    /// Takes the command at a place out. Its identifier is stale from here on.
    pub fn remove(&mut self, slot: u16) -> Option<Command> {
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
    pub fn iter(&self) -> impl Iterator<Item = (u16, &Command)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(slot, place)| place.command.as_ref().map(|command| (self.id(slot as u16), command)))
    }
}

impl Command {
    /// A command that is about to be sent.
    pub fn new(token: u64, data: Data, in_capsule: bool, since: Time) -> Self {
        Self {
            token,
            data,
            in_capsule,
            moved: 0,
            r2t: None,
            unsent: 0,
            last_seen: false,
            damaged: false,
            response: None,
            since,
        }
    }

    /// Where data from the controller goes; `None` if the command reads nothing.
    pub fn read_span(&self) -> Option<Span> {
        match self.data {
            Data::FromController(span) => Some(span),
            Data::None | Data::ToController(_) => None,
        }
    }

    /// Where data the controller may ask for is; `None` if there is none, or it went in the capsule.
    pub fn write_span(&self) -> Option<Span> {
        match self.data {
            Data::ToController(span) if !self.in_capsule => Some(span),
            Data::ToController(_) | Data::None | Data::FromController(_) => None,
        }
    }

    /// True if all data has moved that a successful command moves.
    pub fn has_all(&self) -> bool {
        match (self.read_span(), self.write_span()) {
            (Some(span), _) => self.moved == span.len,
            (None, Some(span)) => self.moved == span.len && self.r2t.is_none(),
            (None, None) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(token: u64) -> Command {
        Command::new(token, Data::None, false, Time::ZERO)
    }

    #[test]
    fn a_stale_identifier_finds_nothing() {
        let mut commands = Commands::new(3);
        let (slot, first) = commands.insert(command(1)).unwrap();
        assert_eq!(commands.find(first), Some(slot));
        commands.remove(slot);
        assert_eq!(commands.find(first), None);
        let (again, second) = commands.insert(command(2)).unwrap();
        assert_eq!(again, slot);
        assert_ne!(second, first);
        assert_eq!(commands.find(first), None);
        assert_eq!(commands.find(second), Some(slot));
    }

    #[test]
    fn every_identifier_of_a_full_table_is_another() {
        for limit in [1, 2, 3, 31, 127, 1024] {
            let mut commands = Commands::new(limit);
            let mut ids: Vec<u16> =
                core::iter::from_fn(|| commands.insert(command(0))).map(|(_, id)| id).collect();
            assert!(commands.is_full());
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), usize::from(limit));
        }
    }

    #[test]
    fn no_identifier_of_a_peer_is_out_of_bounds() {
        let mut commands = Commands::new(5);
        commands.insert(command(0));
        let found = (0..=u16::MAX).filter(|&id| commands.find(id).is_some()).count();
        assert_eq!(found, 1);
    }
}
