//! Memory regions and windows by key, and who may do what with them (10.6).

use crate::memory::Owner;
use crate::{Access, CreateError, Key, PdId, QpId, Registered, Registration, Sge, WindowKind};
use stdx::mem::Span;
use stdx::planted::{Bug, planted};

/// Memory may not be used so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Denied;

/// Every region and window of a provider.
#[derive(Debug)]
pub struct Regions {
    entries: Vec<Entry>,
    free: Vec<u32>,
    limit: u32,
    pieces_max: u32,
}

#[derive(Debug)]
struct Entry {
    life: u8,
    state: State,
}

#[derive(Debug)]
enum State {
    Free,
    Region(Region),
    Window(Window),
}

/// Bytes with addresses.
#[derive(Debug)]
struct Region {
    pd: PdId,
    address: u64,
    len: u64,
    pieces: Vec<Span>,
    /// Where each piece begins, counted from the region's first byte.
    starts: Vec<u64>,
    access: Access,
    /// Gets its memory by work requests, and may be closed.
    by_work: bool,
    /// How many pieces it may have.
    pieces_max: usize,
    is_open: bool,
    /// Windows bound to it.
    windows: u32,
}

/// A part of a region, for peers.
#[derive(Debug)]
struct Window {
    pd: PdId,
    kind: WindowKind,
    bound: Option<Binding>,
}

#[derive(Debug, Clone, Copy)]
struct Binding {
    region: Key,
    address: u64,
    len: u64,
    access: Access,
    owner: Owner,
}

impl Regions {
    /// No region, and at most `limit` of at most `pieces_max` pieces.
    pub const fn new(limit: u32, pieces_max: u32) -> Self {
        Self { entries: Vec::new(), free: Vec::new(), limit, pieces_max }
    }

    /// Registers memory; `life` is the last byte of its key.
    pub fn register(
        &mut self,
        pd: PdId,
        registration: &Registration<'_>,
        life: u8,
    ) -> Result<Registered, CreateError> {
        if registration.pieces.len() > self.pieces_max as usize {
            return Err(CreateError::TooLarge);
        }
        let mut region = Region::new(pd, registration.pieces.len(), false);
        if !registration.access.is_consistent()
            || !region.fill(registration.pieces, registration.address, registration.access)
        {
            return Err(CreateError::Invalid);
        }
        let len = region.len;
        let key = self.insert(State::Region(region), life)?;
        Ok(Registered { key, address: registration.address, len })
    }

    /// Makes a region that gets its memory later.
    pub fn alloc_region(&mut self, pd: PdId, pieces_max: u32, life: u8) -> Result<Key, CreateError> {
        if pieces_max > self.pieces_max {
            return Err(CreateError::TooLarge);
        }
        self.insert(State::Region(Region::new(pd, pieces_max as usize, true)), life)
    }

    /// Makes a window that opens nothing.
    pub fn alloc_window(&mut self, pd: PdId, kind: WindowKind, life: u8) -> Result<Key, CreateError> {
        self.insert(State::Window(Window { pd, kind, bound: None }), life)
    }

    /// Takes a region or window away. False if there is none, or windows are bound to it.
    pub fn remove(&mut self, key: Key) -> Option<bool> {
        let entry = self.entries.get(key.index())?;
        match &entry.state {
            State::Free => return None,
            State::Region(region) if region.windows > 0 => return Some(false),
            State::Region(_) | State::Window(_) => {}
        }
        self.unbind(key.index());
        let entry = self.entries.get_mut(key.index())?;
        entry.state = State::Free;
        self.free.push(key.index() as u32);
        Some(true)
    }

    /// True if a region or window belongs to the domain.
    pub fn is_used(&self, pd: PdId) -> bool {
        self.entries.iter().any(|entry| match &entry.state {
            State::Free => false,
            State::Region(region) => region.pd == pd,
            State::Window(window) => window.pd == pd,
        })
    }

    /// Gives a region its memory and a new key.
    pub fn register_by_work(
        &mut self,
        pd: PdId,
        key: Key,
        pieces: &[Span],
        address: u64,
        access: Access,
    ) -> Result<(), Denied> {
        let entry = self.entries.get_mut(key.index()).ok_or(Denied)?;
        let State::Region(region) = &mut entry.state else { return Err(Denied) };
        let is_ready = region.by_work && !region.is_open && region.pd == pd;
        if !is_ready || pieces.len() > region.pieces_max || !access.is_consistent() {
            return Err(Denied);
        }
        if !region.fill(pieces, address, access) {
            return Err(Denied);
        }
        entry.life = key.life();
        Ok(())
    }

