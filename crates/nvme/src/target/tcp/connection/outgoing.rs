//! Encodes what the controller sends, in the form this connection agreed on, into the transmit queue.

use super::super::Context;
use crc32c::crc32c;
use stdx::gather::{HEADER_BYTES_MAX, Source, Transmit};
use stdx::mem::Span;
use wire::nvme::CompletionQueueEntry;
use wire::nvme::tcp::{
    C2hData, CapsuleResp, DIGEST_LEN, DataAlignment, Digests, FatalError, HEADER_SPAN_MAX, IcResp, PduLayout,
    R2t, Receiver, TermReq,
};

/// The sending half of a connection.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    /// What waits to be sent.
    pub transmit: Transmit,
    /// The digests that were agreed on.
    pub digests: Digests,
    /// How the host wants data aligned (HPDA).
    pub alignment: DataAlignment,
}

/// Read data on its way to the host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadData {
    /// The command it answers.
    pub command_id: u16,
    /// Where it lies; not empty.
    pub data: Span,
    /// The buffer to give back when it is sent; `None` if the memory is lent.
    pub buffer: Option<Span>,
    /// No response capsule follows.
    pub success: bool,
}

impl Outgoing {
    /// Bytes of headers that a response capsule takes.
    pub(crate) const RESPONSE_BYTES: usize = CapsuleResp::LEN + DIGEST_LEN;

    /// Bytes of headers that an R2T takes.
    pub(crate) const R2T_BYTES: usize = R2T_LEN + DIGEST_LEN;

    /// Bytes of headers that `len` bytes of read data take, response capsule included.
    pub(crate) fn read_bytes(&self, len: usize, pdu_bytes_max: u32) -> usize {
        let each = C2H_DATA_LEN + DIGEST_LEN;
        let each = each.next_multiple_of(self.alignment.bytes() as usize) + DIGEST_LEN;
        len.div_ceil(pdu_bytes_max as usize) * each + Self::RESPONSE_BYTES
    }

    /// Queues the answer to ICReq.
    pub(crate) fn initialize_response(&mut self, cx: &mut Context<'_>, response: &IcResp) {
        let mut out = [0; HEADER_SPAN_MAX];
        let len = response.encode(&mut out).expect("the longest header fits");
        self.transmit.push_header(cx.env.mem(), &mut cx.shard.blocks, &out[..len]);
    }

    /// Queues a response capsule.
    pub(crate) fn response(&mut self, cx: &mut Context<'_>, completion: &CompletionQueueEntry) {
        let mut out = [0; HEADER_SPAN_MAX];
        let layout = CapsuleResp::encode(completion, self.digests, &mut out).expect("a capsule fits");
        self.seal(cx, &layout, &mut out);
    }

    /// Queues a request for data.
    pub(crate) fn ready_to_transfer(&mut self, cx: &mut Context<'_>, request: &R2t) {
        let mut out = [0; HEADER_SPAN_MAX];
        let layout = request.encode(self.digests, &mut out).expect("a request fits");
        self.seal(cx, &layout, &mut out);
    }

    /// Queues read data, in as many PDUs as the limit asks for.
    pub(crate) fn read_data(&mut self, cx: &mut Context<'_>, read: &ReadData) {
        let step = cx.shard.limits.c2h_data_bytes_max as usize;
        let mut offset = 0;
        while offset < read.data.len() {
            let part = read.data.slice(offset, step.min(read.data.len() - offset));
            let last = offset + part.len() == read.data.len();
            let header = C2hData {
                command_id: read.command_id,
                offset: offset as u32,
                length: part.len,
                last,
                success: last && read.success,
            };
            let mut out = [0; HEADER_SPAN_MAX];
            let layout = header.encode(self.digests, self.alignment, &mut out).expect("a header fits");
            self.seal(cx, &layout, &mut out);
            let source = match read.buffer {
                None => Source::Lent,
                Some(buffer) if last => Source::Buffer(buffer),
                Some(_) => Source::Part,
            };
            self.transmit.push_payload(part, source);
            if layout.data_digest {
                let digest = cx.env.mem().crc32c(0, part).to_le_bytes();
                self.transmit.push_header(cx.env.mem(), &mut cx.shard.blocks, &digest);
            }
            offset += part.len();
        }
    }

    /// Queues the last words: what was wrong, and the header it was wrong in.
    pub(crate) fn terminate(&mut self, cx: &mut Context<'_>, error: FatalError, offending: &[u8]) {
        let mut out = [0; HEADER_BYTES_MAX];
        let request = TermReq::new(error);
        let len = request.encode(Receiver::Host, offending, &mut out).expect("the longest request fits");
        self.transmit.push_header(cx.env.mem(), &mut cx.shard.blocks, &out[..len]);
    }

    fn seal(&mut self, cx: &mut Context<'_>, layout: &PduLayout, out: &mut [u8; HEADER_SPAN_MAX]) {
        let len = layout.seal(out, crc32c).expect("data begins within the longest span");
        self.transmit.push_header(cx.env.mem(), &mut cx.shard.blocks, &out[..len]);
    }
}

const R2T_LEN: usize = 24;
const C2H_DATA_LEN: usize = 24;
