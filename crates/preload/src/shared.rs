//! The directory by which programs meet that have no network namespace in common, as containers: `weft run --shared`.
//!
//! Names in it are doors, as abstract names are where both ends have a namespace in common. The kernel tells nothing of who holds
//! a socket in another namespace, so the directory itself says whom to believe: its owner, who alone can make names in it.

use crate::private;
use launch::environment::SHARED;
use libc::{O_CLOEXEC, O_DIRECTORY, O_PATH, c_int};
use std::ffi::CString;
use std::mem::zeroed;
use std::os::unix::ffi::OsStringExt;
use std::sync::OnceLock;

/// A directory that was opened when the process began: it may have another root by now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Directory {
    /// The descriptor.
    pub fd: c_int,
    /// The user whom those who meet in it must be.
    pub owner: u32,
}

static DIRECTORY: OnceLock<Option<Directory>> = OnceLock::new();

/// Opens it while there is one thread.
pub fn begin() {
    directory();
}

/// The directory, if there is one.
pub fn directory() -> Option<Directory> {
    *DIRECTORY.get_or_init(|| open(CString::new(std::env::var_os(SHARED)?.into_vec()).ok()?))
}

/// Opens it, if its owner alone can make names in it.
pub fn open(path: CString) -> Option<Directory> {
    // SAFETY: the path is a C string.
    let fd = private::keep(unsafe { libc::open(path.as_ptr(), O_PATH | O_DIRECTORY | O_CLOEXEC) })?;
    // SAFETY: a type of the C library's that zeroes are a value of.
    let mut about: libc::stat = unsafe { zeroed() };
    // SAFETY: it writes to a place of its type.
    let is_told = unsafe { libc::fstat(fd, &mut about) } == 0;
    if is_told && about.st_mode & launch::environment::OTHERS_MAY_WRITE == 0 {
        return Some(Directory { fd, owner: about.st_uid });
    }
    private::close(fd);
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

    #[test]
    fn a_directory_that_others_may_write_to_is_none() {
        let path = std::env::temp_dir().join(format!("weft-shared-{}", std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&path).expect("a new one");
        let opened = || open(CString::new(path.clone().into_os_string().into_vec()).expect("no zeroes"));
        // SAFETY: it takes nothing.
        let me = unsafe { libc::geteuid() };
        let directory = opened().expect("it is ours");
        assert_eq!(directory.owner, me);
        private::close(directory.fd);
        for mode in [0o770, 0o707] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
            assert_eq!(opened(), None);
        }
        fs::remove_dir(&path).expect("it is empty");
        assert_eq!(opened(), None);
    }
}
