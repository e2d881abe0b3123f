//! Cuts the stream of bytes into PDUs: gathers headers, checks their digests, and lands data where it belongs.
//!
//! What it is not: it knows neither tasks nor states. Its owner tells it by [`HeaderRules`] what may come, is given each
//! header once it is whole, and answers with an [`Incoming`]: where the PDU's data goes.
//!
//! Invariant: what it tells does not depend on where the stream was cut.

use crc32c::{crc32c, crc32c_append};
use stdx::mem::{Memory, Span};
use stdx::planted::{Bug, planted};
use wire::iscsi::{BHS_LEN, Bhs, DIGEST_LEN, HEADER_SPAN_MAX, HeaderError, HeaderRules, PduLayout};

/// The cutter of one connection.
#[derive(Debug)]
pub(super) struct Framer {
    rules: HeaderRules,
    /// The header being gathered, with its digest.
    header: Box<[u8; HEADER_SPAN_MAX]>,
    have: usize,
    incoming: Option<Incoming>,
}

/// What the next bytes were.
#[derive(Debug)]
pub(super) enum Piece {
    /// All bytes are used up, and more are needed.
    Need,
    /// A header is whole. It counts as taken once [`Framer::accept`] is called; until then it is told again. The error is
    /// one after which the PDU can be passed over.
    Header(PduLayout, Result<(), HeaderError>),
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
pub(super) struct Incoming {
    /// Who is waiting for it.
    owner: Landing,
    /// Bytes of data that have come, and that there are, without padding.
    position: usize,
    len: usize,
    /// Where the data goes; what does not fit is dropped.
    window: Span,
    /// Bytes of padding that have not come yet.
    padding: usize,
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
pub(super) enum Landing {
    /// Nobody: it is not wanted.
    Nobody,
    /// The PDU itself, which is no command of SCSI: text, ping.
    Pdu,
    /// The task in this slot.
    Task(u32),
}

impl Framer {
    /// A framer that awaits a first PDU.
    pub(super) fn new(rules: HeaderRules) -> Self {
        Self { rules, header: Box::new([0; HEADER_SPAN_MAX]), have: 0, incoming: None }
    }

    /// What may come from here on.
    pub(super) const fn set_rules(&mut self, rules: HeaderRules) {
        self.rules = rules;
    }

    /// The basic header of the PDU that was told last.
    pub(super) fn bhs(&self) -> Bhs {
        *Bhs::view(&self.header[..BHS_LEN]).expect("as long as it is")
    }

    /// Its additional headers.
    pub(super) fn additional(&self, layout: &PduLayout) -> &[u8] {
        &self.header[BHS_LEN..layout.header_len()]
    }

    /// Where the next bytes can land without a copy, if they are data and many.
    pub(super) fn direct(&self) -> Option<Span> {
        let incoming = self.incoming.as_ref()?;
        let left = incoming.window.len().checked_sub(incoming.position)?;
        (left >= DIRECT_BYTES_MIN).then(|| incoming.window.from(incoming.position))
    }

    /// `len` bytes have landed at the start of what [`Framer::direct`] gave.
    pub(super) fn handle_direct(&mut self, memory: &Memory, len: usize) {
        let Some(incoming) = &mut self.incoming else { return };
        let landed = incoming.window.slice(incoming.position, len);
        if let Some(digest) = &mut incoming.digest {
            digest.computed = memory.crc32c(digest.computed, landed);
        }
        incoming.position += len;
    }

    /// A task is gone, or only its buffer (`keeps_waiting`): what of its data is still coming is not kept.
    pub(super) fn forget(&mut self, slot: u32, keeps_waiting: bool) {
        if let Some(incoming) = &mut self.incoming
            && incoming.owner == Landing::Task(slot)
        {
            incoming.window = Span::EMPTY;
            if !keeps_waiting {
                incoming.owner = Landing::Nobody;
            }
        }
    }

    /// Takes bytes; says what they made whole, and how many were used. An error ends the connection.
    pub(super) fn advance(
        &mut self,
        memory: &mut Memory,
        bytes: Span,
    ) -> Result<(Piece, usize), HeaderError> {
        let Some(incoming) = &mut self.incoming else { return self.gather_header(memory, bytes) };
        let used = incoming.take(memory, bytes);
        if !incoming.is_complete() {
            return Ok((Piece::Need, used));
        }
        let piece = Piece::Data { owner: incoming.owner, intact: incoming.is_intact() };
        self.incoming = None;
        Ok((piece, used))
    }

