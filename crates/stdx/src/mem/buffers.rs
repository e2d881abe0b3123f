//! Which pieces of a buffer region are free: power-of-two classes, each its own run of the region, lowest first, so that
//! memory is touched only as far as the load needs.

use super::{RegionId, Span};

/// The free lists. Holds no memory, only offsets.
#[derive(Debug)]
pub(super) struct Buffers {
    region: RegionId,
    classes: Vec<Class>,
    /// The least that was asked for in vain since a buffer as large came back.
    missed: Option<usize>,
    /// One came back that had been asked for in vain.
    relieved: bool,
}

#[derive(Debug)]
struct Class {
    size: u32,
    start: u64,
    count: u32,
    /// Buffers that were never handed out start here.
    fresh: u32,
    free: Vec<u32>,
    taken: Vec<bool>,
}

impl Buffers {
    /// Divides `len` bytes evenly among the classes, so that each begins with a page.
    pub(super) fn new(region: RegionId, len: usize) -> Self {
        let sizes = if len >= LONG_FROM { &CLASSES[..] } else { &CLASSES[..CLASSES.len() - 1] };
        let share = len / sizes.len() / PAGE * PAGE;
        let classes = sizes.iter().enumerate().map(|(place, &size)| {
            let count = (share / size as usize) as u32;
            let start = (place * share) as u64;
            Class { size, start, count, fresh: 0, free: Vec::new(), taken: Vec::new() }
        });
        Self { region, classes: classes.collect(), missed: None, relieved: false }
    }

    /// A buffer of at least `len` bytes, its span exactly `len` long; `None` when all that are large enough are taken.
    pub(super) fn take(&mut self, len: usize) -> Option<Span> {
        let fitting = self.classes.iter_mut().filter(|class| class.size as usize >= len);
        let found = fitting.into_iter().find_map(|class| class.take().map(|index| (class, index)));
        let Some((class, index)) = found else {
            self.missed = Some(self.missed.map_or(len, |missed| missed.min(len)));
            return None;
        };
        let offset = class.start + u64::from(index) * u64::from(class.size);
        Some(Span { region: self.region, len: len as u32, offset })
    }

    /// Takes a buffer back. Panics if it is not one that is out: giving twice is a bug of the owner.
    pub(super) fn give(&mut self, span: Span) {
        assert_eq!(span.region, self.region, "not an I/O buffer");
        let class = self
            .classes
            .iter_mut()
            .rev()
            .find(|class| span.offset >= class.start)
            .expect("classes start at 0");
        let index = ((span.offset - class.start) / u64::from(class.size)) as u32;
        assert!(core::mem::take(&mut class.taken[index as usize]), "the buffer was given back before");
        class.free.push(index);
        if self.missed.take_if(|missed| *missed <= class.size as usize).is_some() {
            self.relieved = true;
        }
    }

    /// Whether a buffer has come back, since this was last asked, that had been asked for in vain.
    pub(super) const fn take_relief(&mut self) -> bool {
        core::mem::replace(&mut self.relieved, false)
    }

    /// The longest buffer there is, taken or not, in bytes.
    pub(super) fn len_max(&self) -> usize {
        self.classes
            .iter()
            .filter(|class| class.count > 0)
            .map(|class| class.size as usize)
            .max()
            .unwrap_or(0)
    }

    /// How many buffers are out.
    pub(super) fn taken(&self) -> usize {
        self.classes.iter().map(|class| class.fresh as usize - class.free.len()).sum()
    }
}

impl Class {
    fn take(&mut self) -> Option<u32> {
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.fresh < self.count => {
                self.fresh += 1;
                self.taken.push(false);
                self.fresh - 1
            }
            None => return None,
        };
        self.taken[index as usize] = true;
        Some(index)
    }
}

const PAGE: usize = 4096;

/// Buffer sizes in bytes. The last is there only where there is room for some.
const CLASSES: [u32; 6] = [4 << 10, 16 << 10, 64 << 10, 256 << 10, LARGEST, LONG];

/// A buffer for those who move more at once than volumes take, in bytes.
pub(super) const LONG: u32 = 8 << 20;

/// From so many bytes on there are long buffers.
const LONG_FROM: usize = 256 << 20;

/// The largest buffer that there always is, in bytes.
pub(super) const LARGEST: u32 = 2 << 20;
