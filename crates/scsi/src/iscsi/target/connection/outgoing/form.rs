//! What an item says as a PDU, however that travels.

use super::item::write_sense;
use super::{Item, Outgoing, Response, SENSE_BYTES_MAX};
use stdx::mem::Span;
use wire::iscsi::{
    AsyncMessage, BHS_LEN, Bhs, LoginResponse, LogoutResponse, NopIn, Numbers, R2t, Reject, Residual,
    ScsiResponse, TaskResponse, TextResponse,
};
use wire::scsi::Lun;

/// A PDU: its header, and its data, which is either short or lies in a buffer.
#[derive(Debug)]
pub(in super::super) struct Formed {
    pub bhs: Bhs,
    short: [u8; SHORT_BYTES_MAX],
    short_len: usize,
    /// Empty if the data is short.
    pub buffer: Span,
}

impl Formed {
    fn plain(bhs: Bhs) -> Self {
        Self { bhs, short: [0; SHORT_BYTES_MAX], short_len: 0, buffer: Span::EMPTY }
    }

    fn with_buffer(bhs: Bhs, buffer: Span) -> Self {
        Self { buffer, ..Self::plain(bhs) }
    }

    fn with_short(bhs: Bhs, data: &[u8]) -> Self {
        let mut formed = Self { short_len: data.len(), ..Self::plain(bhs) };
        formed.short[..data.len()].copy_from_slice(data);
        formed
    }

    /// The data, if it is short.
    pub(in super::super) fn short(&self) -> &[u8] {
        &self.short[..self.short_len]
    }
}

impl Outgoing {
    /// The PDU of an item that is one PDU.
    pub(super) fn form(&mut self, numbers: Numbers, item: &Item) -> Formed {
        match *item {
            Item::Read(_) | Item::Again(_) => {
                debug_assert!(false, "these are said in their own ways");
                Formed::plain(Bhs::default())
            }
            Item::Response(ref response) => self.form_response(numbers, response),
            Item::R2t { lun, tag, transfer_tag, r2t_sn, offset, length } => Formed::plain(
                R2t { lun, task_tag: tag, transfer_tag, numbers, r2t_sn, offset, length }.encode(),
            ),
            Item::Nop { lun, tag, transfer_tag, data } => {
                let header = NopIn { lun, task_tag: tag, transfer_tag, numbers };
                Formed::with_buffer(header.encode(data.len), data)
            }
            Item::Task { tag, result } => {
                Formed::plain(TaskResponse { result, task_tag: tag, numbers }.encode())
            }
            Item::Logout { tag, result, time_to_wait_s, time_to_retain_s } => Formed::plain(
                LogoutResponse { result, task_tag: tag, numbers, time_to_wait_s, time_to_retain_s }.encode(),
            ),
            Item::Text { tag, transfer_tag, is_final, continues, data } => {
                let lun = Lun::default();
                let header = TextResponse { is_final, continues, lun, task_tag: tag, transfer_tag, numbers };
                Formed::with_buffer(header.encode(data.len), data)
            }
            Item::Login { response, data } => {
                Formed::with_buffer(LoginResponse { numbers, ..response }.encode(data.len), data)
            }
            Item::Reject { reason, header, data_sn } => {
                let reject = Reject { reason, numbers, data_sn };
                Formed::with_short(reject.encode(BHS_LEN as u32), header.bytes())
            }
            Item::Message { lun, event, sense } => {
                let mut data = [0; SENSE_BYTES_MAX];
                let len = sense.map_or(0, |sense| write_sense(&sense, &mut data));
                Formed::with_short(AsyncMessage { lun, numbers, event }.encode(len as u32), &data[..len])
            }
        }
    }

    fn form_response(&mut self, numbers: Numbers, response: &Response) -> Formed {
        let Response { tag, response: service, status, residual, exp_data_sn, sense, .. } = *response;
        let mut data = [0; SENSE_BYTES_MAX];
        let len = sense.map_or(0, |sense| write_sense(&sense, &mut data));
        // Of data that was cut anew, what holds now.
        let read = self.kept_read(tag).map(|read| (read.snack_tag, read.cuts.end_sn(read.data.len)));
        let (snack_tag, exp_data_sn) = read.unwrap_or((0, exp_data_sn));
        let header = ScsiResponse {
            response: service,
            status: status as u8,
            task_tag: tag,
            snack_tag,
            numbers,
            exp_data_sn,
            bidirectional: Residual::None,
            residual,
        };
        Formed::with_short(header.encode(len as u32), &data[..len])
    }
}

/// The longest data that lies with its header: the header of a PDU that is rejected.
pub(in super::super) const SHORT_BYTES_MAX: usize = BHS_LEN;
const _: () = assert!(SENSE_BYTES_MAX <= SHORT_BYTES_MAX);
