//! The directory by which programs of several containers meet.

use crate::error::Failure;
use launch::environment::{DOOR, OTHERS_MAY_WRITE};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// Where it is, once it is known to be one; names that killed programs left are gone.
pub fn directory(path: &Path) -> Result<PathBuf, Failure> {
    let file = |why| Failure::File { path: path.into(), why };
    let refused = |why: String| Err(Failure::Config { path: path.into(), why });
    let absolute = fs::canonicalize(path).map_err(file)?;
    let about = fs::metadata(&absolute).map_err(file)?;
    if !about.is_dir() {
        return refused("not a directory".into());
    }
    if about.mode() & OTHERS_MAY_WRITE != 0 {
        return refused("others than its owner can write to it; `chmod go-w` it".into());
    }
    let user = fs::metadata("/proc/self").map_err(Failure::Start)?.uid();
    if user != 0 && user != about.uid() {
        return refused(format!(
            "it is user {}'s, and programs meet there as that user; `chown` it",
            about.uid()
        ));
    }
    sweep(&absolute);
    Ok(absolute)
}

/// Removes doors that nobody has any more.
fn sweep(directory: &Path) {
    let Ok(opened) = File::open(directory) else { return };
    // Short enough for a socket's name wherever the directory is.
    let short = PathBuf::from(format!("/proc/self/fd/{}", opened.as_raw_fd()));
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let is_socket = entry.file_type().is_ok_and(|kind| kind.is_socket());
        let is_door = is_socket && entry.file_name().as_bytes().starts_with(DOOR.as_bytes());
        if is_door && is_left(&short.join(entry.file_name())) {
            // Somebody else may have done so.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Who waits there for a stream refuses datagrams in another way than nobody does.
fn is_left(path: &Path) -> bool {
    let asked = UnixDatagram::unbound().and_then(|socket| socket.connect(path));
    asked.is_err_and(|why| why.kind() == ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_directory_is_its_owners_and_keeps_what_is_used() {
        let path = std::env::temp_dir().join(format!("weft-run-shared-{:0>40}", std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&path).expect("a new one");
        let opened = File::open(&path).expect("it is ours");
        let bind = |name: &str| UnixListener::bind(format!("/proc/self/fd/{}/{name}", opened.as_raw_fd()));
        // As long as a door's.
        let left = format!("{DOOR}{}", "left".repeat(19));
        let used = format!("{DOOR}used");
        drop(bind(&left).expect("a socket"));
        drop(bind("others").expect("a socket"));
        let _used = bind(&used).expect("a socket");
        fs::write(path.join("file"), "").expect("it is ours");
        assert_eq!(directory(&path).expect("it is ours"), fs::canonicalize(&path).expect("it is there"));
        let there = |name: &str| path.join(name).exists();
        assert_eq!((there(&left), there(&used), there("file")), (false, true, true));
        assert!(there("others"), "it may be a service's that has stopped");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o770)).expect("it is ours");
        let refused = directory(&path).expect_err("others can write to it").to_string();
        assert!(refused.contains("chmod go-w"), "{refused}");
        assert!(directory(&path.join("file")).is_err());
        fs::remove_dir_all(&path).expect("it is ours");
        assert!(directory(&path).is_err());
    }
}