    /// Opens a window onto `part`; an empty part closes it.
    pub fn bind(&mut self, pd: PdId, qp: QpId, window: Key, part: Sge, access: Access) -> Result<(), Denied> {
        let entry = self.entries.get(window.index()).ok_or(Denied)?;
        let State::Window(found) = &entry.state else { return Err(Denied) };
        let kind = found.kind;
        let rebinds = kind == WindowKind::QueuePair && found.bound.is_some() && part.len > 0;
        if found.pd != pd || rebinds {
            return Err(Denied);
        }
        let binding = if part.len == 0 { None } else { Some(self.binding(pd, qp, kind, part, access)?) };
        self.unbind(window.index());
        if let Some(binding) = binding
            && let Some(region) = self.region_mut(binding.region)
        {
            region.windows += 1;
        }
        if let Some(entry) = self.entries.get_mut(window.index()) {
            entry.life = window.life();
            if let State::Window(found) = &mut entry.state {
                found.bound = binding;
            }
        }
        Ok(())
    }

    /// Closes a region or window of ours.
    pub fn invalidate(&mut self, pd: PdId, key: Key) -> Result<(), Denied> {
        self.close(key, |owner| match owner {
            Owner::Domain(domain) | Owner::QueuePair(domain, _) => domain == pd,
        })
    }

    /// Closes a region or window because the peer of `qp` says so.
    pub fn invalidate_by_peer(&mut self, pd: PdId, qp: QpId, key: Key) -> Result<(), Denied> {
        self.close(key, |owner| match owner {
            Owner::Domain(domain) => domain == pd,
            Owner::QueuePair(domain, bound) => domain == pd && bound == qp,
        })
    }

    /// Appends where `len` bytes at `address` lie, for our own use.
    pub fn local(&self, pd: PdId, sge: Sge, needed: Access, spans: &mut Vec<Span>) -> Result<(), Denied> {
        let region = self.region(sge.key).ok_or(Denied)?;
        if !region.is_open || region.pd != pd || !region.access.contains(needed) {
            return Err(Denied);
        }
        region.spans(sge.address, u64::from(sge.len), spans)
    }

    /// Appends where `len` bytes at `address` lie, for the peer of `qp`.
    pub fn remote(
        &self,
        pd: PdId,
        qp: QpId,
        wanted: Sge,
        needed: Access,
        spans: &mut Vec<Span>,
    ) -> Result<(), Denied> {
        let entry = self.entry(wanted.key).ok_or(Denied)?;
        let len = u64::from(wanted.len);
        match &entry.state {
            State::Free => Err(Denied),
            State::Region(region) => {
                let may = region.access.contains(needed) || planted(Bug::RightsUnchecked);
                if !region.is_open || region.pd != pd || !may {
                    return Err(Denied);
                }
                region.spans(wanted.address, len, spans)
            }
            State::Window(window) => {
                let binding = window.bound.ok_or(Denied)?;
                let is_owner = match binding.owner {
                    Owner::Domain(domain) => domain == pd,
                    Owner::QueuePair(domain, bound) => {
                        domain == pd && (bound == qp || planted(Bug::WindowOfAnotherPair))
                    }
                };
                let offset = wanted.address.wrapping_sub(binding.address);
                let is_inside = offset <= binding.len && len <= binding.len - offset;
                let region = self.region(binding.region).ok_or(Denied)?;
                if !is_owner || !is_inside || !binding.access.contains(needed) || !region.is_open {
                    return Err(Denied);
                }
                region.spans(wanted.address, len, spans)
            }
        }
    }

    fn binding(
        &self,
        pd: PdId,
        qp: QpId,
        kind: WindowKind,
        part: Sge,
        access: Access,
    ) -> Result<Binding, Denied> {
        let region = self.region(part.key).ok_or(Denied)?;
        let may_write = access.contains(Access::REMOTE_WRITE) || access.contains(Access::REMOTE_ATOMIC);
        let is_allowed = region.is_open
            && region.pd == pd
            && region.access.contains(Access::WINDOW_BIND)
            && (!may_write || region.access.contains(Access::LOCAL_WRITE))
            && region.contains(part.address, u64::from(part.len));
        if !is_allowed {
            return Err(Denied);
        }
        let owner = match kind {
            WindowKind::Domain => Owner::Domain(pd),
            WindowKind::QueuePair => Owner::QueuePair(pd, qp),
        };
        Ok(Binding { region: part.key, address: part.address, len: u64::from(part.len), access, owner })
    }

