//! Storage over RDMA between two processes of this machine, through shared memory and as soft RoCE, beside the same volume over
//! streams.
//!
//! One daemon serves one volume by every protocol. Its RDMA device has one loopback address and the client's another.

use super::contender::{Contender, WeftBench};
use super::process::Server;
use super::{Options, Programs, Workload};
use anyhow::{Context, Result};
use serde_json::Value;
use std::rc::Rc;

/// Weft with Weft, by each protocol.
pub fn contenders(options: &Options, programs: &Programs) -> Result<Vec<Contender>> {
    let arguments = ["serve", "--json", "--ram", &options.volume];
    let server = Rc::new(Server::start(options.target(), &programs.weft, &arguments)?);
    let said: Value = serde_json::from_str(&server.line).context("what weft serve said")?;
    let url = |kind: &str, field: &str| {
        let url = said[kind][0][field].as_str().map(str::to_owned);
        url.with_context(|| format!("weft serve names no {field} of its {kind}: {}", said["notes"]))
    };
    let by_streams = bench(options, programs, url("namespaces", "url")?);
    by_streams.fill()?;
    let iscsi = url("luns", "url")?;
    let by_iscsi = bench(options, programs, iscsi.clone());
    let device = |url: &str| bench(options, programs, from_another_address(url));
    let nvme = device(&url("namespaces", "rdma_url")?);
    let iser = device(&iscsi.replacen("iscsi:", "iser:", 1));
    let srp = device(&srp_url(&said).with_context(|| format!("no SRP: {}", said["notes"]))?);
    let [nvme_packets, iser_packets, srp_packets] = [&nvme, &iser, &srp].map(|end| end.clone().by_packets());
    let seconds = options.seconds;
    let contender = |name, against, bench: WeftBench| {
        let server = Rc::clone(&server);
        Contender::new(name, against, move |workload: &Workload| {
            let figures = bench.measure(workload, seconds).map(Some);
            figures.with_context(|| format!("process {}", server.id()))
        })
    };
    Ok(vec![
        contender("nvme-tcp", &[], by_streams),
        contender("iscsi", &[], by_iscsi),
        contender("nvme-memory", &[0], nvme),
        contender("iser-memory", &[0], iser),
        contender("srp-memory", &[0, ISER], srp),
        contender("nvme-roce", &[0], nvme_packets),
        contender("iser-roce", &[0], iser_packets),
        contender("srp-roce", &[0], srp_packets),
    ])
}

/// The first unit over SRP, of what the daemon said.
fn srp_url(said: &Value) -> Option<String> {
    let (listener, unit) = (said["srp_listeners"][0].as_str()?, &said["srp_luns"][0]);
    let (extension, guid) = (unit["id_ext"].as_str()?, unit["ioc_guid"].as_str()?);
    Some(format!("srp://{listener}/{extension}{guid}/{}", unit["lun"]))
}

fn bench(options: &Options, programs: &Programs, url: String) -> WeftBench {
    WeftBench::new(options, &programs.weft, url)
}

/// Two devices cannot share an address.
fn from_another_address(url: &str) -> String {
    let behind = if url.contains('?') { '&' } else { '?' };
    format!("{url}{behind}from={CLIENT}")
}

/// The place of iSER through shared memory, which SRP is held against: both do the same work.
const ISER: usize = 3;

/// Where the client's device is.
const CLIENT: &str = "127.0.0.2";
