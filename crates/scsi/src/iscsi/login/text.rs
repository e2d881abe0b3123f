//! Text: `key=value` pairs, each ended by a zero byte (RFC 7143, section 6.1).

use core::fmt::{self, Write};
use core::str;
use thiserror::Error;

/// A pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pair<'a> {
    /// Its key: 1 to 63 bytes.
    pub key: &'a str,
    /// Its value, which may be empty.
    pub value: &'a str,
}

/// Text that is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum TextError {
    /// A pair without an equals sign.
    #[error("text without an equals sign")]
    NoValue,
    /// A key that is empty, too long or no label.
    #[error("a key that is no label of 1 to 63 characters")]
    Key,
    /// A value too long for any key.
    #[error("a value of {0} bytes")]
    Value(usize),
    /// No UTF-8.
    #[error("text that is no UTF-8")]
    Encoding,
    /// More text than anybody has to say.
    #[error("more text than {0} bytes")]
    TooLong(usize),
    /// More pairs than there are keys.
    #[error("more than {max} pairs", max = PAIRS_MAX)]
    TooManyPairs,
}

/// The pairs of a whole text. Ends after the first error.
pub fn pairs(text: &[u8]) -> impl Iterator<Item = Result<Pair<'_>, TextError>> {
    let pieces = text.split(|byte| *byte == 0).filter(|piece| !piece.is_empty());
    let mut failed = false;
    pieces.enumerate().map_while(move |(index, piece)| {
        if failed {
            return None;
        }
        let pair = if index < PAIRS_MAX { pair_of(piece) } else { Err(TextError::TooManyPairs) };
        failed = pair.is_err();
        Some(pair)
    })
}

fn pair_of(piece: &[u8]) -> Result<Pair<'_>, TextError> {
    let piece = str::from_utf8(piece).map_err(|_| TextError::Encoding)?;
    let (key, value) = piece.split_once('=').ok_or(TextError::NoValue)?;
    let is_label = |byte: u8| byte.is_ascii_alphanumeric() || b".-+@_#".contains(&byte);
    if key.is_empty() || key.len() > KEY_LEN_MAX || !key.bytes().all(is_label) {
        return Err(TextError::Key);
    }
    if value.len() > VALUE_LEN_MAX {
        return Err(TextError::Value(value.len()));
    }
    Ok(Pair { key, value })
}

/// Text being written.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Text(Vec<u8>);

impl Text {
    /// Appends a pair.
    pub fn put(&mut self, key: &str, value: impl fmt::Display) {
        let mut pair = String::with_capacity(key.len() + 16);
        // Writing to a string does not fail.
        let _ = write!(pair, "{key}={value}");
        self.0.extend_from_slice(pair.as_bytes());
        self.0.push(0);
    }

    /// True if nothing was written.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// The longest key (RFC 7143, section 6.1).
const KEY_LEN_MAX: usize = 63;
/// The longest value of any key: that of binary items (section 6.1).
const VALUE_LEN_MAX: usize = 8192;
/// The most pairs in a text. There are fewer than 40 keys.
const PAIRS_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_come_back_as_written() {
        let mut text = Text::default();
        text.put("InitiatorName", "iqn.2001-04.com.example");
        text.put("InitiatorAlias", "");
        text.put("X-com.example.a", "b=c");
        let bytes = text.into_bytes();
        let read: Vec<_> = pairs(&bytes).map(|pair| pair.map(|pair| (pair.key, pair.value))).collect();
        let name = ("InitiatorName", "iqn.2001-04.com.example");
        assert_eq!(read, [Ok(name), Ok(("InitiatorAlias", "")), Ok(("X-com.example.a", "b=c"))]);
    }

    #[test]
    fn what_is_no_pair_is_told_and_ends_the_text() {
        let long_key = [b"K".repeat(64), b"=v".to_vec()].concat();
        let long_value = [b"K=".to_vec(), b"v".repeat(8193)].concat();
        let cases: [(&[u8], TextError); 5] = [
            (b"Key\0A=B\0", TextError::NoValue),
            (b"=v\0A=B\0", TextError::Key),
            (b"K=\xff\0A=B\0", TextError::Encoding),
            (&long_key, TextError::Key),
            (&long_value, TextError::Value(8193)),
        ];
        for (bytes, error) in cases {
            assert_eq!(pairs(bytes).collect::<Vec<_>>(), [Err(error)]);
        }
        assert_eq!(pairs(&b"A=B\0".repeat(PAIRS_MAX + 1)).last(), Some(Err(TextError::TooManyPairs)));
    }
}
