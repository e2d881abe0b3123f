//! The commands that use volumes: a shard of their own, in this process, with one or two volumes on it.

mod asking;
pub mod bench;
pub mod copy;
pub mod discover;
mod flow;
pub mod info;
mod portal;
pub mod read;
mod srp_ports;
pub mod verify;
pub mod write;

use crate::args::{FlowArgs, RangeArgs};
use crate::error::Failure;
use crate::output::Style;
use block::{BlockDevice, Channel, Info};
use engine::url::VolumeUrl;
use engine::{Limits, Opening, Shard};
use flow::Piece;
use nvme::Transport;
use reactor::Reactor;
use scsi::iscsi::initiator::Transport as Carrier;
use std::net::ToSocketAddrs;
use std::rc::Rc;
use std::time::{Duration, Instant};
use stdx::env::Env;
use stdx::mem::Memory;

/// A shard, and the environment it runs in.
pub struct Client {
    /// The environment.
    pub env: Reactor,
    /// The shard.
    pub shard: Shard,
    began: Instant,
    volumes: usize,
}

/// A volume, and a way to it.
#[derive(Debug)]
pub struct Opened {
    /// The volume.
    pub device: Rc<dyn BlockDevice>,
    /// The way.
    pub channel: Box<dyn Channel>,
}

impl Client {
    /// Starts a shard with nothing on it.
    pub fn new() -> Result<Self, Failure> {
        Self::with(Limits::default())
    }

    /// Starts a shard with nothing on it, which has these limits.
    pub fn with(limits: Limits) -> Result<Self, Failure> {
        let mut env = environment(limits)?;
        // A signal has to end the wait, too.
        let wake = env.waker();
        crate::signals::on_first(move || wake()).map_err(Failure::Start)?;
        let mut shard = Shard::new(&mut env, limits).map_err(Failure::Memory)?;
        crate::rdma::device::tell_packets(&mut shard);
        Ok(Self { env, shard, began: Instant::now(), volumes: 0 })
    }

    /// Lets the shard do what there is to do, waiting for something if there is nothing.
    pub fn turn(&mut self) -> Result<(), Failure> {
        self.shard.turn(&mut self.env);
        if crate::signals::interrupted() { Err(Failure::Interrupted) } else { Ok(()) }
    }

    /// Opens a volume, waiting until it is there.
    pub fn open(&mut self, url: &VolumeUrl) -> Result<Opened, Failure> {
        let failed = |why| Failure::Open { url: url.to_string(), why };
        let url = resolve(url)?;
        self.volumes += 1;
        let name = format!("volume{}", self.volumes);
        let opening = self.shard.open(&mut self.env, &name, &url).map_err(failed)?;
        let device = self.wait_open(&opening).map_err(|why| match why {
            Ok(why) => failed(why),
            Err(failure) => failure,
        })?;
        let channel = device.open();
        Ok(Opened { device, channel })
    }

    fn wait_open(
        &mut self,
        opening: &Opening,
    ) -> Result<Rc<dyn BlockDevice>, Result<engine::OpenError, Failure>> {
        loop {
            if let Some(opened) = self.shard.opened(opening) {
                return opened.map_err(Ok);
            }
            self.turn().map_err(Err)?;
        }
    }
}

impl Drop for Client {
    /// Lets go of remote volumes in order, however the command ends: over RDMA nothing else tells their targets.
    fn drop(&mut self) {
        // Each is found by its name: it was there a moment ago.
        let hosts: Vec<_> = self.shard.hosts().iter().map(|attached| attached.name.clone()).collect();
        for name in hosts {
            let _ = self.shard.detach(&mut self.env, &name);
        }
        let disks: Vec<_> = self.shard.iscsi_disks().iter().map(|disk| disk.name.clone()).collect();
        for name in disks {
            let _ = self.shard.detach_iscsi_disk(&mut self.env, &name);
        }
        let disks: Vec<_> = self.shard.srp_disks().iter().map(|disk| disk.name.clone()).collect();
        for name in disks {
            let _ = self.shard.detach_srp_disk(&mut self.env, &name);
        }
        // Last words take a moment; who does not hear them is not waited for.
        let now = self.env.now();
        let until = now + LAST_WORDS_TIME;
        self.shard.turn_by(&mut self.env, Some(now));
        while self.shard.devices().has_leavers() && self.env.now() < until {
            self.shard.turn_by(&mut self.env, Some(until));
        }
    }
}

/// The environment of a shard with these limits.
pub fn environment(limits: Limits) -> Result<Reactor, Failure> {
    Reactor::new(reactor::Options { memory: limits.memory(), ..reactor::Options::default() })
        .map_err(Failure::Reactor)
}

