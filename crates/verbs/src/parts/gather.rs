//! Lists of pieces: where a part of them lies.

use super::{Denied, Regions, Task};
use crate::{Access, PdId, Sge};
use stdx::mem::{Memory, Span};

impl Regions {
    /// Appends where `len` bytes from `offset` of a list lie, each piece checked for `needed`. A list that ends before is
    /// denied.
    pub fn gather(
        &self,
        pd: PdId,
        list: &[Sge],
        offset: u64,
        len: u64,
        needed: Access,
        spans: &mut Vec<Span>,
    ) -> Result<(), Denied> {
        let (mut skip, mut left) = (offset, len);
        for sge in list {
            if left == 0 {
                break;
            }
            let piece_len = u64::from(sge.len);
            if skip >= piece_len {
                skip -= piece_len;
                continue;
            }
            let taken = left.min(piece_len - skip);
            let part = Sge { address: sge.address.wrapping_add(skip), len: taken as u32, ..*sge };
            self.local(pd, part, needed, spans)?;
            left -= taken;
            skip = 0;
        }
        if left == 0 { Ok(()) } else { Err(Denied) }
    }
}

/// Appends the `len` bytes from `offset` of `list`. A list that ends before is denied.
pub(super) fn cut(list: &[Span], offset: u64, len: u64, spans: &mut Vec<Span>) -> Result<(), Denied> {
    let (mut skip, mut left) = (offset, len);
    for span in list {
        let here = u64::from(span.len).saturating_sub(skip).min(left);
        if here > 0 {
            spans.push(span.slice(skip as usize, here as usize));
        }
        skip = skip.saturating_sub(u64::from(span.len));
        left -= here;
    }
    if left == 0 { Ok(()) } else { Err(Denied) }
}

/// Copies the bytes of `from`, in order, over those of `to`, as far as the shorter of both goes.
pub fn move_bytes(mem: &mut Memory, to: &[Span], from: &[Span]) {
    let (mut targets, mut sources) = (to.iter().copied(), from.iter().copied());
    let (mut target, mut source) = (Span::EMPTY, Span::EMPTY);
    loop {
        if target.is_empty() {
            let Some(next) = targets.next() else { return };
            target = next;
        }
        if source.is_empty() {
            let Some(next) = sources.next() else { return };
            source = next;
        }
        let len = target.len().min(source.len());
        mem.copy(target.first(len), source.first(len));
        (target, source) = (target.from(len), source.from(len));
    }
}

/// Does an atomic operation on the eight bytes at `at` (9.4.5); says what they were. They are a number of this machine's byte
/// order, as adapters keep them. One shard owns all its queue pairs, so nothing comes between.
pub fn change_atomically(mem: &mut Memory, at: &[Span], task: &Task) -> u64 {
    let mut bytes = [0; 8];
    copy_out(mem, at, &mut bytes);
    let before = u64::from_ne_bytes(bytes);
    let after = match *task {
        Task::CompareSwap { compare, swap, .. } if before == compare => swap,
        Task::FetchAdd { add, .. } => before.wrapping_add(add),
        _ => return before,
    };
    copy_in(mem, at, &after.to_ne_bytes());
    before
}

/// Copies the bytes of `from` out, as far as the shorter of both goes.
pub fn copy_out(mem: &Memory, from: &[Span], mut out: &mut [u8]) {
    for span in from {
        let len = span.len().min(out.len());
        let (now, later) = out.split_at_mut(len);
        mem.read(span.first(len), now);
        out = later;
    }
}

