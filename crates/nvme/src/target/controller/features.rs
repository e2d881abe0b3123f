//! Get and Set Features (Base 5.15, 5.27): the settings of a controller.
//!
//! Nothing is saved over a reset. A feature without a meaning over Fabrics (interrupts, host memory, power) does not exist
//! here.

use super::super::portal::AnaState;
use super::super::seam::Transfer;
use super::super::sgl::{self, Limits};
use super::super::{Request, Target};
use super::Controller;
use super::admin::{Outcome, give};
use std::collections::BTreeMap;
use stdx::env::Env;
use stdx::mem::Span;
use stdx::slab::Key;
use stdx::time::Time;
use wire::nvme::admin::{FeatureSelect, GetFeatures, SetFeatures};
use wire::nvme::features::{Feature, FeatureCapabilities, HostBehavior, NumberOfQueues, Timestamp};
use wire::nvme::identify::AsyncEvents;
use wire::nvme::{NAMESPACE_ALL, Status, SubmissionQueueEntry};

/// The features an I/O controller has (Base figure 317).
pub(super) const SUPPORTED: [Feature; 15] = [
    Feature::Arbitration,
    Feature::PowerManagement,
    Feature::TemperatureThreshold,
    Feature::ErrorRecovery,
    Feature::VolatileWriteCache,
    Feature::NumberOfQueues,
    Feature::WriteAtomicity,
    Feature::AsynchronousEventConfiguration,
    Feature::Timestamp,
    Feature::KeepAliveTimer,
    Feature::HostBehavior,
    Feature::CommandSetProfile,
    Feature::HostIdentifier,
    Feature::ReservationNotificationMask,
    Feature::ReservationPersistence,
];

/// The feature, if this kind of controller has it. Discovery controllers have two (Base figure 318).
fn feature_of(code: u8, discovery: bool) -> Result<Feature, Status> {
    let feature = Feature::from_code(code).ok_or(Status::INVALID_FIELD)?;
    let has = match feature {
        Feature::KeepAliveTimer | Feature::AsynchronousEventConfiguration => true,
        other => !discovery && SUPPORTED.contains(&other),
    };
    if has { Ok(feature) } else { Err(Status::INVALID_FIELD) }
}

/// Bytes of a feature's data, beside dword 0.
const fn data_len(feature: Feature) -> u32 {
    match feature {
        Feature::Timestamp => Timestamp::LEN as u32,
        Feature::HostIdentifier => 16,
        Feature::HostBehavior => HostBehavior::LEN as u32,
        _ => 0,
    }
}

/// What can be done with a feature. Nothing is saveable.
pub(super) const fn capabilities(feature: Feature) -> FeatureCapabilities {
    match feature {
        Feature::HostIdentifier => FeatureCapabilities::NONE,
        Feature::ReservationNotificationMask | Feature::ReservationPersistence => {
            FeatureCapabilities::NAMESPACE_SPECIFIC.with(FeatureCapabilities::CHANGEABLE)
        }
        _ => FeatureCapabilities::CHANGEABLE,
    }
}

/// The values of one controller's features.
#[derive(Debug)]
pub(in super::super) struct Features {
    /// Values that are one dword, where they are not the default.
    plain: BTreeMap<(Feature, u32), u32>,
    /// I/O queues the host may make.
    pub(super) io_queues: u16,
    io_queues_max: u16,
    /// Milliseconds since 1970 as the host said, and when it did.
    timestamp: (u64, Time),
    timestamp_set: bool,
    host_behavior: [u8; HostBehavior::LEN],
    /// Writes stay in the volume's cache until flushed; else each is made durable.
    pub(in super::super) write_cache: bool,
}

impl Features {
    pub(super) fn new(env: &mut dyn Env, io_queues_max: u16) -> Self {
        Self {
            plain: BTreeMap::new(),
            io_queues: io_queues_max,
            io_queues_max,
            timestamp: (0, env.now()),
            timestamp_set: false,
            host_behavior: [0; HostBehavior::LEN],
            write_cache: true,
        }
    }

