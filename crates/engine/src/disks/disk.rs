//! A disk of a target elsewhere, and its volume.

use super::{AttachDiskError, Driven, Link, Waiting};
use crate::fabric::Place;
use crate::volumes::{Change, Volumes};
use scsi::initiator::InitiatorEvent;
use std::rc::Rc;
use stdx::env::Env;

/// See the module.
pub struct AttachedDisk<L: Link> {
    /// The volume's name here.
    pub name: String,
    /// What names the disk; iSCSI's holds secrets as well.
    pub url: L::Url,
    /// What connects us with its target.
    pub initiator: L,
    pub(super) state: State<L::Failure>,
    /// The logical unit whose volume is there.
    pub(super) lun: Option<u16>,
    pub(super) waiting: Vec<Waiting<L>>,
    /// The RDMA device it is on.
    pub(super) device: Option<Place>,
}

/// How far it has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum State<F> {
    Attaching,
    Attached,
    Failed(F),
}

impl<L: Link> AttachedDisk<L> {
    pub(super) fn new(name: &str, url: &L::Url, initiator: L, device: Option<Place>) -> Self {
        let (state, lun, waiting) = (State::Attaching, None, Vec::new());
        Self { name: name.into(), url: url.clone(), initiator, state, lun, waiting, device }
    }
}

#[expect(private_bounds, reason = "the shard alone drives them")]
impl<L: Driven> AttachedDisk<L> {
    pub(super) fn handle(
        &mut self,
        env: &mut dyn Env,
        volumes: &mut Volumes,
        event: InitiatorEvent<L::Failure>,
    ) {
        match event {
            InitiatorEvent::Connected => {
                self.state = State::Attached;
                let there = self.lun.is_some();
                let told = || if there { Ok(()) } else { Err(AttachDiskError::NoDisk) };
                self.waiting.drain(..).for_each(|then| then(told()));
            }
            InitiatorEvent::Failed(why) => {
                tracing::warn!(disk = self.name, %why, "a disk is lost for good");
                self.state = State::Failed(why.clone());
                self.waiting.drain(..).for_each(|then| then(Err(AttachDiskError::Failed(why.clone()))));
            }
            InitiatorEvent::DiskAdded(lun) => self.add(env, volumes, lun),
            InitiatorEvent::DiskRemoved(lun) if self.lun == Some(lun) => {
                self.lun = None;
                if let Err(why) = volumes.delete(env, &self.name) {
                    tracing::debug!(%why, "the volume of a disk stays behind");
                }
            }
            InitiatorEvent::DiskResized { lun, .. } if self.lun == Some(lun) => {
                volumes.note(Change::Resized(self.name.clone()));
            }
            InitiatorEvent::DiskRemoved(_) | InitiatorEvent::DiskResized { .. } => {}
            InitiatorEvent::ConnectionLost(why) => tracing::warn!(disk = self.name, %why, "connection lost"),
            InitiatorEvent::Reconnected => tracing::info!(disk = self.name, "connected again"),
        }
    }

    /// The first disk becomes the volume: there is one, unless the URL names none.
    fn add(&mut self, env: &mut dyn Env, volumes: &mut Volumes, lun: u16) {
        let wanted = L::lun(&self.url).is_none_or(|wanted| wanted == lun) && self.lun.is_none();
        let Some(disk) = self.initiator.disk(lun).filter(|_| wanted) else { return };
        let (identity, device) = (disk.identity(), Rc::new(disk));
        match volumes.adopt_named(env, &self.name, identity, L::spec(lun), device) {
            Ok(()) => self.lun = Some(lun),
            Err(why) => tracing::warn!(disk = self.name, lun, %why, "a disk cannot be used"),
        }
    }
}