/// Copies `bytes` over those of `to`, as far as the shorter of both goes.
pub fn copy_in(mem: &mut Memory, to: &[Span], mut bytes: &[u8]) {
    for span in to {
        let (now, later) = bytes.split_at(span.len().min(bytes.len()));
        mem.write(*span, now);
        bytes = later;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Key, Registration, WindowKind};
    use stdx::mem::{Kind, MemoryLimits};
    use stdx::slab::Slab;

    struct World {
        regions: Regions,
        pd: PdId,
        other: PdId,
        span: Span,
    }

    fn world() -> World {
        let mut pds = Slab::new(2);
        let (pd, other) = (PdId(pds.insert(()).unwrap()), PdId(pds.insert(()).unwrap()));
        let mut memory = Memory::new(MemoryLimits { buffer_bytes: 1 << 20 }).unwrap();
        let region = memory.map(Kind::Shared, 8192).unwrap();
        World { regions: Regions::new(8, 4), pd, other, span: memory.whole(region) }
    }

    const RW: Access = Access::LOCAL_WRITE;

    #[test]
    fn a_region_of_pieces_is_one_run_of_addresses() {
        let mut world = world();
        let pieces =
            [world.span.slice(100, 10), Span::EMPTY, world.span.slice(0, 5), world.span.slice(50, 7)];
        let registration = Registration { pieces: &pieces, address: 1000, access: RW };
        let region = world.regions.register(world.pd, &registration, 1).unwrap();
        assert_eq!(region.len, 22);
        let mut spans = Vec::new();
        let sge = region.sge(8, 10);
        assert_eq!(world.regions.local(world.pd, sge, RW, &mut spans), Ok(()));
        assert_eq!(spans, [world.span.slice(108, 2), world.span.slice(0, 5), world.span.slice(50, 3)]);
        for (offset, len) in [(22, 1), (13, 10), (u64::MAX, 1), (23, 0)] {
            let sge = region.sge(offset, len);
            assert_eq!(world.regions.local(world.pd, sge, RW, &mut spans), Err(Denied), "{offset}+{len}");
        }
        assert_eq!(world.regions.local(world.pd, region.sge(22, 0), RW, &mut spans), Ok(()));
    }

    #[test]
    fn keys_domains_and_rights_are_looked_at() {
        let mut world = world();
        let registration = Registration { pieces: &[world.span], address: 0, access: Access::REMOTE_READ };
        let region = world.regions.register(world.pd, &registration, 1).unwrap();
        let mut spans = Vec::new();
        let sge = region.sge(0, 1);
        assert_eq!(world.regions.local(world.pd, sge, Access::NONE, &mut spans), Ok(()));
        assert_eq!(world.regions.local(world.pd, sge, RW, &mut spans), Err(Denied));
        assert_eq!(world.regions.local(world.other, sge, Access::NONE, &mut spans), Err(Denied));
        let stale = Sge { key: region.key.with_life(2), ..sge };
        assert_eq!(world.regions.local(world.pd, stale, Access::NONE, &mut spans), Err(Denied));
        let nothing = Sge { key: Key(0), ..sge };
        assert_eq!(world.regions.local(world.pd, nothing, Access::NONE, &mut spans), Err(Denied));
        assert_eq!(world.regions.remove(region.key), Some(true));
        assert_eq!(world.regions.local(world.pd, sge, Access::NONE, &mut spans), Err(Denied));
        let again = world.regions.register(world.pd, &registration, 1).unwrap();
        assert_ne!(again.key, region.key);
    }

    #[test]
    fn rights_that_need_others_are_refused() {
        let mut world = world();
        let registration = Registration { pieces: &[world.span], address: 0, access: Access::REMOTE_WRITE };
        assert!(world.regions.register(world.pd, &registration, 1).is_err());
        let registration = Registration { pieces: &[world.span], address: u64::MAX - 10, access: RW };
        assert!(world.regions.register(world.pd, &registration, 1).is_err());
        assert!(world.regions.alloc_region(world.pd, 5, 0).is_err());
    }

    #[test]
    fn a_list_is_cut_where_asked() {
        let mut world = world();
        let registration = Registration { pieces: &[world.span], address: 0, access: RW };
        let region = world.regions.register(world.pd, &registration, 1).unwrap();
        let list = [region.sge(0, 10), region.sge(100, 0), region.sge(200, 10)];
        let mut spans = Vec::new();
        assert_eq!(world.regions.gather(world.pd, &list, 5, 10, RW, &mut spans), Ok(()));
        assert_eq!(spans, [world.span.slice(5, 5), world.span.slice(200, 5)]);
        assert_eq!(world.regions.gather(world.pd, &list, 11, 10, RW, &mut spans), Err(Denied));
        assert_eq!(world.regions.gather(world.pd, &list, 20, 0, RW, &mut spans), Ok(()));
    }

    #[test]
    fn a_list_of_our_own_is_cut_where_asked() {
        let span = world().span;
        let list = [span.first(10), Span::EMPTY, span.slice(200, 10)];
        let cut = |offset, len| {
            let mut spans = Vec::new();
            cut(&list, offset, len, &mut spans).map(|()| spans)
        };
        assert_eq!(cut(5, 10), Ok(vec![span.slice(5, 5), span.slice(200, 5)]));
        assert_eq!(cut(10, 10), Ok(vec![span.slice(200, 10)]));
        assert_eq!(cut(20, 0), Ok(vec![]));
        assert_eq!((cut(11, 10), cut(25, 1)), (Err(Denied), Err(Denied)));
    }

    #[test]
    fn a_window_keeps_its_region() {
        let mut world = world();
        let mut qps = Slab::new(2);
        let (qp, stranger) = (crate::QpId(qps.insert(()).unwrap()), crate::QpId(qps.insert(()).unwrap()));
        let access = RW.with(Access::WINDOW_BIND);
        let registration = Registration { pieces: &[world.span], address: 0, access };
        let region = world.regions.register(world.pd, &registration, 1).unwrap();
        let window = world.regions.alloc_window(world.pd, WindowKind::QueuePair, 0).unwrap().with_life(9);
        let regions = &mut world.regions;
        assert_eq!(regions.bind(world.pd, qp, window, region.sge(100, 50), Access::REMOTE_WRITE), Ok(()));
        let mut spans = Vec::new();
        let mut reach = |regions: &Regions, qp, offset, len, needed| {
            let wanted = Sge { key: window, address: offset, len };
            regions.remote(world.pd, qp, wanted, needed, &mut spans)
        };
        assert_eq!(reach(regions, qp, 100, 50, Access::REMOTE_WRITE), Ok(()));
        assert_eq!(reach(regions, qp, 99, 1, Access::REMOTE_WRITE), Err(Denied));
        assert_eq!(reach(regions, qp, 149, 2, Access::REMOTE_WRITE), Err(Denied));
        assert_eq!(reach(regions, qp, 100, 1, Access::REMOTE_READ), Err(Denied));
        assert_eq!(reach(regions, stranger, 100, 1, Access::REMOTE_WRITE), Err(Denied));
        assert_eq!(regions.remove(region.key), Some(false), "a window is bound to it");
        assert_eq!(regions.invalidate_by_peer(world.pd, stranger, window), Err(Denied));
        assert_eq!(regions.invalidate_by_peer(world.pd, qp, window), Ok(()));
        assert_eq!(reach(regions, qp, 100, 50, Access::REMOTE_WRITE), Err(Denied));
        assert_eq!(regions.remove(region.key), Some(true));
    }

    #[test]
    fn a_region_lives_again_under_another_key() {
        let mut world = world();
        let key = world.regions.alloc_region(world.pd, 2, 7).unwrap();
        let regions = &mut world.regions;
        let mut spans = Vec::new();
        let sge = |key| Sge { key, address: 64, len: 1 };
        assert_eq!(regions.local(world.pd, sge(key), RW, &mut spans), Err(Denied), "it has no memory yet");
        let next = key.with_life(8);
        assert_eq!(regions.register_by_work(world.pd, next, &[world.span], 64, RW), Ok(()));
        assert_eq!(regions.local(world.pd, sge(key), RW, &mut spans), Err(Denied));
        assert_eq!(regions.local(world.pd, sge(next), RW, &mut spans), Ok(()));
        assert_eq!(regions.register_by_work(world.pd, next, &[world.span], 64, RW), Err(Denied));
        assert_eq!(regions.invalidate(world.other, next), Err(Denied));
        assert_eq!(regions.invalidate(world.pd, next), Ok(()));
        assert_eq!(regions.invalidate(world.pd, next), Err(Denied));
        let three = [world.span; 3];
        assert_eq!(regions.register_by_work(world.pd, key, &three, 0, RW), Err(Denied));
    }
}
