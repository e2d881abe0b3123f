//! Cuts the stream of bytes into PDUs: gathers headers, checks them, and lands data where it belongs.
//!
//! What it is not: it knows neither commands nor states. Its owner tells it by [`HeaderRules`] what may come, is given
//! each header once it is whole, and answers with an [`Incoming`]: where the PDU's data goes.
//!
//! Invariant: what it tells does not depend on where the stream was cut.

use crc32c::crc32c;
use stdx::mem::{Memory, Span};
use wire::nvme::tcp::{CommonHeader, DIGEST_LEN, HeaderError, HeaderField, HeaderRules, PduLayout};

/// The cutter of one connection.
#[derive(Debug)]
pub(crate) struct Framer {
    rules: HeaderRules,
    /// The header being gathered, with its digest.
    header: [u8; HEADER_BYTES],
    have: usize,
    incoming: Option<Incoming>,
}

/// What the next bytes were.
#[derive(Debug)]
pub(crate) enum Piece {
    /// All bytes are used up, and more are needed.
    Need,
    /// A header is whole and right. It counts as taken once [`Framer::accept`] is called; until then it is told again.
    Header(PduLayout),
    /// All data of the PDU has landed.
    Data {
        /// As told in [`Incoming`].
        owner: Landing,
        /// Whether the data matches its digest, if it has one.
        intact: bool,
    },
}

/// The data of the PDU that is being received.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// Who is waiting for it.
    owner: Landing,
    /// Bytes between the header and the data that have not come yet.
    padding: usize,
    /// Bytes of data that have come, and that there are.
    position: usize,
    len: usize,
    /// Where the wanted part of the data begins in it, and where it goes.
    window_start: usize,
    window: Span,
    digest: Option<Digest>,
}

/// A data digest being computed and gathered.
#[derive(Debug, Default)]
struct Digest {
    computed: u32,
    bytes: [u8; DIGEST_LEN],
    have: usize,
}

/// Who is waiting for data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Landing {
    /// Nobody: it is not wanted.
    Nobody,
    /// The Connect command.
    Connect,
    /// The command in this slot.
    Slot(u16),
}

impl Framer {
    /// A framer that awaits a first PDU.
    pub(crate) const fn new(rules: HeaderRules) -> Self {
        Self { rules, header: [0; HEADER_BYTES], have: 0, incoming: None }
    }

    /// What may come from here on.
    pub(crate) const fn set_rules(&mut self, rules: HeaderRules) {
        self.rules = rules;
    }

    /// What may come now.
    pub(crate) const fn rules(&self) -> &HeaderRules {
        &self.rules
    }

    /// The header that was told last, without its digest.
    pub(crate) fn header(&self, layout: &PduLayout) -> &[u8] {
        &self.header[..usize::from(layout.header_len)]
    }

    /// Where the next bytes can land without a copy, if they are data and many.
    pub(crate) fn direct(&self) -> Option<Span> {
        let incoming = self.incoming.as_ref().filter(|incoming| incoming.padding == 0)?;
        let done = incoming.position.checked_sub(incoming.window_start)?;
        let left = incoming.window.len().checked_sub(done)?;
        (left >= DIRECT_BYTES_MIN).then(|| incoming.window.from(done))
    }

    /// `len` bytes have landed at the start of what [`Framer::direct`] gave.
    pub(crate) fn handle_direct(&mut self, memory: &Memory, len: usize) {
        let Some(incoming) = &mut self.incoming else { return };
        let landed = incoming.window.slice(incoming.position - incoming.window_start, len);
        if let Some(digest) = &mut incoming.digest {
            digest.computed = memory.crc32c(digest.computed, landed);
        }
        incoming.position += len;
    }

    /// Takes bytes; says what they made whole, and how many were used.
    pub(crate) fn advance(&mut self, memory: &mut Memory, bytes: Span) -> Result<(Piece, usize), BadHeader> {
        let Some(incoming) = &mut self.incoming else { return self.gather_header(memory, bytes) };
        let used = incoming.take(memory, bytes);
        if !incoming.is_complete() {
            return Ok((Piece::Need, used));
        }
        let piece = Piece::Data { owner: incoming.owner, intact: incoming.is_intact() };
        self.incoming = None;
        Ok((piece, used))
    }

