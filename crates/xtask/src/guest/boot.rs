//! What QEMU is given to boot: Debian's kernel, unpacked, and an initramfs that finds the root.
//!
//! The kernel is unpacked here, on the host: QEMU enters an ELF kernel directly (PVH), and an emulator that decompresses
//! for itself takes longer than all the rest of the boot.

use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the root needs before it is there.
const EARLY_MODULES: &[&str] = &["virtio_pci", "virtio_net", "virtio_rng", "9p", "9pnet_virtio", "overlay"];

/// How an xz stream begins.
const XZ_MAGIC: &[u8] = b"\xfd7zXZ\0";

/// The files for `-kernel` and `-initrd`.
pub struct Images {
    /// The kernel as an ELF file.
    pub kernel: PathBuf,
    /// The initramfs.
    pub initramfs: PathBuf,
}

/// Makes both from the guest's root.
///
/// # Errors
/// When the root holds no kernel, or one that is not compressed by xz.
pub fn images(root: &Path) -> Result<Images> {
    let version = kernel_version(root)?;
    let directory = super::directory();
    let kernel = directory.join(format!("vmlinux-{version}"));
    if !kernel.exists() {
        let unpacked = decompress(&fs::read(root.join(format!("boot/vmlinuz-{version}")))?)?;
        fs::write(kernel.with_extension("new"), unpacked)?;
        fs::rename(kernel.with_extension("new"), &kernel)?;
    }
    let initramfs = directory.join(format!("initramfs-{}", std::process::id()));
    fs::write(&initramfs, archive(&early_files(root, &version)?))?;
    Ok(Images { kernel, initramfs })
}

/// The version of the one kernel in the root.
pub fn kernel_version(root: &Path) -> Result<String> {
    let names =
        fs::read_dir(root.join("boot"))?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names
        .filter_map(|name| Some(name.strip_prefix("vmlinuz-")?.to_owned()))
        .max()
        .context("the root has no kernel")
}

fn decompress(image: &[u8]) -> Result<Vec<u8>> {
    let start = image.windows(XZ_MAGIC.len()).position(|window| window == XZ_MAGIC);
    let stream = image[start.context("the kernel is not compressed by xz")?..].to_vec();
    // What follows the stream in the image is not xz's, which --single-stream forgives.
    let mut xz = Command::new("xz")
        .args(["--decompress", "--stdout", "--single-stream"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run xz")?;
    let mut input = xz.stdin.take().context("no input of xz")?;
    let feeder = std::thread::spawn(move || input.write_all(&stream));
    let output = xz.wait_with_output()?;
    // xz leaves the rest of the image unread; only its own word counts.
    let _ = feeder.join();
    ensure!(output.status.success() && output.stdout.starts_with(b"\x7fELF"), "xz did not find the kernel");
    Ok(output.stdout)
}

fn early_files(root: &Path, version: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let modules = root.join("lib/modules").join(version);
    let dependencies = Dependencies::parse(&fs::read_to_string(modules.join("modules.dep"))?);
    let order = dependencies.order(EARLY_MODULES)?;
    let mut files = vec![
        ("init".into(), include_bytes!("inside/init.sh").to_vec()),
        ("agent".into(), include_bytes!("inside/agent.sh").to_vec()),
        ("busybox".into(), fs::read(root.join("bin/busybox"))?),
        ("modules".into(), order.iter().flat_map(|name| format!("{name}\n").into_bytes()).collect()),
    ];
    for name in order {
        files.push((format!("{name}.ko"), fs::read(modules.join(&dependencies.paths[name].0))?));
    }
    Ok(files)
}

/// `modules.dep`: for each module its file and the modules it needs.
struct Dependencies {
    paths: BTreeMap<String, (String, Vec<String>)>,
}

impl Dependencies {
    fn parse(text: &str) -> Dependencies {
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        let entry = |(path, needs): (&str, &str)| {
            (module_name(path), (path.to_owned(), needs.split_whitespace().map(module_name).collect()))
        };
        Dependencies { paths: lines.map(entry).collect() }
    }

    /// The modules and all they need, each after what it needs.
    fn order<'a>(&'a self, wanted: &[&str]) -> Result<Vec<&'a str>> {
        let mut order = Vec::new();
        for name in wanted {
            self.visit(name, &mut order)?;
        }
        Ok(order)
    }

    fn visit<'a>(&'a self, name: &str, order: &mut Vec<&'a str>) -> Result<()> {
        let (name, (_, needs)) =
            self.paths.get_key_value(name).with_context(|| format!("the kernel has no module {name}"))?;
        if !order.contains(&name.as_str()) {
            for need in needs {
                self.visit(need, order)?;
            }
            order.push(name);
        }
        Ok(())
    }
}

fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split('.').next().unwrap_or(file).replace('-', "_")
}

/// A flat archive in the format the kernel reads (newc: six magic digits, thirteen hexadecimal numbers, name, data).
fn archive(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    let pad = |out: &mut Vec<u8>| out.resize(out.len().next_multiple_of(4), 0);
    for (index, (name, data)) in
        files.iter().map(|(name, data)| (name.as_str(), &data[..])).chain([TRAILER]).enumerate()
    {
        let (inode, mode, links, size, name_size) = (index, 0o100_755, 1, data.len(), name.len() + 1);
        out.extend(b"070701");
        for number in [inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name_size, 0] {
            out.extend(format!("{number:08x}").bytes());
        }
        out.extend(name.bytes());
        out.push(0);
        pad(&mut out);
        out.extend(data);
        pad(&mut out);
    }
    out
}

/// How such an archive ends.
const TRAILER: (&str, &[u8]) = ("TRAILER!!!", &[]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_comes_after_what_it_needs() {
        let text = "kernel/net/9p/9pnet.ko: kernel/fs/fscache.ko\nkernel/fs/fscache.ko:\nkernel/fs/9p/9p.ko.xz: kernel/net/9p/9pnet.ko kernel/fs/fscache.ko\n";
        let dependencies = Dependencies::parse(text);
        assert_eq!(dependencies.order(&["9p", "9pnet"]).unwrap(), ["fscache", "9pnet", "9p"]);
        assert!(dependencies.order(&["e1000"]).is_err());
    }

    #[test]
    fn an_archive_is_aligned_and_ends_with_its_trailer() {
        let bytes = archive(&[("a".into(), b"12345".to_vec())]);
        assert_eq!(bytes.len() % 4, 0);
        assert_eq!(&bytes[110..112], b"a\0");
        assert_eq!(&bytes[112..117], b"12345");
        assert!(bytes.windows(11).any(|window| window == b"TRAILER!!!\0"));
    }
}
