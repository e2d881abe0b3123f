//! A cable between two guests: each has a network card whose other end is a tap, and a bridge joins the two taps.
//!
//! The cards compute checksums, as real ones do: what a guest leaves to its card is said with the packet (the tap's virtio
//! header), and the other guest's card says that it is right. So no processor computes any, of this machine or of a guest.

use super::network::Network;
use anyhow::Result;
use std::rc::Rc;
use std::time::Duration;

/// One end of a cable. A guest that has one has no other card, as its taps lie in the cable's network.
#[derive(Clone)]
pub struct Cable {
    pub(super) network: Rc<Network>,
    tap: String,
    /// The last byte of the card's address, which tells it from all others.
    card: usize,
}

impl Cable {
    /// Both ends of so many cables, in a network of their own that lasts `life` at most.
    ///
    /// # Errors
    /// When this machine does not allow namespaces, taps or bridges.
    pub fn pairs<const N: usize>(life: Duration) -> Result<[[Cable; 2]; N]> {
        let directory = super::directory();
        std::fs::create_dir_all(&directory)?;
        let network = Rc::new(Network::separate(&directory.join("cables.pid"), life, false)?);
        let mut number = 0;
        let pairs = [(); N].map(|()| {
            number += 1;
            [0, 1].map(|end| {
                let (network, tap) = (Rc::clone(&network), format!("cable{number}-{end}"));
                Cable { network, tap, card: 2 * number + end }
            })
        });
        for (number, pair) in pairs.iter().enumerate() {
            network.bridge(&format!("bridge{number}"), &pair.each_ref().map(|cable| &*cable.tap), MTU)?;
        }
        Ok(pairs)
    }

    /// What makes QEMU give the guest such a card.
    pub(super) fn qemu_arguments(&self, number: usize) -> [(&'static str, String); 2] {
        let (tap, card) = (&self.tap, self.card);
        [
            ("-netdev", format!("tap,id=net{number},ifname={tap},script=no,downscript=no,vnet_hdr=on")),
            ("-device", format!("virtio-net-pci,netdev=net{number},mac=52:54:00:77:01:{card:02x},romfile=")),
        ]
    }
}

/// Bytes of a frame's payload that taps and bridges pass on.
const MTU: u32 = 9000;