    fn gather_header(&mut self, memory: &Memory, bytes: Span) -> Result<(Piece, usize), BadHeader> {
        let mut used = self.gather(memory, bytes, CommonHeader::LEN);
        if self.have < CommonHeader::LEN {
            return Ok((Piece::Need, used));
        }
        let layout = self.check_common().map_err(|error| BadHeader { error, len: CommonHeader::LEN })?;
        let span = layout.header_span() as usize;
        used += self.gather(memory, bytes.from(used), span);
        if self.have < span {
            return Ok((Piece::Need, used));
        }
        let len = usize::from(layout.header_len);
        let computed = if layout.header_digest { crc32c(&self.header[..len]) } else { 0 };
        match layout.verify_header(&self.header[..span], computed) {
            Ok(()) => Ok((Piece::Header(layout), used)),
            Err(error) => Err(BadHeader { error, len }),
        }
    }

    fn check_common(&self) -> Result<PduLayout, HeaderError> {
        match CommonHeader::view(&self.header) {
            Ok(common) => common.check(&self.rules),
            Err(_) => Err(HeaderError::InvalidField(HeaderField::HeaderLength)),
        }
    }

    /// Gathers until `wanted` bytes of the header are here; says how many that took.
    fn gather(&mut self, memory: &Memory, bytes: Span, wanted: usize) -> usize {
        let take = wanted.saturating_sub(self.have).min(bytes.len());
        memory.read(bytes.first(take), &mut self.header[self.have..self.have + take]);
        self.have += take;
        take
    }

    /// The bytes that a terminate request for this error shows: what of the header is sure to have come.
    pub(crate) fn offending(&self, bad: &BadHeader) -> &[u8] {
        &self.header[..bad.len]
    }

    /// The told header was taken. `incoming` is where its data goes, if it has any.
    pub(crate) fn accept(&mut self, incoming: Option<Incoming>) {
        self.have = 0;
        self.incoming = incoming;
    }
}

/// A header that ends the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BadHeader {
    /// What is wrong with it.
    pub error: HeaderError,
    /// Bytes of it that are known.
    pub len: usize,
}

impl Incoming {
    /// The data of a PDU, of which `window` bytes from `window_start` on are wanted. `None` if there is none.
    pub(crate) fn new(layout: &PduLayout, owner: Landing, window_start: usize, window: Span) -> Option<Self> {
        (layout.data_len > 0).then(|| Self {
            owner,
            padding: layout.padding_len() as usize,
            position: 0,
            len: layout.data_len as usize,
            window_start,
            window,
            digest: layout.data_digest.then(Digest::default),
        })
    }

    /// The data of a PDU that nobody wants.
    pub(crate) fn unwanted(layout: &PduLayout) -> Option<Self> {
        Self::new(layout, Landing::Nobody, 0, Span::EMPTY)
    }

    fn is_complete(&self) -> bool {
        self.position == self.len && self.digest.as_ref().is_none_or(|digest| digest.have == DIGEST_LEN)
    }

    fn is_intact(&self) -> bool {
        self.digest.as_ref().is_none_or(|digest| u32::from_le_bytes(digest.bytes) == digest.computed)
    }

    /// Takes bytes: padding, data, digest. Says how many.
    fn take(&mut self, memory: &mut Memory, bytes: Span) -> usize {
        let padding = self.padding.min(bytes.len());
        self.padding -= padding;
        let data = bytes.from(padding);
        let data = data.first(data.len().min(self.len - self.position));
        self.land(memory, data);
        let used = padding + data.len();
        match &mut self.digest {
            Some(digest) if self.position == self.len => used + digest.gather(memory, bytes.from(used)),
            _ => used,
        }
    }

    /// Copies the part of `data` that falls into the window.
    fn land(&mut self, memory: &mut Memory, data: Span) {
        if data.is_empty() {
            return;
        }
        if let Some(digest) = &mut self.digest {
            digest.computed = memory.crc32c(digest.computed, data);
        }
        let start = self.window_start.max(self.position);
        let end = (self.window_start + self.window.len()).min(self.position + data.len());
        if start < end {
            let from = data.slice(start - self.position, end - start);
            memory.copy(self.window.from(start - self.window_start), from);
        }
        self.position += data.len();
    }
}

impl Digest {
    fn gather(&mut self, memory: &Memory, bytes: Span) -> usize {
        let take = (DIGEST_LEN - self.have).min(bytes.len());
        memory.read(bytes.first(take), &mut self.bytes[self.have..self.have + take]);
        self.have += take;
        take
    }
}

/// The longest header (128 bytes, without digest; the longest with one is shorter).
const HEADER_BYTES: usize = 128;

/// From how many bytes on data lands by a receive of its own.
const DIRECT_BYTES_MIN: usize = 4096;
