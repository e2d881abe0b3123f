//! The target as the calls that make it again.

use engine::Shard;
use nvme::target::{
    AnaState as State, ListenerInfo, NamespaceInfo, Options, Referral, SubsystemInfo, Transport,
};

use super::address::transport_name;
use super::params::{
    AddHost, AddListener, AddNs, AddReferral, AnaState, CreateSubsystem, CreateTransport, ListenAddress,
    Namespace, SetAnaState, SetMaxSubsystems,
};
use crate::config::Call;
use crate::methods::rounds::Rounds;
use crate::values::{Hex, Uuid};

/// The calls of a round, each after those that it builds on: all but the namespaces served from later volumes in the first.
pub(crate) fn save(shard: &Shard, round: usize) -> Vec<Call> {
    let target = shard.target();
    if round > 0 {
        let later = |info: &SubsystemInfo| {
            let served = info.namespaces.iter().filter_map(|namespace| add_ns(shard, info, namespace, round));
            served.collect::<Vec<_>>()
        };
        return target.subsystems().flat_map(|info| later(&info)).collect();
    }
    let mut calls =
        vec![max_subsystems(target.subsystems_max()), transport(target.options(), Transport::Tcp)];
    if target.subsystems().any(|info| is_reached_by_rdma(&info)) {
        calls.push(transport(target.options(), Transport::Rdma));
    }
    for info in target.subsystems() {
        if !info.discovery {
            calls.push(create(&info));
        }
        calls.extend(info.hosts.iter().map(|host| add_host(&info, host.as_str())));
        calls.extend(info.namespaces.iter().filter_map(|namespace| add_ns(shard, &info, namespace, 0)));
        for listener in &info.listeners {
            calls.push(add_listener(&info, listener));
            calls.extend(ana_states(&info, listener));
        }
    }
    calls.extend(target.referrals().iter().map(add_referral));
    calls
}

fn max_subsystems(count: usize) -> Call {
    let max_subsystems = u32::try_from(count).unwrap_or(u32::MAX);
    Call::new("nvmf_set_max_subsystems", SetMaxSubsystems { max_subsystems })
}

/// One set of options holds for both transports, which are always there; but SPDK, given the file, has only those that are created.
fn transport(options: &Options, kind: Transport) -> Call {
    let params = CreateTransport {
        trtype: transport_name(kind).to_owned(),
        max_queue_depth: Some(options.max_queue_depth),
        max_io_qpairs_per_ctrlr: Some(options.max_io_qpairs_per_ctrlr),
        in_capsule_data_size: Some(options.in_capsule_data_size),
        max_io_size: Some(options.max_io_size),
        max_aq_depth: Some(options.max_aq_depth.into()),
        c2h_success: (kind == Transport::Tcp).then_some(options.c2h_success),
        ..CreateTransport::default()
    };
    Call::new("nvmf_create_transport", params)
}

fn is_reached_by_rdma(info: &SubsystemInfo) -> bool {
    info.listeners.iter().any(|listener| listener.portal.transport == Transport::Rdma)
}

fn create(info: &SubsystemInfo) -> Call {
    let config = &info.config;
    let params = CreateSubsystem {
        nqn: nqn(info),
        tgt_name: None,
        serial_number: Some(config.serial.clone()),
        model_number: Some(config.model.clone()),
        max_namespaces: Some(config.max_namespaces),
        allow_any_host: Some(config.allow_any_host),
        ana_reporting: Some(config.ana_reporting),
        min_cntlid: Some(config.min_cntlid),
        max_cntlid: Some(config.max_cntlid),
        passthrough: None,
        enable_nssr: None,
    };
    Call::new("nvmf_create_subsystem", params)
}

fn add_host(info: &SubsystemInfo, host: &str) -> Call {
    Call::new("nvmf_subsystem_add_host", AddHost { nqn: nqn(info), tgt_name: None, host: host.to_owned() })
}

/// The call that serves a namespace again, if its volume is there in this round.
fn add_ns(shard: &Shard, info: &SubsystemInfo, namespace: &NamespaceInfo, round: usize) -> Option<Call> {
    let config = &namespace.config;
    let volume = shard.exported(&info.config.nqn, namespace.nsid)?;
    let entry = shard.volumes().get(volume)?;
    if Rounds::new(shard).of_volume(entry) != round {
        return None;
    }
    let file = shard.reservation_file(&info.config.nqn, namespace.nsid);
    let namespace = Namespace {
        bdev_name: volume.to_owned(),
        nsid: Some(namespace.nsid),
        ptpl_file: file.map(|file| file.display().to_string()),
        nguid: config.nguid.map(Hex),
        eui64: config.eui64.map(Hex),
        uuid: Some(Uuid(config.uuid)),
        anagrpid: config.anagrpid,
        no_auto_visible: None,
    };
    Some(Call::new("nvmf_subsystem_add_ns", AddNs { nqn: nqn(info), tgt_name: None, namespace }))
}

fn add_listener(info: &SubsystemInfo, listener: &ListenerInfo) -> Call {
    let params = AddListener {
        nqn: nqn(info),
        tgt_name: None,
        listen_address: ListenAddress::of(listener.portal),
        secure_channel: None,
        ana_state: None,
        sock_impl: None,
        numa_id: None,
    };
    Call::new("nvmf_subsystem_add_listener", params)
}

/// The groups that are not as they are in the beginning.
fn ana_states(info: &SubsystemInfo, listener: &ListenerInfo) -> Vec<Call> {
    let set = |group: u32, ana_state| {
        let params = SetAnaState {
            nqn: nqn(info),
            tgt_name: None,
            listen_address: ListenAddress::of(listener.portal),
            ana_state,
            anagrpid: Some(group),
        };
        Call::new("nvmf_subsystem_listener_set_ana_state", params)
    };
    let changed = |(group, state): (u32, &State)| match state {
        State::Optimized => None,
        State::NonOptimized => Some(set(group, AnaState::NonOptimized)),
        State::Inaccessible | State::PersistentLoss | State::Change => {
            Some(set(group, AnaState::Inaccessible))
        }
    };
    (1..).zip(&listener.states).filter_map(changed).collect()
}

fn add_referral(referral: &Referral) -> Call {
    let params = AddReferral {
        tgt_name: None,
        address: ListenAddress::of(referral.portal),
        secure_channel: None,
        subnqn: Some(referral.nqn.as_str().to_owned()),
    };
    Call::new("nvmf_discovery_add_referral", params)
}

fn nqn(info: &SubsystemInfo) -> String {
    info.config.nqn.as_str().to_owned()
}
