//! The command identifiers of a queue that are in use (Base 3.3.2).

/// Which of the 65,536 command identifiers are in use: a bit each, in pages made as hosts use them (Linux puts a
/// generation number into the top four bits, so a few pages see all the use).
#[derive(Debug, Default)]
pub(super) struct IdentifierSet {
    pages: Vec<Option<Box<[u64; PAGE_WORDS]>>>,
}

impl IdentifierSet {
    /// Whether an identifier is in use.
    pub(super) fn contains(&self, id: u16) -> bool {
        let (page, word, bit) = place(id);
        matches!(self.pages.get(page), Some(Some(words)) if words[word] & bit != 0)
    }

    /// It is in use now.
    pub(super) fn insert(&mut self, id: u16) {
        let (page, word, bit) = place(id);
        if self.pages.len() <= page {
            self.pages.resize_with(PAGES, || None);
        }
        self.pages[page].get_or_insert_default()[word] |= bit;
    }

    /// It is not any more.
    pub(super) fn remove(&mut self, id: u16) {
        let (page, word, bit) = place(id);
        if let Some(Some(words)) = self.pages.get_mut(page) {
            words[word] &= !bit;
        }
    }

    /// How many are in use.
    pub(super) fn len(&self) -> usize {
        let ones =
            |words: &[u64; PAGE_WORDS]| words.iter().map(|word| word.count_ones() as usize).sum::<usize>();
        self.pages.iter().flatten().map(|words| ones(words)).sum()
    }
}

/// Page, word in the page, bit in the word.
const fn place(id: u16) -> (usize, usize, u64) {
    let id = id as usize;
    (id / (PAGE_WORDS * 64), id / 64 % PAGE_WORDS, 1 << (id % 64))
}

const PAGE_WORDS: usize = 16;
const PAGES: usize = 65_536 / (PAGE_WORDS * 64);