    /// What a controller level reset does: everything is as it began.
    pub(super) fn reset(&mut self, env: &mut dyn Env) {
        *self = Self::new(env, self.io_queues_max);
    }

    /// Reservation notifications the host does not want for a namespace.
    pub(in super::super) fn reservation_mask(&self, namespace_id: u32) -> u32 {
        self.plain.get(&(Feature::ReservationNotificationMask, namespace_id)).copied().unwrap_or(0)
    }

    fn timestamp(&self, now: Time) -> [u8; Timestamp::LEN] {
        let (base, since) = self.timestamp;
        let ms = base.saturating_add(now.since(since).as_millis() as u64);
        let mut bytes = [0; Timestamp::LEN];
        // The place is as long as the structure.
        let _ = Timestamp::new(ms, self.timestamp_set).encode(&mut bytes);
        bytes
    }
}

/// The data of a Get Features command.
pub(super) fn get_transfer(command: &SubmissionQueueEntry, limits: &Limits) -> Result<Transfer, Status> {
    let get = GetFeatures::read(command);
    let feature = feature_of(get.feature, false)?;
    match (data_len(feature), get.select) {
        (0, _) | (_, Some(FeatureSelect::SupportedCapabilities)) => sgl::none(command),
        (len, _) => sgl::from_controller(command, u64::from(len), false, limits),
    }
}

/// The data of a Set Features command.
pub(super) fn set_transfer(command: &SubmissionQueueEntry, limits: &Limits) -> Result<Transfer, Status> {
    match feature_of(SetFeatures::read(command).feature, false)? {
        // Over Fabrics it came with Connect (Base 5.27.1.25).
        Feature::HostIdentifier => Err(Status::COMMAND_SEQUENCE_ERROR),
        feature if data_len(feature) > 0 => sgl::to_controller(command, u64::from(data_len(feature)), limits),
        _ => sgl::none(command),
    }
}

impl Target {
    /// Get Features.
    pub(super) fn get_features(
        &mut self,
        env: &mut dyn Env,
        key: Key,
        request: &Request,
    ) -> Result<Outcome, Status> {
        let controller = self.controllers.get(key).ok_or(Status::ABORTED_QUEUE_DELETION)?;
        let get = GetFeatures::read(&request.command);
        let feature = feature_of(get.feature, controller.discovery)?;
        let id = request.command.namespace_id.get();
        match get.select.ok_or(Status::INVALID_FIELD)? {
            FeatureSelect::SupportedCapabilities => {
                Ok(Outcome::Done(u64::from(capabilities(feature).bits()), Span::EMPTY))
            }
            FeatureSelect::Default | FeatureSelect::Saved => {
                let fresh = Features::new(env, self.options.max_io_qpairs_per_ctrlr);
                match data_len(feature) {
                    0 => Ok(Outcome::Done(u64::from(default_of(feature, &fresh)), Span::EMPTY)),
                    len => Ok(give(env, request, &[0; HostBehavior::LEN][..len as usize])),
                }
            }
            FeatureSelect::Current => match feature {
                Feature::Timestamp => {
                    let bytes = controller.features.timestamp(env.now());
                    Ok(give(env, request, &bytes))
                }
                Feature::HostBehavior => {
                    let bytes = controller.features.host_behavior;
                    Ok(give(env, request, &bytes))
                }
                Feature::HostIdentifier if get.dword11 & EXTENDED_HOST_ID == 0 => Err(Status::INVALID_FIELD),
                Feature::HostIdentifier => Ok(give(env, request, &controller.host_id.clone())),
                _ => {
                    let value = self.current_value(controller, feature, id)?;
                    Ok(Outcome::Done(u64::from(value), Span::EMPTY))
                }
            },
        }
    }

