//! The blocks that all clients read and write at once, each by its protocol: what they are told must have one order.

use super::requests::{Request, Whose};
use super::{Client, PIECE};
use crate::checker::{Content, History};
use block::{Op, Status};
use core::cell::RefCell;
use std::rc::Rc;
use stdx::env::Env;

/// The history of the common blocks, as the clients share it.
pub(in super::super) type SharedHistory = Rc<RefCell<History>>;

impl Client {
    /// Asks for some of the common blocks, whatever is under way on them.
    pub(super) fn ask_common(&mut self) -> bool {
        let common = self.plan.common;
        let blocks = self.prng.between(1, PIECE.min(common));
        let lba = self.plan.common_place() + self.prng.below(common - blocks + 1);
        let durable = self.prng.chance(1, 5);
        let op = if self.prng.chance(1, 2) { Op::Read } else { Op::Write };
        self.start(op, lba, blocks as u32, durable, Whose::Common)
    }

    /// A request for common blocks was submitted.
    pub(super) fn begun_common(&mut self, request: &Request) {
        if request.io.op == Op::Write {
            let mut history = self.history.borrow_mut();
            blocks_of(request).for_each(|lba| history.writing(lba, request.content, request.begun));
        }
    }

    /// The connection is lost: what is under way is sent again, though it may have been carried out.
    pub(super) fn lost_common(&mut self) {
        let mut history = self.history.borrow_mut();
        let is_write = |request: &&Request| request.whose == Whose::Common && request.io.op == Op::Write;
        for request in self.under_way.values().filter(is_write) {
            blocks_of(request).for_each(|lba| history.may_repeat(lba, request.content));
        }
    }

    /// Takes an answer down.
    pub(super) fn judge_common(&mut self, request: &Request, status: Status) {
        if status != Status::Ok {
            return;
        }
        let mut bytes = vec![0; self.shadow.block_size()];
        for (place, lba) in blocks_of(request).enumerate() {
            if request.io.op == Op::Write {
                self.history.borrow_mut().written(lba, request.content);
                continue;
            }
            self.env.mem().read(request.io.data.slice(place * bytes.len(), bytes.len()), &mut bytes);
            match Content::of(lba, &bytes) {
                Some(content) => self.history.borrow_mut().read(lba, content, request.begun),
                None => self.complain(format!("block {lba} holds what nobody wrote")),
            }
        }
    }
}

fn blocks_of(request: &Request) -> impl Iterator<Item = u64> + use<> {
    request.io.lba..request.io.lba + u64::from(request.io.blocks)
}
