//! `weft serve` without a word about volumes: every line it prints for Linux is typed as it is, and there is a URL for each protocol.
//!
//! On the machine that serves, those of RDMA would need another address to come from: two devices cannot share one. Elsewhere
//! other scenarios use such.

use super::plain;
use crate::guest::HOST_ADDRESS;
use crate::interop::Scenario;
use crate::interop::lab::{Daemon, Lab, Script};
use anyhow::{Context, Result, ensure};

/// What stands before the lines for Linux, what must be in them, and whether they are by RDMA: one for each protocol.
const LABELS: [(&str, &str, bool); 5] = [
    ("From Linux", "nvme connect -t tcp", false),
    ("RDMA, Linux", "nvme connect -t rdma", true),
    ("iSCSI, Linux", "iscsiadm", false),
    ("iSER, Linux", "-I iser", true),
    ("SRP, Linux", "add_target", true),
];
/// What stands before the line that comes before those by RDMA.
const CARD: &str = "No card, Linux";
/// How the URLs begin, one for each protocol, and whether it is by streams.
const SCHEMES: [(&str, bool); 5] = [
    ("nvme+tcp://", true),
    ("nvme+rdma://", false),
    ("iscsi://", true),
    ("iser://", false),
    ("srp://", false),
];

/// The scenarios.
pub fn scenarios() -> Vec<Scenario> {
    let scenario = |name, about, run| Scenario { name, about, needs_weft: true, run };
    vec![scenario(
        "storage-rdma-serve",
        "one volume over five protocols: each line that weft serve prints for Linux",
        serve,
    )]
}

fn serve(lab: &Lab) -> Result<()> {
    plain(lab)?;
    let daemon = Daemon::start(lab, &["--listen", HOST_ADDRESS])?;
    let said = daemon.said();
    let card = commands(&said, CARD);
    for (label, words, is_rdma) in LABELS {
        let commands = format!("{}{}", if is_rdma { &card } else { "" }, commands(&said, label));
        ensure!(commands.contains(words), "no {words} under {label} in:\n{said}");
        let script = Script::new("", include_str!("inside/served.sh"));
        lab.inside(&script.set("COMMANDS", &commands).within(120))?;
    }
    for (scheme, by_streams) in SCHEMES {
        let url = said.split_whitespace().find(|word| word.starts_with(scheme));
        let url = url.with_context(|| format!("no {scheme} in:\n{said}"))?;
        if by_streams {
            let info = lab.weft_says(&["--json", "info", url])?;
            ensure!(info.contains("1073741824"), "the volume's GiB is not in: {info}");
        }
    }
    daemon.finish()
}

/// The lines under a label: the one that it stands before, and those that no label stands before.
fn commands(said: &str, label: &str) -> String {
    let mut lines = said.lines().skip_while(|line| !line.starts_with(label));
    let first = lines.next().and_then(|line| line.strip_prefix(label)).unwrap_or_default();
    let rest = lines.take_while(|line| line.starts_with(' '));
    std::iter::once(first).chain(rest).map(|line| format!("{}\n", line.trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::commands;

    #[test]
    fn the_lines_under_a_label_are_its_own() {
        let said = "One, Linux   a\n             b\nTwo, Linux   c\n             d\nThree        e\n";
        assert_eq!(commands(said, "One, Linux"), "a\nb\n");
        assert_eq!(commands(said, "Two, Linux"), "c\nd\n");
        assert_eq!(commands(said, "Four"), "\n");
    }
}