    /// Closes what the key opens, if its owner passes `is_owner`.
    fn close(&mut self, key: Key, is_owner: impl Fn(Owner) -> bool) -> Result<(), Denied> {
        let place = key.index();
        let entry = self.entry(key).ok_or(Denied)?;
        match &entry.state {
            State::Free => return Err(Denied),
            State::Region(region) => {
                if !region.by_work || !region.is_open || region.windows > 0 {
                    return Err(Denied);
                }
                if !is_owner(Owner::Domain(region.pd)) {
                    return Err(Denied);
                }
            }
            State::Window(window) => {
                let binding = window.bound.ok_or(Denied)?;
                if window.kind != WindowKind::QueuePair || !is_owner(binding.owner) {
                    return Err(Denied);
                }
            }
        }
        if planted(Bug::DeadKeyOpens) {
            return Ok(());
        }
        self.unbind(place);
        if let Some(Entry { state: State::Region(region), .. }) = self.entries.get_mut(place) {
            region.is_open = false;
        }
        Ok(())
    }

    fn unbind(&mut self, place: usize) {
        let Some(Entry { state: State::Window(window), .. }) = self.entries.get_mut(place) else { return };
        if let Some(binding) = window.bound.take()
            && let Some(region) = self.region_mut(binding.region)
        {
            region.windows -= 1;
        }
    }

    fn insert(&mut self, state: State, life: u8) -> Result<Key, CreateError> {
        if let Some(place) = self.free.pop()
            && let Some(entry) = self.entries.get_mut(place as usize)
        {
            // Another life than the last, whatever was drawn.
            entry.life = if entry.life == life { life.wrapping_add(1) } else { life };
            entry.state = state;
            return Ok(Key::new(place, entry.life));
        }
        let place = self.entries.len() as u32;
        if place >= self.limit.min(1 << 24) {
            return Err(CreateError::Limit);
        }
        // The first place is never used: key 0 opens nothing.
        if place == 0 {
            self.entries.push(Entry { life: 0, state: State::Free });
            return self.insert(state, life);
        }
        self.entries.push(Entry { life, state });
        Ok(Key::new(place, life))
    }

    fn entry(&self, key: Key) -> Option<&Entry> {
        self.entries.get(key.index()).filter(|entry| entry.life == key.life())
    }

    fn region(&self, key: Key) -> Option<&Region> {
        match &self.entry(key)?.state {
            State::Region(region) => Some(region),
            State::Free | State::Window(_) => None,
        }
    }

    fn region_mut(&mut self, key: Key) -> Option<&mut Region> {
        match &mut self.entries.get_mut(key.index())?.state {
            State::Region(region) => Some(region),
            State::Free | State::Window(_) => None,
        }
    }
}

impl Region {
    fn new(pd: PdId, pieces_max: usize, by_work: bool) -> Self {
        Self {
            pd,
            address: 0,
            len: 0,
            pieces: Vec::with_capacity(pieces_max),
            starts: Vec::with_capacity(pieces_max),
            access: Access::NONE,
            by_work,
            pieces_max,
            is_open: false,
            windows: 0,
        }
    }

    /// Opens the region onto these pieces. False if their bytes would pass the end of the address space.
    fn fill(&mut self, pieces: &[Span], address: u64, access: Access) -> bool {
        let len: u64 = pieces.iter().map(|piece| u64::from(piece.len)).sum();
        if len > 0 && address.checked_add(len - 1).is_none() {
            return false;
        }
        self.pieces.clear();
        self.starts.clear();
        let mut at = 0;
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            self.pieces.push(*piece);
            self.starts.push(at);
            at += u64::from(piece.len);
        }
        (self.address, self.len, self.access, self.is_open) = (address, len, access, true);
        true
    }

    fn contains(&self, address: u64, len: u64) -> bool {
        let offset = address.wrapping_sub(self.address);
        let whole = self.len + u64::from(planted(Bug::BoundsOffByOne));
        offset <= whole && len <= whole - offset
    }

    fn spans(&self, address: u64, len: u64, spans: &mut Vec<Span>) -> Result<(), Denied> {
        if !self.contains(address, len) {
            return Err(Denied);
        }
        let mut offset = address.wrapping_sub(self.address);
        let mut left = len;
        let first = self.starts.partition_point(|start| *start <= offset).saturating_sub(1);
        for (piece, start) in self.pieces.iter().zip(&self.starts).skip(first) {
            if left == 0 {
                break;
            }
            let skip = (offset - start) as usize;
            let taken = left.min((piece.len() - skip) as u64);
            spans.push(piece.slice(skip, taken as usize));
            offset += taken;
            left -= taken;
        }
        Ok(())
    }
}
