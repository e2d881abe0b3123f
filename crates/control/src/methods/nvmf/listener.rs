//! Where a subsystem is reached, and how well.

use nvme::target::{AnaState as State, ListenerInfo};

use super::params::{AddListener, AnaState, ListenAddress, Nqn, RemoveListener, SetAnaState};
use super::results::{GroupState, Listener};
use super::{config_error, namespace_error, parse_nqn};
use crate::error::RpcError;
use crate::fabric::At;

pub(super) fn add(at: At<'_>, params: AddListener) -> Result<bool, RpcError> {
    let nqn = parse_nqn(&params.nqn)?;
    let portal = params.listen_address.portal()?;
    at.shard.add_listener(at.env, &nqn, portal).map_err(namespace_error)?;
    if let Some(state) = params.ana_state.filter(|state| *state != AnaState::Optimized) {
        at.shard
            .target_mut()
            .listener_set_ana_state(&nqn, &portal, state.into(), None)
            .map_err(config_error)?;
    }
    Ok(true)
}

pub(super) fn remove(at: At<'_>, params: RemoveListener) -> Result<bool, RpcError> {
    let portal = params.listen_address.portal()?;
    at.shard.remove_listener(at.env, &parse_nqn(&params.nqn)?, portal).map_err(namespace_error)?;
    Ok(true)
}

pub(super) fn set_ana_state(at: At<'_>, params: SetAnaState) -> Result<bool, RpcError> {
    let (nqn, portal) = (parse_nqn(&params.nqn)?, params.listen_address.portal()?);
    let target = at.shard.target_mut();
    let reports = target.subsystem(&nqn).map_err(config_error)?.config.ana_reporting;
    if params.ana_state == AnaState::Optimized && !reports {
        // So it is: a subsystem that reports no states is reached equally well everywhere.
        return Ok(true);
    }
    let state = params.ana_state.into();
    target.listener_set_ana_state(&nqn, &portal, state, params.anagrpid).map_err(config_error)?;
    Ok(true)
}

pub(super) fn get(at: At<'_>, params: Nqn) -> Result<Vec<Listener>, RpcError> {
    let info = at.shard.target().subsystem(&parse_nqn(&params.nqn)?).map_err(config_error)?;
    let used = |group: u32| info.namespaces.iter().any(|namespace| namespace.ana_group == group);
    let listener = |listener: &ListenerInfo| Listener {
        address: ListenAddress::of(listener.portal),
        ana_states: (1..)
            .zip(&listener.states)
            .filter(|(group, _)| used(*group))
            .map(|(ana_group, state)| GroupState { ana_group, ana_state: name_of(*state) })
            .collect(),
    };
    Ok(info.listeners.iter().map(listener).collect())
}

impl From<AnaState> for State {
    fn from(state: AnaState) -> Self {
        match state {
            AnaState::Optimized => Self::Optimized,
            AnaState::NonOptimized => Self::NonOptimized,
            AnaState::Inaccessible => Self::Inaccessible,
        }
    }
}

/// SPDK's word for a state.
fn name_of(state: State) -> &'static str {
    match state {
        State::Optimized => "optimized",
        State::NonOptimized => "non_optimized",
        State::Inaccessible => "inaccessible",
        State::PersistentLoss => "persistent_loss",
        State::Change => "change",
    }
}
