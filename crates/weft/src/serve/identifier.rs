//! Identifiers of namespaces that must not change when the daemon starts anew.
//!
//! A host that reconnects compares a namespace's identifiers with those it knew (NVMe Base 2.0, 4.5.1, "UUID"), and takes
//! a namespace whose UUID changed for another one: it fails what it held back for it. What is on a file outlives the
//! daemon, so its UUID follows from the subsystem and the file; what is in RAM does not, and gets a new one.

use std::path::Path;
use wire::nvme::Nqn;

/// The UUID under which a subsystem serves a file.
pub(super) fn of_file(subsystem: &Nqn, path: &Path) -> [u8; 16] {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = format!("{subsystem}\n{}", path.display());
    stdx::uuid::of_name(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nqn(text: &str) -> Nqn {
        text.parse().expect("an NQN")
    }

    #[test]
    fn a_name_has_one_identifier_and_another_name_another() {
        let path = Path::new("no-such-file");
        let first = of_file(&nqn("nqn.2026-01.org.weft:a"), path);
        assert_eq!(first, of_file(&nqn("nqn.2026-01.org.weft:a"), path));
        assert_ne!(first, of_file(&nqn("nqn.2026-01.org.weft:b"), path));
        assert_ne!(first, of_file(&nqn("nqn.2026-01.org.weft:a"), Path::new("another")));
        assert_eq!((first[6] >> 4, first[8] >> 6), (8, 2), "version and variant");
    }
}
