//! A channel comes to be (sections 5.1 and 6.2 to 6.4): whether an initiator may log in, and to which nexus it belongs.

use super::channel::{Channel, Login};
use super::limits::{IU_LEN_ASKED_MIN, IU_LEN_TO_INITIATOR};
use super::nexus::{Nexus, NexusName};
use super::server::{Parts, Server};
use stdx::slab::Key;
use verbs::Parameters;
use verbs::endpoint::Requested;
use wire::scsi::TransportId;
use wire::srp::{
    BufferFormats, COMMAND_LEN, ChannelResult, LOGIN_REQUEST_LEN, LoginFlags, LoginReject, LoginRejectReason,
    LoginRequest, LoginResponse, LogoutReason, PortId,
};

impl Server {
    /// Someone asks for a channel.
    pub(super) fn answer_request(&mut self, parts: &mut Parts<'_>, requested: &Requested) {
        let asked = read(requested.private_data.bytes());
        let tag = asked.map_or(0, |asked| asked.tag);
        let opened = asked
            .ok_or(LoginRejectReason::NoChannel)
            .and_then(|asked| self.judge(&asked).map(|()| asked))
            .and_then(|asked| self.open(parts, requested, &asked));
        match opened {
            Ok(()) => self.counters.logins += 1,
            Err(reason) => {
                self.counters.rejected += 1;
                let reject = LoginReject { tag, reason, formats: FORMATS };
                self.endpoint.reject(parts.device, requested.request, &reject.encode());
            }
        }
    }

    /// Whether a login can be let in.
    fn judge(&self, asked: &LoginRequest) -> Result<(), LoginRejectReason> {
        let port = self.registry.port(asked.target).ok_or(LoginRejectReason::NoNexus)?;
        if !port.access.admits(asked.initiator) {
            return Err(LoginRejectReason::NoNexus);
        }
        if !(IU_LEN_ASKED_MIN..=self.limits.iu_len).contains(&asked.iu_len) {
            return Err(LoginRejectReason::IuTooLong);
        }
        if asked.formats.without(FORMATS) != BufferFormats::default() {
            return Err(LoginRejectReason::UnsupportedFormat);
        }
        if self.draining || self.channels.is_full() {
            return Err(LoginRejectReason::NoResources);
        }
        let others = self.find_nexus(asked).and_then(|key| self.nexuses.get(key));
        let many = others.is_some_and(|nexus| nexus.channels >= self.limits.channels_per_nexus);
        if many && asked.flags.contains(LoginFlags::MULTICHANNEL) {
            return Err(LoginRejectReason::ChannelLimit);
        }
        Ok(())
    }

    fn open(
        &mut self,
        parts: &mut Parts<'_>,
        requested: &Requested,
        asked: &LoginRequest,
    ) -> Result<(), LoginRejectReason> {
        let credits = self.pool.open(self.limits.requests).ok_or(LoginRejectReason::NoResources)?;
        let (nexus, channels) = match self.join(parts, asked) {
            Ok(joined) => joined,
            Err(reason) => {
                self.pool.close(&credits);
                return Err(reason);
            }
        };
        let login = self.login(asked, nexus);
        let response = LoginResponse {
            tag: asked.tag,
            request_limit: credits.granted(),
            iu_len_to_target: self.limits.iu_len,
            iu_len_to_initiator: IU_LEN_TO_INITIATOR as u32,
            formats: FORMATS,
            channels,
            is_immediate_taken: login.is_some_and(|login| login.immediate_offset.is_some()),
        };
        let offered = requested.parameters;
        let parameters = Parameters {
            initiator_depth: offered.initiator_depth.min(self.limits.read_depth),
            responder_resources: 0,
            ..offered
        };
        let answer = response.encode();
        let accepted = self.endpoint.accept(parts.env, parts.device, requested.request, parameters, &answer);
        let (Ok(connection), Some(login), Some(key)) = (accepted, login, self.channels.next_key()) else {
            self.pool.close(&credits);
            self.leave_nexus(parts, nexus);
            return Err(LoginRejectReason::NoResources);
        };
        let inserted = self.channels.insert(Channel::new(key, connection, requested.peer, login, credits));
        debug_assert_eq!(inserted.ok(), Some(key));
        self.note_connection(connection, key);
        Ok(())
    }

