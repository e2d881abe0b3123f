//! A channel comes to be (sections 6.2 to 6.4), by the standard's form of a login where InfiniBand's connection manager is asked,
//! and by the compact one that the RDMA connection manager has room for.

use super::outgoing::UNIT_LEN;
use super::{Channel, ChannelEnd, Context, Settings, State, tasks_max};
use core::net::SocketAddr;
use stdx::planted::{Bug, planted};
use verbs::{Parameters, PortSpace, PrivateData, Rejection};
use wire::srp::{BufferFormats, LoginFlags, LoginReject, LoginRequest, LoginResponse};

impl Channel {
    /// Asks for the connection.
    pub fn ask(&mut self, cx: &mut Context<'_>, to: SocketAddr) {
        if let Err(why) = self.try_ask(cx, to) {
            self.end(why);
        }
    }

    fn try_ask(&mut self, cx: &mut Context<'_>, to: SocketAddr) -> Result<(), ChannelEnd> {
        for _ in 0..tasks_max(self.settings.commands_max) {
            let key = cx.device.alloc_region(cx.endpoint.pd(), 1)?;
            self.keys.push(key);
        }
        let read_depth = cx.device.limits().read_depth.min(READ_DEPTH);
        let parameters =
            Parameters { responder_resources: read_depth, initiator_depth: 0, ..Parameters::default() };
        let login = login(&self.settings);
        let mut connect =
            |space, login: &[u8]| cx.endpoint.connect(cx.env, cx.device, space, to, parameters, login);
        let asked = match self.settings.service {
            Some(service) => connect(PortSpace::Service(service), &login.encode()),
            None => connect(PortSpace::Tcp, &login.encode_compact()),
        };
        self.connection = Some(asked?);
        self.state = State::Connecting;
        Ok(())
    }

    /// The target accepted.
    pub fn handle_established(&mut self, private_data: &PrivateData) {
        if self.state != State::Connecting {
            return;
        }
        let asked = login(&self.settings);
        let Ok(Some(response)) = LoginResponse::decode(private_data.bytes()) else {
            return self.end(ChannelEnd::BadLogin);
        };
        let iu_len = response.iu_len_to_target.min(asked.iu_len) as usize;
        let is_enough = iu_len >= UNIT_LEN_MIN && response.formats.contains(BufferFormats::DIRECT);
        if response.tag != asked.tag || response.request_limit == 0 || !is_enough {
            return self.end(ChannelEnd::BadLogin);
        }
        self.agreed.iu_len = iu_len;
        self.credits = response.request_limit << u32::from(planted(Bug::RequestLimitOverrun));
        self.agreed.kept = u32::from(self.credits > 1);
        let commands = self.credits - self.agreed.kept;
        self.agreed.commands_max = (commands as usize).min(self.settings.commands_max.into());
        if response.is_immediate_taken {
            let room = iu_len.saturating_sub(IMMEDIATE_OFFSET) as u32;
            self.agreed.immediate_max = self.settings.immediate_max.min(room);
        }
        self.state = State::Open;
    }

    /// The connection did not come about.
    pub fn handle_refused(&mut self, why: Option<(Rejection, PrivateData)>) {
        self.connection = None;
        self.end(match why {
            None => ChannelEnd::Unreachable,
            Some((Rejection::NoListener, _)) => ChannelEnd::NoListener,
            Some((Rejection::Other(reason), _)) => ChannelEnd::Refused(reason),
            Some((Rejection::Consumer, private_data)) => match LoginReject::decode(private_data.bytes()) {
                Ok(Some(reject)) => ChannelEnd::Rejected(reject.reason),
                Ok(None) | Err(_) => ChannelEnd::RejectedOtherwise,
            },
        });
    }
}

/// What a channel of these settings asks for.
fn login(settings: &Settings) -> LoginRequest {
    let immediate = settings.immediate_max > 0;
    let mut flags = LoginFlags::default();
    if settings.joins {
        flags = flags.with(LoginFlags::MULTICHANNEL);
    }
    if immediate {
        flags = flags.with(LoginFlags::IMMEDIATE);
    }
    let with_table = UNIT_LEN as u32;
    let with_data = IMMEDIATE_OFFSET as u32 + settings.immediate_max;
    LoginRequest {
        tag: 0,
        iu_len: if immediate { with_data.max(with_table) } else { with_table },
        formats: BufferFormats::DIRECT.with(BufferFormats::INDIRECT),
        flags,
        immediate_offset: if immediate { IMMEDIATE_OFFSET as u16 } else { 0 },
        initiator: settings.initiator,
        target: settings.target,
    }
}

/// Where immediate data begins: behind a command with the longest additional CDB that Linux sends, and the descriptor.
pub(super) const IMMEDIATE_OFFSET: usize = 68;
/// The target's reads that we answer at once.
const READ_DEPTH: u8 = 16;
/// Bytes of a command with a direct descriptor: a target must take as much (section 6.3).
const UNIT_LEN_MIN: usize = 64;
/// Bytes of a receive: the longest unit that a target sends is a response with 252 bytes of sense data and some of its own.
pub(crate) const RECEIVE_LEN: u32 = 512;
