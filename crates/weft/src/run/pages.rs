//! The pages of this user's programs: which there are, and who has them.

use super::folder;
use launch::page::Snapshot;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

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
    let Some(folder) = folder() else { return Vec::new() };
    let mut owners = owners(&folder);
    let mut pages = Vec::new();
    for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        // One that is being made has no magic yet.
        let Some(snapshot) = fs::read(entry.path()).ok().and_then(|bytes| Snapshot::read(&bytes)) else {
            continue;
        };
        pages.push(Page { processes: owners.remove(&name).unwrap_or_default(), name, snapshot });
    }
    pages.sort_by(|one, other| one.name.cmp(&other.name));
    pages
}

/// Removes those whose processes have all ended.
pub fn sweep() {
    let Some(folder) = folder() else { return };
    for page in all().iter().filter(|page| page.processes.is_empty()) {
        // Somebody else may have done so.
        let _ = fs::remove_file(folder.join(&page.name));
    }
}

/// Processes that are killed leave theirs; before too many lie about they are removed. To look who has them takes a while.
pub fn sweep_if_many() {
    let count = folder().and_then(|folder| fs::read_dir(folder).ok()).map_or(0, Iterator::count);
    if count > LEFT_MAX {
        sweep();
    }
}

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
