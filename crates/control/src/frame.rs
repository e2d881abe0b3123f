//! Where one JSON value ends and the next begins, on a byte stream that has no framing.
//!
//! SPDK's clients write objects back to back, pretty-printed or not, with or without white space between them, and the
//! stream cuts them anywhere. The [`Framer`] finds the end of the first complete object or array by counting
//! brackets outside strings; it looks at every byte once, however small the pieces are. It is not a parser: what it hands
//! out has balanced brackets, and may still be no JSON.
//!
//! Invariants: never more than [`Limits::bytes_max`] bytes are held; an error is final, since a stream that is once out of
//! step has no place to resume.

use std::ops::Range;

/// What one client may make the server hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Size of one request or batch, in bytes.
    pub bytes_max: usize,
    /// Nesting of arrays and objects.
    pub depth_max: usize,
    /// Members and elements of one request or batch, at all depths: what decides the memory that parsing takes.
    pub values_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes_max: 256 << 10, depth_max: 32, values_max: 16 << 10 }
    }
}

/// Why the stream can no longer be cut into values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A byte that begins neither an object nor an array stands between values.
    #[error("neither an object nor an array")]
    NotAContainer,
    /// A bracket closes what was not opened.
    #[error("unbalanced brackets")]
    Unbalanced,
    /// More nesting than [`Limits::depth_max`].
    #[error("nested too deep")]
    TooDeep,
    /// The value does not end within [`Limits::bytes_max`] or [`Limits::values_max`].
    #[error("request too large")]
    TooLarge,
}

/// Cuts a stream of bytes into JSON objects and arrays.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    held: Vec<u8>,
    /// Bytes of `held` that have been handed out.
    start: usize,
    /// Bytes of `held` that have been looked at.
    scanned: usize,
    /// The closing bracket each open one waits for.
    open: Vec<u8>,
    /// Commas and opening brackets so far: no more values than that, and one.
    values: usize,
    text: Text,
}

/// Whether the scan stands inside a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    Outside,
    Inside,
    AfterBackslash,
}

impl Framer {
    /// An empty framer.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            held: Vec::new(),
            start: 0,
            scanned: 0,
            open: Vec::new(),
            values: 0,
            text: Text::Outside,
        }
    }

    /// Appends bytes from the stream. Call [`Framer::next_value`] until it answers `None` before reading more: that keeps
    /// what is held within the limit plus one read.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.held.drain(..self.start);
            self.scanned -= self.start;
            self.start = 0;
        }
        self.held.extend_from_slice(bytes);
    }

    /// The next complete value, if all of it has arrived.
    pub fn next_value(&mut self) -> Result<Option<&[u8]>, FrameError> {
        match self.scan()? {
            Some(range) => {
                self.start = range.end;
                Ok(Some(&self.held[range]))
            }
            None => Ok(None),
        }
    }

    /// Whether a value has begun and not ended.
    pub fn is_partial(&self) -> bool {
        !self.open.is_empty()
    }

    fn scan(&mut self) -> Result<Option<Range<usize>>, FrameError> {
        while let Some(&byte) = self.held.get(self.scanned) {
            self.scanned += 1;
            if self.scanned - self.start > self.limits.bytes_max {
                return Err(FrameError::TooLarge);
            }
            match self.text {
                Text::AfterBackslash => self.text = Text::Inside,
                Text::Inside => match byte {
                    b'"' => self.text = Text::Outside,
                    b'\\' => self.text = Text::AfterBackslash,
                    _ => {}
                },
                Text::Outside => {
                    if self.bracket(byte)? {
                        return Ok(Some(self.start..self.scanned));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Takes one byte outside strings; true if it closes the value.
    fn bracket(&mut self, byte: u8) -> Result<bool, FrameError> {
        match byte {
            b'{' | b'[' => {
                if self.open.len() == self.limits.depth_max {
                    return Err(FrameError::TooDeep);
                }
                if self.open.is_empty() {
                    self.values = 0;
                }
                self.count()?;
                self.open.push(if byte == b'{' { b'}' } else { b']' });
            }
            b'}' | b']' => {
                if self.open.pop() != Some(byte) {
                    return Err(FrameError::Unbalanced);
                }
                return Ok(self.open.is_empty());
            }
            b' ' | b'\t' | b'\r' | b'\n' if self.open.is_empty() => self.start = self.scanned,
            _ if self.open.is_empty() => return Err(FrameError::NotAContainer),
            b'"' => self.text = Text::Inside,
            b',' => self.count()?,
            _ => {}
        }
        Ok(false)
    }

    fn count(&mut self) -> Result<(), FrameError> {
        self.values += 1;
        if self.values > self.limits.values_max { Err(FrameError::TooLarge) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(framer: &mut Framer) -> Vec<String> {
        let mut values = Vec::new();
        while let Some(value) = framer.next_value().expect("a well-formed stream") {
            values.push(String::from_utf8(value.to_vec()).expect("UTF-8"));
        }
        values
    }

    #[test]
    fn values_are_found_wherever_the_stream_is_cut() {
        let stream = " {\"a\": \"}{\\\"]\"}[{},\n[1]]{\"b\":\r\n {}}\n\n";
        let expected = ["{\"a\": \"}{\\\"]\"}", "[{},\n[1]]", "{\"b\":\r\n {}}"];
        for cut in 0..stream.len() {
            let mut framer = Framer::new(Limits::default());
            framer.push(&stream.as_bytes()[..cut]);
            let mut values = all(&mut framer);
            framer.push(&stream.as_bytes()[cut..]);
            values.extend(all(&mut framer));
            assert_eq!(values, expected, "cut at {cut}");
            assert!(!framer.is_partial());
        }
    }

    #[test]
    fn one_byte_at_a_time_is_the_same() {
        let stream = b"{\"a\":[\"\\\\\"]} [ ] ";
        let mut framer = Framer::new(Limits::default());
        let mut values = Vec::new();
        for byte in stream {
            framer.push(&[*byte]);
            values.extend(all(&mut framer));
        }
        assert_eq!(values, ["{\"a\":[\"\\\\\"]}", "[ ]"]);
        assert!(framer.held.len() <= 1, "what was handed out is not kept");
    }

    #[test]
    fn limits_hold() {
        let limits = Limits { bytes_max: 9, depth_max: 2, values_max: 4 };
        let error = |bytes: &[u8]| {
            let mut framer = Framer::new(limits);
            framer.push(bytes);
            framer.next_value().map(|value| value.map(<[u8]>::to_vec))
        };
        assert_eq!(error(b"[[12345]]"), Ok(Some(b"[[12345]]".to_vec())));
        assert_eq!(error(b"[[123456]]"), Err(FrameError::TooLarge));
        assert_eq!(error(b"[\"aaaaaaaaa"), Err(FrameError::TooLarge));
        assert_eq!(error(b"[1,2,3,4]"), Ok(Some(b"[1,2,3,4]".to_vec())));
        assert_eq!(error(b"[,,,,"), Err(FrameError::TooLarge));
        assert_eq!(error(b"[[["), Err(FrameError::TooDeep));
        assert_eq!(error(b"[}"), Err(FrameError::Unbalanced));
        assert_eq!(error(b" GET / HTTP/1.1"), Err(FrameError::NotAContainer));
        assert_eq!(error(b"         [1]"), Ok(Some(b"[1]".to_vec())), "white space between values is free");
    }
}
