//! Bits that nobody can guess, drawn from the kernel in one call for many.

/// A buffer of the kernel's random bytes. Words handed out are wiped, so that they are in one place only.
pub(crate) struct Entropy {
    words: [u64; WORDS],
    left: usize,
}

impl Entropy {
    /// An empty buffer: the first word draws.
    pub(crate) const fn new() -> Self {
        Self { words: [0; WORDS], left: 0 }
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        if self.left == 0 {
            draw(&mut self.words);
            self.left = WORDS;
        }
        self.left -= 1;
        core::mem::take(&mut self.words[self.left])
    }
}

/// Fills `words` from getrandom(2). Up to 256 bytes come whole once the kernel's pool is ready; before that the call waits,
/// and a signal may end the wait. Without entropy nothing here could be safe, so its absence is a panic.
fn draw(words: &mut [u64; WORDS]) {
    loop {
        // SAFETY: the kernel writes at most the length given into an array of that length.
        let got = unsafe { libc::getrandom(words.as_mut_ptr().cast(), size_of_val(words), 0) };
        if got == size_of_val(words) as isize {
            return;
        }
        let error = std::io::Error::last_os_error();
        assert!(got >= 0 || error.kind() == std::io::ErrorKind::Interrupted, "getrandom: {error}");
    }
}

/// 256 bytes: the most that getrandom promises to give whole.
const WORDS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_differ_over_refills() {
        let mut entropy = Entropy::new();
        let mut words: Vec<_> = (0..WORDS * 3).map(|_| entropy.next()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), WORDS * 3);
    }
}