    /// The nexus of a login, with one channel more. Without the wish for several channels, the others end (section 6.2).
    fn join(
        &mut self,
        parts: &mut Parts<'_>,
        asked: &LoginRequest,
    ) -> Result<(Key, ChannelResult), LoginRejectReason> {
        let found = self.find_nexus(asked);
        if let Some(key) = found.filter(|_| asked.flags.contains(LoginFlags::MULTICHANNEL)) {
            if let Some(nexus) = self.nexuses.get_mut(key) {
                nexus.channels += 1;
            }
            return Ok((key, ChannelResult::Maintained));
        }
        let result = match found {
            Some(old) => {
                self.counters.replaced += 1;
                self.end_nexus(parts, old, LogoutReason::NewLogin);
                ChannelResult::Terminated
            }
            None => ChannelResult::NoOther,
        };
        let port = self.registry.port(asked.target).ok_or(LoginRejectReason::NoNexus)?;
        let initiator = TransportId::srp(identifier(asked.initiator));
        let opened = parts.executor.open_nexus(port.device, initiator, port.relative_id);
        let key = opened.map_err(|_| LoginRejectReason::NoResources)?;
        let inserted = self.nexuses.insert(Nexus { name: name(asked), key, channels: 1 });
        match inserted {
            Ok(nexus) => Ok((nexus, result)),
            Err(_) => {
                parts.executor.lose(parts.env, key);
                Err(LoginRejectReason::NoResources)
            }
        }
    }

    fn login(&self, asked: &LoginRequest, nexus: Key) -> Option<Login> {
        let limits = &self.limits;
        let has_room = COMMAND_LEN + IMMEDIATE_LEN_LEN <= usize::from(asked.immediate_offset)
            && u32::from(asked.immediate_offset) < limits.iu_len;
        let wants = asked.flags.contains(LoginFlags::IMMEDIATE) && limits.immediate_data;
        Some(Login {
            name: name(asked),
            nexus,
            executor_nexus: self.nexuses.get(nexus)?.key,
            iu_len: limits.iu_len,
            immediate_offset: (wants && has_room).then_some(asked.immediate_offset),
            solicit_credit: asked.flags.contains(LoginFlags::SOLICIT_CREDIT),
            solicit_logout: asked.flags.contains(LoginFlags::SOLICIT_LOGOUT),
            solicit_event: asked.flags.contains(LoginFlags::SOLICIT_EVENT),
            descriptors_max: limits.descriptors,
        })
    }

    fn find_nexus(&self, asked: &LoginRequest) -> Option<Key> {
        let wanted = name(asked);
        self.nexuses.iter().find(|(_, nexus)| nexus.name == wanted).map(|(key, _)| key)
    }
}

/// A login in either form: the standard's where the connection manager leaves room for it, or the short one.
fn read(private_data: &[u8]) -> Option<LoginRequest> {
    let whole = (private_data.len() >= LOGIN_REQUEST_LEN).then(|| LoginRequest::decode(private_data));
    let whole = whole.and_then(Result::ok).flatten();
    whole.or_else(|| LoginRequest::decode_compact(private_data).ok().flatten())
}

const fn name(asked: &LoginRequest) -> NexusName {
    NexusName { initiator: asked.initiator, target: asked.target }
}

/// The sixteen bytes of a port's name.
fn identifier(port: PortId) -> [u8; 16] {
    (u128::from(port.extension) << 64 | u128::from(port.guid)).to_be_bytes()
}

/// The descriptor formats that are taken.
const FORMATS: BufferFormats = BufferFormats::DIRECT.with(BufferFormats::INDIRECT);
/// Bytes of the descriptor of immediate data.
const IMMEDIATE_LEN_LEN: usize = 4;
