//! Whether a login is let in, and what discovery tells.

use super::groups::no_accounts;
use super::node::{ChapPolicy, NodeAuthentication};
use super::{Node, PortalGroup, Registry};
use crate::iscsi::IscsiName;
use crate::iscsi::login::chap::ChapAccounts;
use crate::iscsi::login::{Authentication, Refusal, Text};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

/// Where a login may go.
pub(in super::super) struct Granted<'a> {
    pub(in super::super) node: &'a Node,
    /// The portal group it came through.
    pub(in super::super) portal_group: u16,
    pub(in super::super) authentication: Authentication,
}

impl Registry {
    /// Whether an initiator at an address may log in to a node through a portal. Names nobody may know of are not found,
    /// as those that do not exist.
    pub(in super::super) fn grant(
        &self,
        target: &IscsiName,
        initiator: &IscsiName,
        portal: SocketAddr,
        peer: IpAddr,
    ) -> Result<Granted<'_>, Refusal> {
        let node = self.nodes.get(target).ok_or(Refusal::NotFound)?;
        let mut through = node.access.iter().filter(|access| {
            self.portal_groups.get(&access.portal_group).is_some_and(|group| group.portals.contains(&portal))
        });
        let mut allowed = through.clone().filter(|access| {
            let group = self.initiator_groups.get(&access.initiator_group);
            group.is_some_and(|group| group.admits(initiator, peer))
        });
        let Some(access) = allowed.next() else {
            return Err(match through.next() {
                Some(_) => Refusal::AuthorizationFailure,
                None => Refusal::NotFound,
            });
        };
        if let Some(elsewhere) = node.redirects.get(&access.portal_group) {
            return Err(Refusal::MovedTemporarily(elsewhere.to_string()));
        }
        let authentication = self.authentication(&node.authentication);
        Ok(Granted { node, portal_group: access.portal_group, authentication })
    }

    /// What initiators must prove, with the accounts.
    pub(in super::super) fn authentication(&self, wanted: &NodeAuthentication) -> Authentication {
        let group = wanted.group.and_then(|tag| self.auth_groups.get(&tag));
        let accounts = group.map_or_else(no_accounts, |group| Rc::clone(&group.accounts));
        let accounts = if wanted.mutual && !accounts.mutual_required {
            Rc::new(ChapAccounts { mutual_required: true, ..ChapAccounts::clone(&accounts) })
        } else {
            accounts
        };
        match wanted.chap {
            ChapPolicy::Disabled => Authentication::None,
            ChapPolicy::Offered => Authentication::Optional(accounts),
            ChapPolicy::Required => Authentication::Required(accounts),
        }
    }

    /// The answer to SendTargets (RFC 7143, appendix C): each node the initiator may use, with the addresses of its
    /// portal groups. `only` names one node. `local` is the address the question came to: it stands for portals that
    /// listen everywhere.
    pub(in super::super) fn send_targets(
        &self,
        only: Option<&IscsiName>,
        initiator: &IscsiName,
        peer: IpAddr,
        local: SocketAddr,
        text: &mut Text,
    ) {
        for node in self.nodes.values().filter(|node| only.is_none_or(|name| *name == node.name)) {
            let mut told = false;
            for access in &node.access {
                let initiators = self.initiator_groups.get(&access.initiator_group);
                let allowed = initiators.is_some_and(|group| group.admits(initiator, peer));
                let portals = self.portal_groups.get(&access.portal_group);
                let Some(group) = portals.filter(|group| allowed && !group.private) else { continue };
                if !core::mem::replace(&mut told, true) {
                    text.put("TargetName", &node.name);
                }
                put_addresses(text, group, local);
            }
        }
    }
}

fn put_addresses(text: &mut Text, group: &PortalGroup, local: SocketAddr) {
    for portal in &group.portals {
        let ip = if portal.ip().is_unspecified() { local.ip().to_canonical() } else { portal.ip() };
        let address = SocketAddr::new(ip, portal.port());
        text.put("TargetAddress", format_args!("{address},{}", group.tag));
    }
}
