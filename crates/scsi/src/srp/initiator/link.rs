//! All channels to a target on one device: the one place that has both the channels and the device at hand.
//!
//! Commands are submitted while someone else has the device; [`Link::post`] sends them when its owner has it.

use super::channel::{
    Channel, ChannelEnd, ChannelInfo, Context, Ended, INLINE_LEN, RECEIVE_LEN, Settings, State, outbox_len,
    receives, sends,
};
use super::options::InitiatorOptions;
use crate::initiator::{Carrier, Command, Full};
use core::net::SocketAddr;
use stdx::env::{Env, Owner};
use stdx::mem::{Kind, OutOfMemory, Span};
use verbs::endpoint::{Endpoint, Happening, Options};
use verbs::{Access, ConnectionEvent, Device, Event};

/// See the module.
#[derive(Debug)]
pub(super) struct Link {
    owner_base: u64,
    address: SocketAddr,
    options: Options,
    endpoint: Option<Endpoint>,
    /// Units that are longer than what goes inline.
    outbox: Span,
    channels: Vec<Channel>,
    leaving: Vec<Leaving>,
    scratch: Vec<u8>,
}

/// A channel that nobody uses any more, until nothing of it is under way.
#[derive(Debug)]
struct Leaving {
    channel: Channel,
    /// The target is told that we go.
    is_orderly: bool,
    /// The device has not heard of it yet.
    is_new: bool,
}

impl Leaving {
    const fn new(channel: Channel, is_orderly: bool) -> Self {
        Self { channel, is_orderly, is_new: true }
    }
}

impl Link {
    /// For a target as the options say. `owner` has its low 32 bits clear: all owners with these high 32 bits are its.
    pub fn new(env: &mut dyn Env, owner: Owner, options: &InitiatorOptions) -> Result<Self, OutOfMemory> {
        debug_assert_eq!(owner.0 & u64::from(u32::MAX), 0);
        let (channels, commands_max) = (options.channels, options.commands_max);
        let outbox_len = outbox_len(channels, commands_max);
        let region = env.mem().map(Kind::Shared, outbox_len as u64)?;
        Ok(Self {
            owner_base: owner.0,
            address: options.address,
            options: Options {
                // The connections of the last attempt may still be ending.
                connections_max: 2 * u32::from(channels),
                receives: u32::from(channels) * receives(commands_max),
                receive_len: RECEIVE_LEN,
                sends: sends(commands_max),
                pieces: 2,
                inline_bytes: INLINE_LEN as u32,
                access: Access::LOCAL_WRITE.with(Access::REMOTE_READ).with(Access::REMOTE_WRITE),
            },
            endpoint: None,
            outbox: env.mem().whole(region).first(outbox_len),
            channels: Vec::with_capacity(channels.into()),
            leaving: Vec::new(),
            scratch: Vec::with_capacity(RECEIVE_LEN as usize),
        })
    }

    /// Adds a channel, whose connection is yet to be asked for.
    pub fn open(&mut self, settings: Settings) {
        self.channels.push(Channel::new(settings));
    }

    /// The channels.
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// The channels.
    pub fn channels_mut(&mut self) -> &mut [Channel] {
        &mut self.channels
    }

    /// For people.
    pub fn infos(&self) -> Vec<ChannelInfo> {
        self.channels.iter().map(Channel::info).collect()
    }

    /// Lets the last channel go, which did not come to be.
    pub fn drop_last(&mut self) {
        let last = self.channels.pop();
        self.leaving.extend(last.map(|channel| Leaving::new(channel, false)));
    }

    /// Lets all channels go. `is_orderly`: the target is told.
    pub fn drop_all(&mut self, is_orderly: bool) {
        self.leaving.extend(self.channels.drain(..).map(|channel| Leaving::new(channel, is_orderly)));
    }

    /// Appends what has ended on the channel at a place.
    pub fn take_ended(&mut self, place: usize, into: &mut Vec<Ended>) {
        if let Some(channel) = self.channels.get_mut(place) {
            channel.take_ended(into);
        }
    }

