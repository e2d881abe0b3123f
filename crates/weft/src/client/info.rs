//! `weft info`: what a volume is, and the controller behind it.

use super::Client;
use crate::args::InfoArgs;
use crate::error::Failure;
use crate::output::{Style, Table, say};
use engine::size::format_size;
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
