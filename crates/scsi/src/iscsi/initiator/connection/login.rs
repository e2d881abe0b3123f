//! The login as PDUs.

use super::outgoing::LOGIN_TAG;
use super::{Connection, ConnectionEnd, Misbehaviour, State};
use crate::iscsi::login::{Step, Turn};
use stdx::env::Env;
use stdx::mem::Memory;
use wire::iscsi::{Digests, LoginResponse, Stage};

impl Connection {
    /// The stream is there.
    pub(super) fn begin_login(&mut self, memory: &mut Memory) {
        let Some(login) = &mut self.login else { return };
        let (turn, text) = login.begin();
        self.put_login(memory, turn, &text);
    }

    /// The target said something. With the last of it, what was agreed on holds from the next PDU on.
    pub(super) fn handle_login(
        &mut self,
        env: &mut dyn Env,
        response: &LoginResponse,
        text: &[u8],
    ) -> Result<(), ConnectionEnd> {
        let misbehaved = |what: Misbehaviour| Err(ConnectionEnd::Misbehaved(what));
        if response.task_tag != LOGIN_TAG {
            return misbehaved(Misbehaviour::UnknownTask);
        }
        if !core::mem::replace(&mut self.heard, true) {
            self.order.exp_stat_sn = response.numbers.stat_sn;
        }
        // A refusal may come from a target that has no session to count for.
        if response.status.is_success() && !self.order.advance(&response.numbers) {
            return misbehaved(Misbehaviour::StatusOrder);
        }
        // While a connection is being added, only its last response is sure to speak of the session.
        if self.tsih == 0 || response.next == Stage::FullFeature && response.transit {
            self.window.update(&response.numbers);
        }
        let Some(login) = &mut self.login else { return misbehaved(Misbehaviour::Phase) };
        let step = login.handle(&mut || env.entropy(), response.status, Turn::of_response(response), text)?;
        match step {
            Step::Send(turn, text) => {
                self.put_login(env.mem(), turn, &text);
                Ok(())
            }
            Step::Done => {
                self.parameters = login.parameters()?;
                self.login = None;
                self.tsih = response.tsih;
                let Digests { header, data } = &mut self.rules.digests;
                (*header, *data) = (self.parameters.header_digest, self.parameters.data_digest);
                self.rules.data_max = self.parameters.max_recv_data_segment_len;
                self.state = State::FullFeature;
                self.resume();
                Ok(())
            }
        }
    }
}
