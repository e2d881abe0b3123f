//! Who may log in where.

use super::*;
use crate::iscsi::login::{Authentication, Limits, Refusal, Text};
use crate::target::DeviceKey;
use stdx::slab::Key;

const PORTAL: &str = "192.0.2.1:3260";

fn name(text: &str) -> IscsiName {
    IscsiName::parse(text).unwrap()
}

fn disk() -> IscsiName {
    name("iqn.2026-01.io.weft:disk")
}

fn registry(initiators: Vec<InitiatorPattern>, networks: Vec<AddressPattern>) -> Registry {
    let mut registry = Registry::default();
    let portals = vec![PORTAL.parse().unwrap(), "0.0.0.0:3261".parse().unwrap()];
    registry.add_portal_group(PortalGroup::new(3, portals)).unwrap();
    registry.add_initiator_group(InitiatorGroup { tag: 1, initiators, networks }).unwrap();
    let node = Node {
        name: disk(),
        alias: String::new(),
        device: DeviceKey(Key::from_u64(0)),
        access: vec![Access { portal_group: 3, initiator_group: 1 }],
        authentication: NodeAuthentication::default(),
        queue_depth: 64,
        limits: Limits::default(),
        redirects: BTreeMap::new(),
    };
    registry.add_node(node).unwrap();
    registry
}

fn ask(registry: &Registry, initiator: &str, portal: &str, peer: &str) -> Result<u16, Refusal> {
    let granted =
        registry.grant(&disk(), &name(initiator), portal.parse().unwrap(), peer.parse().unwrap())?;
    Ok(granted.portal_group)
}

#[test]
fn names_and_networks_decide() {
    let initiators = vec![
        InitiatorPattern::NotName(name("iqn.2026-01.test:bad")),
        InitiatorPattern::Name(name("iqn.2026-01.test:good")),
        InitiatorPattern::Any,
    ];
    let networks = vec![AddressPattern::Network("192.0.2.0".parse().unwrap(), 24)];
    let registry = registry(initiators, networks);
    let good = "iqn.2026-01.test:good";
    assert_eq!(ask(&registry, good, PORTAL, "192.0.2.77"), Ok(3));
    assert_eq!(ask(&registry, "iqn.2026-01.test:other", PORTAL, "::ffff:192.0.2.77"), Ok(3));
    let bad = ask(&registry, "iqn.2026-01.test:bad", PORTAL, "192.0.2.77");
    assert_eq!(bad, Err(Refusal::AuthorizationFailure));
    assert_eq!(ask(&registry, good, PORTAL, "192.0.3.77"), Err(Refusal::AuthorizationFailure));
    assert_eq!(ask(&registry, good, "192.0.2.1:9999", "192.0.2.77"), Err(Refusal::NotFound));
}

#[test]
fn a_redirected_portal_says_where() {
    let mut registry = registry(vec![InitiatorPattern::Any], vec![AddressPattern::Any]);
    let elsewhere: SocketAddr = "198.51.100.7:3260".parse().unwrap();
    registry.node_mut(&disk()).unwrap().redirects.insert(3, elsewhere);
    let moved = ask(&registry, "iqn.2026-01.test:good", PORTAL, "192.0.2.77");
    assert_eq!(moved, Err(Refusal::MovedTemporarily("198.51.100.7:3260".to_owned())));
}

#[test]
fn a_node_that_wants_proof_never_goes_without() {
    let registry = Registry::default();
    let wanted = NodeAuthentication { chap: ChapPolicy::Required, mutual: true, group: Some(9) };
    match registry.authentication(&wanted) {
        Authentication::Required(accounts) => {
            assert!(accounts.accounts.is_empty() && accounts.mutual_required)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_portal_group_may_ask_more_of_discovery_sessions() {
    let mut registry = registry(Vec::new(), Vec::new());
    let wanted = NodeAuthentication { chap: ChapPolicy::Required, mutual: false, group: Some(1) };
    registry.portal_group_mut(3).unwrap().discovery = Some(wanted);
    assert_eq!(registry.discovery_through(PORTAL.parse().unwrap()).chap, ChapPolicy::Required);
    let elsewhere = "192.0.2.2:3260".parse().unwrap();
    assert_eq!(registry.discovery_through(elsewhere), registry.discovery());
}

#[test]
fn discovery_tells_what_may_be_used() {
    let initiators = vec![InitiatorPattern::Name(name("iqn.2026-01.test:good"))];
    let registry = registry(initiators, vec![AddressPattern::Any]);
    let tell = |initiator: &str| {
        let mut text = Text::default();
        let local = "203.0.113.5:3261".parse().unwrap();
        registry.send_targets(None, &name(initiator), "192.0.2.77".parse().unwrap(), local, &mut text);
        String::from_utf8(text.into_bytes()).unwrap()
    };
    let all = "TargetName=iqn.2026-01.io.weft:disk\0TargetAddress=192.0.2.1:3260,3\0TargetAddress=203.0.113.5:3261,3\0";
    assert_eq!(tell("iqn.2026-01.test:good"), all);
    assert_eq!(tell("iqn.2026-01.test:other"), "");
}

#[test]
fn what_is_used_stays() {
    let mut registry = registry(Vec::new(), Vec::new());
    assert_eq!(registry.remove_portal_group(3), Err(RegistryError::InUse));
    assert_eq!(registry.remove_initiator_group(1), Err(RegistryError::InUse));
    let unknown = vec![Access { portal_group: 4, initiator_group: 1 }];
    assert_eq!(registry.set_access(&disk(), unknown), Err(RegistryError::Unknown));
    registry.remove_node(&disk()).unwrap();
    assert!(registry.remove_portal_group(3).is_ok() && registry.remove_initiator_group(1).is_ok());
}
