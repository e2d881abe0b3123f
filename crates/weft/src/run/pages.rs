//! The pages of this user's programs: which there are, and who has them.
//!
//! A program that changes its user has its page among those of its new one. So root, who can run such programs, sees the
//! pages of all; what lies in the folders of others is read with care, and never removed.

use launch::environment::directory;
use launch::page::{PAGE_LEN, Snapshot};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A page, and the processes that have it.
#[derive(Debug)]
pub struct Page {
    /// The run's name and the process that made the page.
    pub name: String,
    /// Processes that have it mapped; none if all have ended.
    pub processes: Vec<u32>,
    /// What it says.
    pub snapshot: Snapshot,
}

/// All there are, by name.
pub fn all() -> Vec<Page> {
    let mut pages: Vec<Page> = folders().iter().flat_map(|folder| pages(folder)).collect();
    pages.sort_by(|one, other| one.name.cmp(&other.name));
    pages
}

fn pages(folder: &Path) -> Vec<Page> {
    let mut owners = owners(folder);
    let mut pages = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        // One that is being made has no magic yet.
        let Some(snapshot) = read(&entry.path()).and_then(|bytes| Snapshot::read(&bytes)) else { continue };
        pages.push(Page { processes: owners.remove(&name).unwrap_or_default(), name, snapshot });
    }
    pages
}

/// A file's bytes, if it is a file, and no more of them than a page has.
fn read(path: &Path) -> Option<Vec<u8>> {
    fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file)?;
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(PAGE_LEN as u64).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// This user's pages lie here.
fn own() -> Option<(u32, PathBuf)> {
    let user = fs::metadata("/proc/self").ok()?.uid();
    Some((user, directory(user)))
}

/// Where pages lie that this user may read.
fn folders() -> Vec<PathBuf> {
    let Some((user, own)) = own() else { return Vec::new() };
    let mut folders = vec![own];
    if user == 0 {
        let shared = folders[0].parent().map(Path::to_owned);
        let entries = shared.and_then(|shared| fs::read_dir(shared).ok()).into_iter().flatten().flatten();
        // Each user's folder has the name that goes with its owner, or is none.
        let is_owners = |path: &PathBuf| {
            let about = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_dir);
            about.is_some_and(|about| about.uid() != 0 && directory(about.uid()) == *path)
        };
        folders.extend(entries.map(|entry| entry.path()).filter(is_owners));
    }
    folders
}

/// Removes those of our own whose processes have all ended.
pub fn sweep() {
    let Some((_, folder)) = own() else { return };
    for page in pages(&folder).iter().filter(|page| page.processes.is_empty()) {
        let path = folder.join(&page.name);
        // A process that has just made its page has not mapped it yet.
        let age =
            fs::metadata(&path).and_then(|about| about.modified()).ok().and_then(|made| made.elapsed().ok());
        if age.is_some_and(|age| age > JUST_MADE) {
            // Somebody else may have done so.
            let _ = fs::remove_file(path);
        }
    }
}

/// Processes that are killed leave theirs; before too many lie about they are removed. To look who has them takes a while.
pub fn sweep_if_many() {
    let count = own().and_then(|(_, folder)| fs::read_dir(folder).ok()).map_or(0, Iterator::count);
    if count > LEFT_MAX {
        sweep();
    }
}

/// A page that is younger than this may be about to be mapped.
const JUST_MADE: Duration = Duration::from_secs(10);
/// Pages of two mebibytes.
const LEFT_MAX: usize = 8;

/// Who has which page, as the kernel's maps of our processes tell.
fn owners(folder: &Path) -> BTreeMap<String, Vec<u32>> {
    let mut owners: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    let prefix = format!("{}/", folder.display());
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // Those of other users cannot be read, and have none of ours.
        let maps = fs::read_to_string(entry.path().join("maps")).unwrap_or_default();
        let found = maps.lines().find_map(|line| line.split_once(&prefix)).map(|(_, name)| name);
        if let Some(name) = found {
            owners.entry(name.trim_end_matches(" (deleted)").to_owned()).or_default().push(process);
        }
    }
    owners
}