    fn current_value(&self, controller: &Controller, feature: Feature, id: u32) -> Result<u32, Status> {
        let features = &controller.features;
        Ok(match feature {
            Feature::VolatileWriteCache => u32::from(features.write_cache),
            Feature::NumberOfQueues => queue_counts(features.io_queues),
            Feature::AsynchronousEventConfiguration => controller.events.enabled().bits(),
            Feature::KeepAliveTimer => controller.keep_alive.timeout_ms,
            Feature::ReservationNotificationMask => {
                self.active_namespace(controller, id)?;
                features.reservation_mask(id)
            }
            Feature::ReservationPersistence => {
                let key = self.active_namespace(controller, id)?;
                let namespace = self.namespaces.get(key).ok_or(Status::INVALID_FIELD)?;
                u32::from(namespace.reservations.persists())
            }
            _ => {
                let stored = features.plain.get(&(feature, 0)).copied();
                stored.unwrap_or_else(|| default_of(feature, features))
            }
        })
    }

    /// The key of an active namespace.
    fn active_namespace(&self, controller: &Controller, id: u32) -> Result<Key, Status> {
        let subsystem = self.subsystems.get(controller.subsystem).ok_or(Status::ABORTED_QUEUE_DELETION)?;
        subsystem.namespace(id).ok_or(Status::INVALID_NAMESPACE_OR_FORMAT)
    }

    /// Set Features.
    pub(super) fn set_features(
        &mut self,
        env: &mut dyn Env,
        key: Key,
        request: &Request,
    ) -> Result<Outcome, Status> {
        let controller = self.controllers.get_mut(key).ok_or(Status::ABORTED_QUEUE_DELETION)?;
        let SetFeatures { feature, save, dword11 } = SetFeatures::read(&request.command);
        let feature = feature_of(feature, controller.discovery)?;
        if save {
            return Err(Status::FEATURE_NOT_SAVEABLE);
        }
        match feature {
            Feature::VolatileWriteCache => controller.features.write_cache = dword11 & 1 != 0,
            Feature::NumberOfQueues => return set_queue_count(controller, dword11),
            Feature::AsynchronousEventConfiguration => {
                controller.events.enable(AsyncEvents(dword11 & EVENTS_KNOWN.bits()));
            }
            Feature::KeepAliveTimer => self.set_keep_alive(env, key, dword11)?,
            Feature::Timestamp => {
                let mut bytes = [0; Timestamp::LEN];
                env.mem().read(request.data, &mut bytes);
                let ms = Timestamp::view(&bytes).map_or(0, Timestamp::milliseconds);
                controller.features.timestamp = (ms, env.now());
                controller.features.timestamp_set = true;
            }
            Feature::HostBehavior => {
                let mut bytes = [0; HostBehavior::LEN];
                env.mem().read(request.data, &mut bytes);
                if bytes[0] > 1 {
                    return Err(Status::INVALID_FIELD);
                }
                // Only the first byte, advanced command retry, is known here (Base 5.27.1.18).
                controller.features.host_behavior[0] = bytes[0];
            }
            Feature::CommandSetProfile if dword11 & 0x1ff != 0 => {
                return Err(Status::COMMAND_SET_COMBINATION_REJECTED);
            }
            Feature::PowerManagement if dword11 & 0x1f != 0 => return Err(Status::INVALID_FIELD),
            Feature::ReservationNotificationMask => {
                let id = request.command.namespace_id.get();
                self.set_reservation_mask(key, id, dword11)?;
            }
            Feature::ReservationPersistence => {
                return self.set_reservation_persistence(key, request, dword11 & 1 != 0);
            }
            Feature::HostIdentifier => return Err(Status::COMMAND_SEQUENCE_ERROR),
            // Settings without an effect on a volume: kept, and told when asked.
            _ => {
                controller.features.plain.insert((feature, 0), dword11);
            }
        }
        Ok(Outcome::NOTHING)
    }

    fn set_keep_alive(&mut self, env: &mut dyn Env, key: Key, timeout_ms: u32) -> Result<(), Status> {
        let controller = self.controllers.get_mut(key).ok_or(Status::ABORTED_QUEUE_DELETION)?;
        controller.keep_alive.set(env.now(), timeout_ms);
        self.next_timer = stdx::time::earliest(self.next_timer, controller.keep_alive.due());
        Ok(())
    }

