//! libiscsi's small programs and QEMU's block driver, on this machine's loopback.

use super::{ram_units, serve_here, succeed, url_here};
use crate::interop::Scenario;
use crate::interop::iscsi::{IQN, PORT_HERE};
use crate::interop::lab::Lab;
use anyhow::{Result, ensure};
use std::fs;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);
const MIB: u64 = 1 << 20;

/// The scenarios.
pub fn scenarios() -> Vec<Scenario> {
    let scenario = |name, about, run| Scenario { name, about, needs_weft: true, run };
    vec![
        scenario("iscsi-programs", "iscsi-ls, iscsi-inq, iscsi-swp and iscsi-perf", programs),
        scenario("iscsi-qemu", "qemu-img converts, compares and measures", qemu),
    ]
}

fn programs(lab: &Lab) -> Result<()> {
    let daemon = serve_here(lab, &ram_units(&[(64 * MIB, 512), (32 * MIB, 4096)]))?;
    let listing = says("iscsi-ls", &["-s", &format!("iscsi://127.0.0.1:{PORT_HERE}")])?;
    ensure!(listing.contains(IQN), "the target is not in: {listing}");
    ensure!(listing.matches("DIRECT_ACCESS").count() == 2, "two disks are not in: {listing}");
    // The pages it can decode; sg_vpd looks at the others.
    for page in [0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2] {
        says("iscsi-inq", &["-e", "1", "-c", &format!("{page}"), &url_here(0)])?;
    }
    let standard = says("iscsi-inq", &[&url_here(0)])?;
    ensure!(standard.contains("DIRECT_ACCESS"), "no disk in: {standard}");
    let protect = |option| says("iscsi-swp", &["-s", option, &url_here(0)]);
    ensure!(protect("on")?.contains("ON"), "write protection does not come on");
    let refused = Command::new("qemu-io").args(["-f", "raw", "-c", "write 0 4k", &url_here(0)]).output()?;
    ensure!(!refused.status.success(), "a write-protected unit was written");
    ensure!(protect("off")?.contains("OFF"), "write protection does not go off");
    says("iscsi-perf", &["-m", "32", "-b", "8", "-t", "2", "-r", &url_here(0)])?;
    daemon.finish()
}

fn qemu(lab: &Lab) -> Result<()> {
    let daemon = serve_here(lab, &ram_units(&[(64 * MIB, 512), (64 * MIB, 4096)]))?;
    let image = lab.file("qemu.img");
    let words = 0..(64 * MIB as u32) / 4;
    fs::write(
        &image,
        words.flat_map(|word| word.wrapping_mul(2_654_435_761).to_le_bytes()).collect::<Vec<_>>(),
    )?;
    let image = image.display().to_string();
    let copy = lab.file("qemu.copy").display().to_string();
    for unit in [0, 1] {
        let url = url_here(unit);
        says("qemu-img", &["convert", "-n", "-f", "raw", "-O", "raw", &image, &url])?;
        says("qemu-img", &["compare", "-f", "raw", "-F", "raw", &image, &url])?;
        says("qemu-img", &["convert", "-f", "raw", "-O", "raw", &url, &copy])?;
        ensure!(fs::read(&image)? == fs::read(&copy)?, "what came back from unit {unit} is not what went in");
        for direction in [&["-w"][..], &[]] {
            let flags = ["bench", "-f", "raw", "-t", "none", "-c", "5000", "-d", "32", "-s", "4096"];
            says("qemu-img", &[&flags[..], direction, &[&url]].concat())?;
        }
    }
    daemon.finish()
}

/// What a program prints, if it ends well.
fn says(program: &str, arguments: &[&str]) -> Result<String> {
    let output = succeed(Command::new(program).args(arguments), LIMIT)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
}
