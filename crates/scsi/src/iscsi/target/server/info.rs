//! What there is, for people and the control plane.

use super::Server;
use crate::iscsi::IscsiName;
use crate::iscsi::login::Parameters;
use crate::iscsi::target::{Arrival, Phase};
use wire::iscsi::{Digests, Isid};

/// A connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConnectionInfo {
    /// Where it came in, and from where.
    pub arrival: Arrival,
    /// What it is doing.
    pub phase: Phase,
    /// Its identifier in its session (CID).
    pub connection_id: u16,
    /// Its session (TSIH), if it is of one.
    pub tsih: Option<u16>,
    /// The digests in use.
    pub digests: Digests,
    /// Bytes waiting to be sent.
    pub unsent_bytes: usize,
}

/// A session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionInfo {
    /// The initiator's name.
    pub initiator: IscsiName,
    /// The initiator's part of the session's name.
    pub isid: Isid,
    /// The target's part.
    pub tsih: u16,
    /// The target's name; `None` for discovery.
    pub target: Option<IscsiName>,
    /// The portal group's tag; 0 for discovery.
    pub portal_group: u16,
    /// What was agreed on.
    pub parameters: Parameters,
    /// How many connections it has.
    pub connections: usize,
    /// Tasks under way.
    pub tasks: usize,
}

impl Server {
    /// All connections that are not over.
    pub fn connections(&self) -> impl Iterator<Item = ConnectionInfo> {
        self.connections.iter().map(|(_, peer)| {
            let connection = &peer.connection;
            let session = connection.session().and_then(|key| self.shard.sessions.get(key));
            ConnectionInfo {
                arrival: *connection.arrival(),
                phase: connection.phase(),
                connection_id: connection.connection_id(),
                tsih: session.map(|session| session.tsih),
                digests: connection.digests(),
                unsent_bytes: connection.unsent(),
            }
        })
    }

    /// All sessions that have not ended.
    pub fn sessions(&self) -> impl Iterator<Item = SessionInfo> {
        self.shard.sessions.iter().filter(|(_, session)| !session.ended).map(|(_, session)| SessionInfo {
            initiator: session.name.initiator.clone(),
            isid: session.name.isid,
            tsih: session.tsih,
            target: session.name.target.clone(),
            portal_group: session.name.portal_group,
            parameters: session.parameters,
            connections: session.connections.len(),
            tasks: session.tasks.len(),
        })
    }
}