    /// True while memory of commands that were given up may be in use: until nothing of their channels is under way.
    pub const fn is_exposed(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// True if there is something to do that needs the device, as far as is known without asking it.
    pub fn wants_device(&self) -> bool {
        self.leaving.iter().any(|leaving| leaving.is_new)
            || self.channels.iter().any(Channel::wants_device)
            || self.endpoint.as_ref().is_some_and(Endpoint::is_ready)
    }

    /// True if no connection is left, as far as the device has told.
    pub fn is_quiet(&self) -> bool {
        let is_idle = |endpoint: &Endpoint| endpoint.connections().next().is_none();
        self.leaving.is_empty() && self.endpoint.as_ref().is_none_or(is_idle)
    }

    /// An event of the device for one of this link's owners.
    pub fn handle_event(&mut self, device: &mut dyn Device, event: &Event) {
        if let Some(endpoint) = &mut self.endpoint {
            endpoint.handle_event(device, event);
        }
    }

    /// Something happened to a connection of this link's.
    pub fn handle_connection(&mut self, env: &mut dyn Env, device: &mut dyn Device, event: &ConnectionEvent) {
        if let Some(endpoint) = &mut self.endpoint {
            endpoint.handle_connection(env, device, event);
        }
    }

    /// Takes in what the device has to tell of the channels.
    ///
    /// # Errors
    /// When the device has no room for them.
    pub fn poll(&mut self, env: &mut dyn Env, device: &mut dyn Device) -> Result<(), ChannelEnd> {
        if self.endpoint.is_none() {
            self.endpoint = Some(Endpoint::new(env, device, self.owner_base, self.options)?);
        }
        self.end_leaving(env, device);
        while let Some(happening) = self.endpoint.as_mut().and_then(|endpoint| endpoint.poll(env, device)) {
            self.handle(env, device, happening);
        }
        Ok(())
    }

    /// Has the device do what the channels want.
    pub fn post(&mut self, env: &mut dyn Env, device: &mut dyn Device) {
        self.end_leaving(env, device);
        let address = self.address;
        let Some((mut cx, channels, _)) = self.parts(env, device) else { return };
        for channel in channels {
            if channel.state() == State::Asking {
                channel.ask(&mut cx, address);
            } else {
                channel.send_waiting(&mut cx);
            }
        }
    }

    /// Gives everything back, whatever is under way.
    pub fn free(mut self, env: &mut dyn Env, device: &mut dyn Device) {
        self.drop_all(false);
        for Leaving { channel, .. } in &mut self.leaving {
            channel.close_memory(env, device);
        }
        if let Some(endpoint) = self.endpoint {
            endpoint.free(env, device);
        }
        env.mem().unmap(self.outbox.region);
    }

    /// Asserts what always holds.
    pub fn check(&self) {
        self.channels.iter().for_each(Channel::check);
        if let Some(endpoint) = &self.endpoint {
            endpoint.check();
        }
    }

    fn handle(&mut self, env: &mut dyn Env, device: &mut dyn Device, happening: Happening) {
        let Some((mut cx, channels, leaving)) = self.parts(env, device) else { return };
        let (Happening::Established { connection, .. }
        | Happening::Refused { connection, .. }
        | Happening::Received { connection, .. }
        | Happening::Done { connection, .. }
        | Happening::Broken { connection }
        | Happening::Gone { connection }) = happening
        else {
            // Nothing is listened on.
            if let Happening::Requested(requested) = happening {
                cx.endpoint.reject(cx.device, requested.request, &[]);
            }
            return;
        };
        let mut all = channels.iter_mut().chain(leaving.iter_mut().map(|leaving| &mut leaving.channel));
        let Some(channel) = all.find(|channel| channel.connection == Some(connection)) else {
            if let Happening::Received { connection, received } = happening {
                cx.endpoint.release(cx.device, connection, received);
            }
            return;
        };
        match happening {
            Happening::Established { private_data, .. } => channel.handle_established(&private_data),
            Happening::Refused { why, .. } => channel.handle_refused(why),
            Happening::Received { received, .. } => channel.handle_received(&mut cx, received),
            Happening::Done { token, kind, status, .. } => channel.handle_done(token, kind, status),
            Happening::Broken { .. } | Happening::Gone { .. } => channel.handle_broken(),
            Happening::Requested(_) => {}
        }
    }

    /// Ends the connections of channels that nobody uses, after closing all memory of theirs, and forgets those of which
    /// nothing is under way.
    fn end_leaving(&mut self, env: &mut dyn Env, device: &mut dyn Device) {
        let Some((mut cx, _, leaving)) = self.parts(env, device) else {
            // Without an endpoint nothing was ever asked for.
            return self.leaving.clear();
        };
        leaving.retain_mut(|Leaving { channel, is_orderly, is_new }| {
            *is_new = false;
            if *is_orderly {
                channel.log_out(&mut cx);
            }
            channel.close_memory(cx.env, cx.device);
            let Some(connection) = channel.connection else { return false };
            let found = cx.endpoint.connections().find(|info| info.connection == connection);
            let under_way = found.map_or(0, |info| info.sends);
            let says_goodbye = *is_orderly && under_way > 0 && cx.endpoint.room(connection) > 0;
            if !says_goodbye {
                cx.endpoint.disconnect(cx.env, cx.device, connection);
            }
            under_way > 0
        });
    }

    fn parts<'a>(
        &'a mut self,
        env: &'a mut dyn Env,
        device: &'a mut dyn Device,
    ) -> Option<(Context<'a>, &'a mut Vec<Channel>, &'a mut Vec<Leaving>)> {
        let Self { endpoint, outbox, scratch, channels, leaving, .. } = self;
        let cx = Context { env, device, endpoint: endpoint.as_mut()?, outbox: *outbox, scratch };
        Some((cx, channels, leaving))
    }
}

impl Carrier for Link {
    fn ways(&self) -> usize {
        self.channels.iter().filter(|channel| channel.state() == State::Open).count()
    }

    fn submit(&mut self, env: &mut dyn Env, way: usize, command: &Command) -> Result<(), Full> {
        self.channels.get_mut(way).ok_or(Full)?.submit(env.now(), command)
    }

    /// Commands are sent when the device is at hand.
    fn flush(&mut self, _env: &mut dyn Env) {}
}
