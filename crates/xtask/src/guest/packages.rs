//! The guest's root directory: Debian packages with all they depend on, unpacked side by side.
//!
//! apt resolves the closure as if nothing were installed and only downloads it; no maintainer script ever runs. The few
//! files such scripts would have made are written here.

use super::process::succeed;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the scenarios call in the guest, and the kernel.
const PACKAGES: &[&str] = &[
    "linux-image-amd64",
    "busybox-static",
    "bash",
    "coreutils",
    "diffutils",
    "e2fsprogs",
    "ethtool",
    "findutils",
    "fio",
    "gawk",
    "grep",
    "hostname",
    "ibverbs-providers",
    "ibverbs-utils",
    "iproute2",
    "iputils-ping",
    "kmod",
    "libiscsi-bin",
    "mount",
    "nvme-cli",
    "open-iscsi",
    "perftest",
    "procps",
    "psmisc",
    "rdmacm-utils",
    "sed",
    "sg3-utils",
    "strace",
    "tcpdump",
    "util-linux",
];

/// Files that maintainer scripts would have made.
const FILES: &[(&str, &str)] = &[
    (
        "etc/passwd",
        "root:x:0:0:root:/:/bin/bash\nnobody:x:65534:65534::/:/bin/false\ntcpdump:x:101:65534::/:/bin/false\n",
    ),
    ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
    ("etc/hosts", "127.0.0.1 localhost\n"),
    ("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"),
];

/// Directories the guest mounts over.
const MOUNT_POINTS: &[&str] = &["proc", "sys", "dev", "tmp", "run", "jobs", "mnt"];

/// The root directory, made now if it does not exist or was made of other packages.
///
/// # Errors
/// When apt cannot download, or an archive cannot be unpacked.
pub fn unpack() -> Result<PathBuf> {
    let directory = super::directory();
    let (root, stamp) = (directory.join("root"), directory.join("root.made-of"));
    let recipe = format!("{PACKAGES:?}{FILES:?}{MOUNT_POINTS:?}");
    if fs::read_to_string(&stamp).is_ok_and(|made_of| made_of == recipe) {
        return Ok(root);
    }
    eprintln!("making the guest's root in {} (once)", root.display());
    let archives = download(&directory)?;
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    merged_directories(&root)?;
    for archive in archives {
        extract(&archive, &root).with_context(|| format!("cannot unpack {}", archive.display()))?;
    }
    finish(&root)?;
    fs::write(stamp, recipe)?;
    Ok(root)
}

/// Fetches the closure of `PACKAGES` with the lists of this machine's apt.
fn download(directory: &Path) -> Result<Vec<PathBuf>> {
    let archives = directory.join("archives");
    fs::create_dir_all(archives.join("partial"))?;
    let nothing_installed = directory.join("nothing-installed");
    fs::write(&nothing_installed, "")?;
    let mut apt = Command::new("apt-get");
    for (option, value) in [
        ("Dir::State::status", nothing_installed.as_path()),
        ("Dir::Cache", directory),
        ("Dir::Cache::archives", &archives),
    ] {
        apt.arg("-o").arg(format!("{option}={}", value.display()));
    }
    apt.args([
        "-o",
        "APT::Install-Recommends=false",
        "-o",
        "Debug::NoLocking=true",
        "-o",
        "APT::Sandbox::User=",
    ]);
    apt.args(["-qq", "-y", "--download-only", "install"]).args(PACKAGES);
    if succeed(&mut apt).is_err() {
        // The lists are absent or old. Only root may renew them, so a failure here shows in the second try.
        let _ = succeed(Command::new("apt-get").args(["-qq", "update"]));
        succeed(&mut apt)?;
    }
    let mut found: Vec<_> = fs::read_dir(&archives)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "deb"));
    found.sort();
    Ok(found)
}

/// `/bin` and its like are links into `/usr`, as Debian has them since release 12.
fn merged_directories(root: &Path) -> Result<()> {
    for name in ["bin", "sbin", "lib", "lib64"] {
        fs::create_dir_all(root.join("usr").join(name))?;
        symlink(Path::new("usr").join(name), root.join(name))?;
    }
    Ok(())
}

fn extract(archive: &Path, root: &Path) -> Result<()> {
    let mut unpacker =
        Command::new("dpkg-deb").arg("--fsys-tarfile").arg(archive).stdout(Stdio::piped()).spawn()?;
    let stream = unpacker.stdout.take().context("no output of dpkg-deb")?;
    let tar =
        Command::new("tar").arg("-xC").arg(root).arg("--keep-directory-symlink").stdin(stream).status()?;
    ensure!(unpacker.wait()?.success() && tar.success(), "dpkg-deb or tar failed");
    Ok(())
}

fn finish(root: &Path) -> Result<()> {
    for (name, text) in FILES {
        fs::write(root.join(name), text)?;
    }
    for name in MOUNT_POINTS {
        fs::create_dir_all(root.join(name))?;
    }
    for (name, program) in [("sh", "bash"), ("awk", "gawk")] {
        let link = root.join("usr/bin").join(name);
        if link.symlink_metadata().is_ok() {
            fs::remove_file(&link)?;
        }
        symlink(program, link)?;
    }
    succeed(Command::new("/sbin/ldconfig").arg("-r").arg(root))?;
    succeed(Command::new("/sbin/depmod").arg("-b").arg(root).arg(super::boot::kernel_version(root)?))
}