    fn set_reservation_mask(&mut self, key: Key, id: u32, mask: u32) -> Result<(), Status> {
        let controller = self.controllers.get(key).ok_or(Status::ABORTED_QUEUE_DELETION)?;
        let ids: Vec<u32> = if id == NAMESPACE_ALL {
            let subsystem = self.subsystems.get(controller.subsystem);
            subsystem.into_iter().flat_map(|subsystem| subsystem.active_ids()).map(|(id, _)| id).collect()
        } else {
            self.active_namespace(controller, id)?;
            vec![id]
        };
        let Some(controller) = self.controllers.get_mut(key) else { return Ok(()) };
        for id in ids {
            controller.features.plain.insert((Feature::ReservationNotificationMask, id), mask);
        }
        Ok(())
    }

    /// Answered when the owner has stored it.
    fn set_reservation_persistence(
        &mut self,
        key: Key,
        request: &Request,
        on: bool,
    ) -> Result<Outcome, Status> {
        let controller = self.controllers.get(key).ok_or(Status::ABORTED_QUEUE_DELETION)?;
        let queue = controller.admin_queue().ok_or(Status::ABORTED_QUEUE_DELETION)?;
        let namespace = self.active_namespace(controller, request.command.namespace_id.get())?;
        let entry = self.namespaces.get_mut(namespace).ok_or(Status::INVALID_FIELD)?;
        let persisted = entry.reservations.persists();
        entry.reservations.set_persistence(on)?;
        self.answer_change(queue, request, namespace, persisted, Vec::new());
        Ok(Outcome::Parked)
    }

    /// True if some group is not optimized through the controller's portal: then each command looks.
    pub(in super::super) fn refresh_ana(&mut self, key: Key) {
        let Some(controller) = self.controllers.get_mut(key) else { return };
        let Some(subsystem) = self.subsystems.get(controller.subsystem) else { return };
        let portal = controller.arrival.portal;
        let listener = subsystem.listeners.iter().find(|listener| listener.portal == portal);
        let optimized = |state: &AnaState| *state == AnaState::Optimized;
        controller.ana_restricted = listener.is_some_and(|listener| !listener.states.iter().all(optimized));
    }
}

/// Number of Queues: what was asked for, up to what there may be; only before there are any (Base 5.27.1.5).
fn set_queue_count(controller: &mut Controller, dword11: u32) -> Result<Outcome, Status> {
    let asked = NumberOfQueues::from_dword(dword11).ok_or(Status::INVALID_FIELD)?;
    if controller.io_queues().next().is_some() {
        return Err(Status::COMMAND_SEQUENCE_ERROR);
    }
    let most = u32::from(controller.features.io_queues_max);
    controller.features.io_queues = asked.submission.min(asked.completion).min(most) as u16;
    Ok(Outcome::Done(u64::from(queue_counts(controller.features.io_queues)), Span::EMPTY))
}

/// Dword 0: as many submission as completion queues.
fn queue_counts(queues: u16) -> u32 {
    let count = u32::from(queues.max(1));
    NumberOfQueues { submission: count, completion: count }.to_dword()
}

fn default_of(feature: Feature, fresh: &Features) -> u32 {
    match feature {
        Feature::VolatileWriteCache => 1,
        Feature::NumberOfQueues => queue_counts(fresh.io_queues_max),
        Feature::TemperatureThreshold => TEMPERATURE_THRESHOLD_KELVIN,
        Feature::Arbitration => ARBITRATION_NO_LIMIT,
        _ => 0,
    }
}

/// Dword 11 of Host Identifier: 128 bits are wanted.
const EXTENDED_HOST_ID: u32 = 1;
/// Far above room temperature: 70 degrees Celsius.
const TEMPERATURE_THRESHOLD_KELVIN: u32 = 343;
/// Burst "no limit" (111b).
const ARBITRATION_NO_LIMIT: u32 = 7;
const EVENTS_KNOWN: AsyncEvents =
    AsyncEvents::NAMESPACE_ATTRIBUTE.with(AsyncEvents::ANA_CHANGE).with(AsyncEvents::DISCOVERY_LOG_CHANGE);