/// Replaces a host's name by its address, and finds the address of ours that leads there where one is needed.
pub fn resolve(url: &VolumeUrl) -> Result<VolumeUrl, Failure> {
    let mut url = url.clone();
    match &mut url {
        VolumeUrl::Nvme(nvme) => {
            if nvme.address().is_none() {
                nvme.host = look_up(&nvme.host, nvme.port)?;
            }
            if let (Transport::Rdma, None, Some(address)) = (nvme.transport, nvme.from, nvme.address()) {
                nvme.from = Some(crate::rdma::device::facing(address.ip())?);
            }
        }
        VolumeUrl::Iscsi(iscsi) => {
            if iscsi.address().is_none() {
                iscsi.host = look_up(&iscsi.host, iscsi.port)?;
            }
            if let (Carrier::Rdma, None, Some(address)) = (iscsi.transport, iscsi.from, iscsi.address()) {
                iscsi.from = Some(crate::rdma::device::facing(address.ip())?);
            }
        }
        VolumeUrl::Srp(srp) => {
            if srp.address().is_none() {
                srp.host = look_up(&srp.host, srp.port)?;
            }
            if let (None, Some(address)) = (srp.from, srp.address()) {
                srp.from = Some(crate::rdma::device::facing(address.ip())?);
            }
        }
        VolumeUrl::Mem(_) | VolumeUrl::Null(_) | VolumeUrl::File(_) => {}
    }
    Ok(url)
}

fn look_up(host: &str, port: u16) -> Result<String, Failure> {
    let found = (host, port).to_socket_addrs();
    let mut found = found.map_err(|why| Failure::Host { host: host.to_owned(), why })?;
    let none = || Failure::Usage(format!("{host}: the name has no address"));
    Ok(found.next().ok_or_else(none)?.ip().to_string())
}

/// How long connections of RDMA devices may take to end.
const LAST_WORDS_TIME: Duration = Duration::from_secs(3);

/// A part of a volume and the steps to walk it in, in blocks.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// The first block.
    pub lba: u64,
    /// How many.
    pub blocks: u64,
    /// How many at a time.
    pub step: u32,
    /// The bytes they hold.
    pub bytes: u64,
}

impl Range {
    /// The `index`th step.
    pub fn piece(&self, index: u64) -> Piece {
        let start = index * u64::from(self.step);
        Piece { lba: self.lba + start, blocks: (self.blocks - start).min(u64::from(self.step)) as u32 }
    }
}

/// The part of the volume that the options mean.
pub fn range(info: &Info, range: RangeArgs, flow: FlowArgs) -> Result<Range, Failure> {
    let block = u64::from(info.block_size);
    let whole = |name: &str, bytes: u64| {
        let usage =
            || Failure::Usage(format!("--{name} {bytes} is not a multiple of the block of {block} bytes"));
        if bytes.is_multiple_of(block) { Ok(bytes / block) } else { Err(usage()) }
    };
    let lba = whole("offset", range.offset)?;
    if lba > info.blocks {
        let text = format!("--offset {} is past the volume's end at {}", range.offset, info.bytes());
        return Err(Failure::Usage(text));
    }
    let blocks = range.length.map_or(Ok(info.blocks - lba), |length| whole("length", length))?;
    if blocks > info.blocks - lba {
        return Err(Failure::Usage(format!(
            "the volume has {} bytes from there on",
            (info.blocks - lba) * block
        )));
    }
    Ok(Range { lba, blocks, step: step(info, flow.size)?, bytes: blocks * block })
}

/// A request's length in blocks.
pub fn step(info: &Info, size: u64) -> Result<u32, Failure> {
    let block = u64::from(info.block_size);
    if size == 0 || !size.is_multiple_of(block) {
        return Err(Failure::Usage(format!("--size {size} is not a multiple of the block of {block} bytes")));
    }
    let most = (u64::from(info.blocks_max) * block).min(Memory::BUFFER_MAX as u64);
    Ok((size.min(most) / block) as u32)
}

/// Says what was moved and how fast.
pub fn report_moved(style: &Style, what: &str, bytes: u64, client: &Client) {
    let seconds = client.began.elapsed().as_secs_f64();
    let rate = (bytes as f64 / seconds) as u64;
    if style.json {
        eprintln!("{}", serde_json::json!({ "what": what, "bytes": bytes, "seconds": seconds }));
    } else {
        let (size, rate) = (engine::size::format_size(bytes), engine::size::format_size(rate));
        eprintln!("{what} {size} in {seconds:.2} s ({rate}/s)");
    }
}
