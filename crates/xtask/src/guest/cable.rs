//! A cable between two guests: each has a network card whose frames go to the other's through a pair of Unix sockets, past this
//! machine's own network.

use std::fs;
use std::path::PathBuf;

/// One end of a cable.
#[derive(Clone)]
pub struct Cable {
    here: PathBuf,
    there: PathBuf,
    /// The last byte of the card's address, which tells it from all others.
    card: usize,
}

impl Cable {
    /// Both ends of a cable; the number tells it from the others of this process.
    pub fn pair(number: usize) -> [Cable; 2] {
        // A socket's path may be 107 bytes long, which a path under `target` may exceed.
        let directory = std::env::temp_dir();
        let socket = |end: usize| directory.join(format!("weft-cable-{}-{number}-{end}", std::process::id()));
        [0, 1].map(|end| Cable { here: socket(end), there: socket(1 - end), card: 2 * number + end })
    }

    /// What makes QEMU give the guest such a card.
    pub(super) fn qemu_arguments(&self, number: usize) -> [(&'static str, String); 2] {
        let (here, there, card) = (self.here.display(), self.there.display(), self.card);
        let sockets = format!("local.type=unix,local.path={here},remote.type=unix,remote.path={there}");
        [
            ("-netdev", format!("dgram,id=net{number},{sockets}")),
            ("-device", format!("virtio-net-pci,netdev=net{number},mac=52:54:00:77:01:{card:02x},romfile=")),
        ]
    }

    /// Takes its socket away, when nobody has it any more.
    pub(super) fn remove(&self) {
        // It may never have been made.
        let _ = fs::remove_file(&self.here);
    }
}
