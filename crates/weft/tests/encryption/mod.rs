//! A volume that is served encrypted: what lies in its file, who may read its key, and what a restart finds.

use crate::support::{Daemon, Folder, weft, weft_ok};
use std::os::unix::fs::MetadataExt;

#[test]
fn what_is_written_is_found_again_with_the_key_and_not_without() {
    let folder = Folder::new("encryption");
    let (disk, key, output) = (folder.path("disk"), folder.path("key"), folder.path("out"));
    let input = folder.path("in");
    std::fs::write(&input, [b'x'; 1 << 20]).unwrap();
    std::fs::File::create(&disk).unwrap().set_len(8 << 20).unwrap();
    let serve = ["--file", &disk, "--encrypt", &key];

    let daemon = Daemon::start(&serve);
    weft_ok(&["write", &daemon.url(1), &input]);
    daemon.kill();
    let below = std::fs::read(&disk).unwrap();
    assert!(!below.windows(16).any(|bytes| bytes == [b'x'; 16]), "the file holds what was written");
    assert!(below[1 << 20..].iter().all(|byte| *byte == 0), "and nothing where nothing was");
    assert_eq!(std::fs::metadata(&key).unwrap().mode() & 0o777, 0o600);

    let daemon = Daemon::start(&serve);
    weft_ok(&["read", &daemon.url(1), &output, "--length", "1M"]);
    assert!(std::fs::read(&output).unwrap() == std::fs::read(&input).unwrap());
    assert_eq!(daemon.stop(), Some(0));

    let socket = folder.path("sock");
    let two = weft(&["serve", "--ram", "4M", "--ram", "4M", "--encrypt", &key, "--rpc-socket", &socket]);
    assert_eq!(two.status.code(), Some(2), "{two:?}");
}
