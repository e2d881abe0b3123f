//! `weft rdma bench`: how fast two devices exchange messages.
//!
//! Two connections: one on which the ends agree what to measure ([`message`]), and a queue pair of the service that is
//! measured, which both raise by hand with what they told each other.

mod client;
mod load;
mod message;
mod report;
mod server;

use super::args::{BenchArgs, Operation, Service};
use super::device;
use crate::error::Failure;
use crate::output::Style;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use verbs::{Access, Parameters, Peer, Receives, Transition, Transport};

/// Runs the command.
pub fn run(style: &Style, args: &BenchArgs) -> Result<(), Failure> {
    check(args)?;
    if args.server {
        let address = args.address.as_deref().map(|host| device::resolve(host, args.port)).transpose()?;
        let ip = address.map_or_else(device::outward, |address| Ok(address.ip()))?;
        return server::run(style, &args.device, SocketAddr::new(ip, args.port), true);
    }
    if let Some(host) = &args.address {
        return client::run(style, args, device::resolve(host, args.port)?);
    }
    both(style, args)
}

/// Both ends in this process, a thread each, over loopback.
fn both(style: &Style, args: &BenchArgs) -> Result<(), Failure> {
    let IpAddr::V4(near) = device::facing(Ipv4Addr::LOCALHOST.into())? else {
        return Err(Failure::Usage("no loopback addresses".into()));
    };
    let far = Ipv4Addr::from(u32::from(near) ^ 1 << 20);
    let address = SocketAddr::new(far.into(), args.port);
    // The capture and the counters are the client's: of two devices' they could not be told apart.
    let options = super::args::DeviceArgs { capture: None, counters: false, ..args.device.clone() };
    let quiet = *style;
    let serving = std::thread::Builder::new().name("server".into());
    let server =
        serving.spawn(move || server::run(&quiet, &options, address, false)).map_err(Failure::Start)?;
    let outcome = client::run_from(style, args, near.into(), address);
    let served = server.join().unwrap_or(Err(Failure::Interrupted));
    outcome.and(served)
}

/// What no two ends can do.
fn check(args: &BenchArgs) -> Result<(), Failure> {
    let usage = |text: &str| Err(Failure::Usage(text.into()));
    match (args.service, args.op) {
        (Service::Ud, Operation::Write)
        | (Service::Uc | Service::Ud, Operation::Read | Operation::Atomic) => {
            usage("this service has no such operation: uc sends and writes, ud sends")
        }
        (_, Operation::Atomic) if args.size != 8 => usage("an atomic operation is of --size 8"),
        _ if args.size == 0 || args.size > SIZE_MAX => usage("--size is from 1 byte to 64 MiB"),
        _ => Ok(()),
    }
}

impl Service {
    const fn transport(self) -> Transport {
        match self {
            Self::Rc => Transport::ReliableConnection,
            Self::Uc => Transport::UnreliableConnection,
            Self::Ud => Transport::UnreliableDatagram,
        }
    }
}

/// Has a queue pair send to, and take from, the one at the other end.
fn raise(
    local: &mut device::Local,
    qp: verbs::QpId,
    service: Service,
    ours: u32,
    peer: IpAddr,
    theirs: &message::Place,
) -> Result<(), Failure> {
    use verbs::Provider;
    let config = *local.device.config();
    let peer = (service != Service::Ud).then_some(Peer {
        address: peer,
        qpn: theirs.qpn,
        psn: theirs.psn,
        mtu: config.mtu.min(theirs.mtu),
        responder_resources: READS,
        rnr_timer: config.rnr_timer,
    });
    let sends = Transition::ReadyToSend {
        psn: ours,
        ack_timeout: config.ack_timeout,
        retry_count: 7,
        rnr_retry_count: 7,
        initiator_depth: READS,
    };
    for transition in [Transition::ReadyToReceive(peer), sends] {
        let refused = |_| Failure::Refused(verbs::CreateError::Invalid);
        local.device.modify_qp(qp, &transition).map_err(refused)?;
    }
    Ok(())
}

/// What the connection for agreeing is like.
const PARAMETERS: Parameters =
    Parameters { responder_resources: 1, initiator_depth: 1, retry_count: 7, rnr_retry_count: 7 };
/// The queues of the connection for agreeing, and of a queue pair that only sends.
const CONTROL: Receives = Receives::Own { entries: 4, sges: 1 };
/// Reads and atomics under way at once.
const READS: u8 = 16;
/// Bytes of the longest message.
const SIZE_MAX: u64 = 64 << 20;
/// What peers may do with the memory that is measured.
const ACCESS: Access = Access::LOCAL_WRITE.with(Access::REMOTE);
/// Messages that may be answered before they are acknowledged, as acknowledgements wait for each other.
const UNACKNOWLEDGED: u32 = 64;
/// Bytes about the sender before a datagram.
const SENDER_LEN: u32 = 40;
