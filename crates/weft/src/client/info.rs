//! `weft info`: what a volume is, and the controller behind it.

use super::Client;
use crate::args::InfoArgs;
use crate::error::Failure;
use crate::output::{Style, Table, say};
use engine::size::format_size;
use scsi::srp::initiator::ChannelInfo;
use serde::Serialize;
use wire::nvme::identify::{ControllerData, read_text};

/// What is known of a volume.
#[derive(Debug, Serialize)]
struct Volume {
    url: String,
    bytes: u64,
    blocks: u64,
    block_size: u32,
    physical_block_size: u32,
    longest_request_bytes: u64,
    volatile_cache: bool,
    thin: bool,
    read_only: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    controller: Option<Controller>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iscsi: Option<IscsiSession>,
    #[serde(skip_serializing_if = "Option::is_none")]
    srp: Option<SrpPort>,
}

/// What is known of the controller it is behind.
#[derive(Debug, Serialize)]
struct Controller {
    subsystem: String,
    model: String,
    serial: String,
    firmware: String,
    version: String,
    controller_id: u16,
    io_queues: usize,
    queue_entries: u16,
    /// Volumes by namespace identifier, with their sizes in bytes.
    namespaces: Vec<(u32, u64)>,
}

/// What was agreed on with the iSCSI target that it is a disk of.
#[derive(Debug, Serialize)]
struct IscsiSession {
    target: String,
    /// By iSER.
    rdma: bool,
    /// Writes wait to be asked for the data that does not go along with their command.
    initial_r2t: bool,
    /// Data goes along with commands.
    immediate_data: bool,
    first_burst_bytes: u32,
    max_burst_bytes: u32,
    error_recovery_level: u8,
}

/// What was agreed on with the SRP target port that it is a disk of.
#[derive(Debug, Serialize)]
struct SrpPort {
    target: String,
    channels: Vec<SrpChannel>,
}

/// One of them.
#[derive(Debug, Serialize)]
struct SrpChannel {
    /// Requests that the target takes at once.
    requests: u64,
    /// The most data that goes along with a command.
    immediate_bytes: u32,
}

/// Runs the command.
pub fn run(style: &Style, args: &InfoArgs) -> Result<(), Failure> {
    let mut client = Client::new()?;
    let info = client.open(&args.url)?.device.info();
    let volume = Volume {
        url: args.url.to_string(),
        bytes: info.bytes(),
        blocks: info.blocks,
        block_size: info.block_size,
        physical_block_size: info.physical_block_size,
        longest_request_bytes: u64::from(info.blocks_max) * u64::from(info.block_size),
        volatile_cache: info.volatile_cache,
        thin: info.thin,
        read_only: info.read_only,
        controller: controller(&client),
        iscsi: iscsi(&client),
        srp: srp(&client),
    };
    if style.json {
        say!("{}", serde_json::to_string(&volume).expect("plain values"));
    } else {
        volume.print(style);
    }
    Ok(())
}

fn controller(client: &Client) -> Option<Controller> {
    let attached = client.shard.hosts().iter().next()?;
    let data = attached.host.controller_data()?;
    let ControllerData { model_number, serial_number, firmware_revision, version, .. } = &*data;
    let text = |field: &[u8]| read_text(field).unwrap_or("?").to_owned();
    let (io_queues, queue_entries) = attached.host.io_queues();
    let volumes = attached.volumes().iter();
    let size = |name: &String| {
        client.shard.volumes().get(name).map_or(0, |entry| block::BlockDevice::info(&*entry.volume).bytes())
    };
    let version = version.get();
    Some(Controller {
        subsystem: attached.options.subsystem.to_string(),
        model: text(model_number),
        serial: text(serial_number),
        firmware: text(firmware_revision),
        version: format!("{}.{}.{}", version >> 16, version >> 8 & 0xff, version & 0xff),
        controller_id: attached.host.controller_id(),
        io_queues,
        queue_entries,
        namespaces: volumes.map(|(nsid, name)| (*nsid, size(name))).collect(),
    })
}

fn iscsi(client: &Client) -> Option<IscsiSession> {
    let disk = client.shard.iscsi_disks().iter().next()?;
    let agreed = disk.initiator.sessions().into_iter().next()?;
    Some(IscsiSession {
        target: disk.initiator.options().target.to_string(),
        rdma: agreed.rdma_extensions,
        initial_r2t: agreed.initial_r2t,
        immediate_data: agreed.immediate_data,
        first_burst_bytes: agreed.first_burst_len,
        max_burst_bytes: agreed.max_burst_len,
        error_recovery_level: agreed.error_recovery_level,
    })
}

fn srp(client: &Client) -> Option<SrpPort> {
    let disk = client.shard.srp_disks().iter().next()?;
    let channel = |info: ChannelInfo| SrpChannel {
        requests: u64::from(info.credits) + info.outstanding as u64,
        immediate_bytes: info.immediate_max,
    };
    let channels = disk.initiator.channels().into_iter().map(channel).collect();
    Some(SrpPort { target: disk.url.target.to_string(), channels })
}

/// What a write may send before it is asked for more (RFC 7143, sections 13.10 and 13.11).
fn unasked(session: &IscsiSession) -> String {
    let first = format_size(session.first_burst_bytes.into());
    match (session.immediate_data, session.initial_r2t) {
        (true, true) => format!("with commands, up to {first}"),
        (true, false) => format!("with commands and after them, up to {first}"),
        (false, false) => format!("after commands, up to {first}"),
        (false, true) => "none".to_owned(),
    }
}

impl Volume {
    fn print(&self, style: &Style) {
        let line = |name: &str, value: String| say!("{}  {value}", style.dim(&format!("{name:<14}")));
        say!("{}", style.bold(&self.url));
        line(
            "size",
            format!("{} ({} blocks of {} bytes)", format_size(self.bytes), self.blocks, self.block_size),
        );
        if self.physical_block_size > self.block_size {
            line("physical block", format_size(self.physical_block_size.into()));
        }
        line("longest I/O", format_size(self.longest_request_bytes));
        let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
        line("write cache", yes(self.volatile_cache));
        line("thin", yes(self.thin));
        line("read-only", yes(self.read_only));
        if let Some(session) = &self.iscsi {
            line("target", session.target.clone());
            line("data unasked", unasked(session));
            line("longest burst", format_size(session.max_burst_bytes.into()));
        }
        if let Some(port) = &self.srp {
            line("target", port.target.clone());
            for SrpChannel { requests, immediate_bytes } in &port.channels {
                let along = format_size((*immediate_bytes).into());
                line("channel", format!("{requests} requests, {along} of data with a command"));
            }
        }
        let Some(controller) = &self.controller else { return };
        line("subsystem", controller.subsystem.clone());
        line(
            "model",
            format!("{}  serial {}  firmware {}", controller.model, controller.serial, controller.firmware),
        );
        line("NVMe", format!("{}  controller {}", controller.version, controller.controller_id));
        line("I/O queues", format!("{} of {} entries", controller.io_queues, controller.queue_entries));
        let mut table = Table::new([">ns", ">size"]);
        for (nsid, bytes) in &controller.namespaces {
            table.row([nsid.to_string(), format_size(*bytes)]);
        }
        say!("{}", table.render(style));
    }
}
