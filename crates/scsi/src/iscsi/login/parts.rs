//! Text longer than a PDU: cut on the one end, put together on the other (RFC 7143, section 6.2: the C bit).

use super::text::TextError;

/// Text that comes in.
#[derive(Debug)]
pub struct Gathering {
    bytes: Vec<u8>,
    len_max: usize,
}

impl Gathering {
    /// At most `len_max` bytes.
    pub fn new(len_max: usize) -> Self {
        Self { bytes: Vec::new(), len_max }
    }

    /// Takes the text of a PDU. Gives the whole text with the last of it (`more` is not set); `None` before.
    pub fn add(&mut self, part: &[u8], more: bool) -> Result<Option<Vec<u8>>, TextError> {
        if self.bytes.len() + part.len() > self.len_max {
            self.bytes = Vec::new();
            return Err(TextError::TooLong(self.len_max));
        }
        self.bytes.extend_from_slice(part);
        Ok((!more).then(|| core::mem::take(&mut self.bytes)))
    }
}

/// Text that goes out.
#[derive(Default)]
pub struct Outgoing {
    bytes: Vec<u8>,
    at: usize,
}

impl Outgoing {
    /// All of a text.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, at: 0 }
    }

    /// True if all was taken.
    pub fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// The next part, of at most `len_max` bytes, and whether more remains.
    pub fn next(&mut self, len_max: usize) -> (Vec<u8>, bool) {
        let end = self.bytes.len().min(self.at + len_max.max(1));
        let part = self.bytes[self.at..end].to_vec();
        self.at = end;
        (part, !self.is_empty())
    }
}

/// The most text one end says before the other may answer.
pub(super) const TEXT_LEN_MAX: usize = 16 * 1024;
/// Data of a login PDU: the default of MaxRecvDataSegmentLength, which holds throughout the login (section 13.12).
pub(super) const PART_LEN_MAX: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_text_is_put_together() {
        let whole: Vec<u8> = (0..=255).cycle().take(1000).collect();
        for len_max in [1, 7, 999, 1000, 5000] {
            let mut out = Outgoing::new(whole.clone());
            let mut gathering = Gathering::new(1000);
            let read = loop {
                let (part, more) = out.next(len_max);
                if let Some(read) = gathering.add(&part, more).unwrap() {
                    break read;
                }
            };
            assert_eq!(read, whole);
            assert!(out.is_empty());
        }
    }

    #[test]
    fn text_without_end_ends() {
        let mut gathering = Gathering::new(100);
        assert_eq!(gathering.add(&[b'x'; 60], true), Ok(None));
        assert_eq!(gathering.add(&[b'x'; 60], true), Err(TextError::TooLong(100)));
    }
}