    fn gather_header(&mut self, memory: &Memory, bytes: Span) -> Result<(Piece, usize), HeaderError> {
        let mut used = self.gather(memory, bytes, BHS_LEN);
        if self.have < BHS_LEN {
            return Ok((Piece::Need, used));
        }
        let bhs = self.bhs();
        let checked = bhs.check(&self.rules);
        let layout = match checked {
            Ok(layout) => layout,
            Err(error) if error.is_fatal() => return Err(error),
            Err(_) => bhs.skip(&self.rules),
        };
        used += self.gather(memory, bytes.from(used), layout.header_span());
        if self.have < layout.header_span() {
            return Ok((Piece::Need, used));
        }
        let computed = if layout.header_digest { crc32c(&self.header[..layout.header_len()]) } else { 0 };
        layout.verify_header(&self.header[..layout.header_span()], computed)?;
        Ok((Piece::Header(layout, checked.map(|_| ())), used))
    }

    /// Gathers until `wanted` bytes of the header are here; says how many that took.
    fn gather(&mut self, memory: &Memory, bytes: Span, wanted: usize) -> usize {
        let take = wanted.saturating_sub(self.have).min(bytes.len());
        memory.read(bytes.first(take), &mut self.header[self.have..self.have + take]);
        self.have += take;
        take
    }

    /// The bytes given so far were a message, which needs no padding behind its data.
    pub(super) const fn end_message(&mut self) {
        if let Some(incoming) = &mut self.incoming {
            incoming.padding = 0;
        }
    }

    /// Takes back where the data goes, for whoever was told in between.
    pub(super) fn take_incoming(&mut self) -> Option<Incoming> {
        self.incoming.take()
    }

    /// The told header was taken. `incoming` is where its data goes, if it has any.
    pub(super) fn accept(&mut self, incoming: Option<Incoming>) {
        self.have = 0;
        self.incoming = incoming;
    }
}

impl Incoming {
    /// The data of a PDU, of which the front goes to `window`. `None` if there is none.
    pub(super) fn new(layout: &PduLayout, owner: Landing, window: Span) -> Option<Self> {
        (layout.data_len > 0).then(|| Self {
            owner,
            position: 0,
            len: layout.data_len as usize,
            window: window.first(window.len().min(layout.data_len as usize)),
            padding: layout.padding_len(),
            digest: layout.data_digest.then(Digest::default),
        })
    }

    /// The data of a PDU that nobody wants.
    pub(super) fn unwanted(layout: &PduLayout) -> Option<Self> {
        Self::new(layout, Landing::Nobody, Span::EMPTY)
    }

    fn is_complete(&self) -> bool {
        self.position == self.len
            && self.padding == 0
            && self.digest.as_ref().is_none_or(|digest| digest.have == DIGEST_LEN)
    }

    fn is_intact(&self) -> bool {
        let matches = |digest: &Digest| u32::from_le_bytes(digest.bytes) == digest.computed;
        self.digest.as_ref().is_none_or(matches) || planted(Bug::DigestUnchecked)
    }

    /// Takes bytes: data, padding, digest. Says how many.
    fn take(&mut self, memory: &mut Memory, bytes: Span) -> usize {
        let data = bytes.first(bytes.len().min(self.len - self.position));
        self.land(memory, data);
        let mut used = data.len();
        if self.position < self.len {
            return used;
        }
        let padding = self.padding.min(bytes.len() - used);
        if let Some(digest) = &mut self.digest
            && padding > 0
        {
            let mut pad = [0; 3];
            memory.read(bytes.slice(used, padding), &mut pad[..padding]);
            digest.computed = crc32c_append(digest.computed, &pad[..padding]);
        }
        self.padding -= padding;
        used += padding;
        match &mut self.digest {
            Some(digest) if self.padding == 0 => used + digest.gather(memory, bytes.from(used)),
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
        let wanted = self.window.len().saturating_sub(self.position).min(data.len());
        if wanted > 0 {
            memory.copy(self.window.slice(self.position, wanted), data.first(wanted));
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

/// From how many bytes on data lands by a receive of its own.
const DIRECT_BYTES_MIN: usize = 4096;
