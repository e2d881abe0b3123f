//! Where the workspace lies and what it consists of, as `git` and `cargo metadata` tell it.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace's root directory: two above this crate.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("crates/xtask lies in the workspace")
        .into()
}

/// The directory cargo builds into, honouring `CARGO_TARGET_DIR`.
pub fn target_directory() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// True on a CI machine, where whatever cannot run is a failure.
pub fn on_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

/// A package of the workspace, as far as the checks need to know it.
#[derive(Debug, Default)]
pub struct Package {
    /// Its name, which is also its directory under `crates/`.
    pub name: String,
    /// Roots of the library and the binaries, relative to the workspace.
    pub roots: Vec<PathBuf>,
    /// Everything it names in `Cargo.toml`.
    pub imports: Vec<Import>,
}

/// One dependency of a package.
#[derive(Debug)]
pub struct Import {
    /// The crate depended on.
    pub name: String,
    /// It is a member of this workspace.
    pub is_local: bool,
    /// It is needed by tests alone.
    pub is_for_tests: bool,
}

/// The workspace's packages.
///
/// # Errors
/// When cargo cannot be run or does not understand a manifest.
pub fn packages() -> Result<Vec<Package>> {
    let output = Command::new("cargo")
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .context("cannot run cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    Ok(packages.iter().map(package).collect())
}

fn package(json: &Value) -> Package {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let is_root = |target: &Value| {
        list(&target["kind"])
            .iter()
            .any(|kind| matches!(kind.as_str(), Some("lib" | "bin" | "cdylib" | "rlib")))
    };
    Package {
        name: text(&json["name"]),
        roots: list(&json["targets"])
            .iter()
            .filter(|target| is_root(target))
            .map(|target| relative(Path::new(&text(&target["src_path"]))))
            .collect(),
        imports: list(&json["dependencies"])
            .iter()
            .map(|import| Import {
                name: text(&import["name"]),
                is_local: import["path"].is_string(),
                is_for_tests: import["kind"] == "dev",
            })
            .collect(),
    }
}

/// Files that git tracks, or would track once added, relative to the workspace.
///
/// # Errors
/// When this is not a git checkout.
pub fn files() -> Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .context("cannot run git")?;
    ensure!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(names
        .split('\0')
        .filter(|name| !name.is_empty() && root().join(name).is_file())
        .map(PathBuf::from)
        .collect())
}

fn relative(path: &Path) -> PathBuf {
    path.strip_prefix(root()).unwrap_or(path).into()
}
