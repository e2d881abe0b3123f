//! Asking a discovery service, over streams or from an RDMA device of this machine.

use super::LAST_WORDS_TIME;
use crate::error::Failure;
use rdma::SoftDevice;
use reactor::Reactor;
use std::net::IpAddr;
use stdx::env::{Env, Event, Owner};
use stdx::time::{Time, earliest};
use verbs::{ConnectionEvent, Connections, Device, Provider};

/// A question to a discovery service, under way.
pub trait Question {
    /// What the service says, or why it says nothing.
    type Answer;

    /// An event of its stream's.
    fn handle_event(&mut self, env: &mut dyn Env, event: &Event);

    /// An event of its device.
    fn handle_device_event(&mut self, device: &mut dyn Device, event: &verbs::Event);

    /// Something happened to its connection of the device.
    fn handle_connection(&mut self, env: &mut dyn Env, device: &mut dyn Device, event: &ConnectionEvent);

    /// Lets it use its device.
    fn drive(&mut self, env: &mut dyn Env, device: &mut dyn Device);

    /// When it wants to be looked at.
    fn deadline(&self) -> Option<Time>;

    /// That time has come.
    fn handle_timeout(&mut self, env: &mut dyn Env);

    /// The answer, once.
    fn poll(&mut self, env: &mut dyn Env) -> Option<Self::Answer>;

    /// Ends it.
    fn close(&mut self, env: &mut dyn Env);

    /// True once nothing of it is left at its device.
    fn is_quiet(&self) -> bool;
}

/// The device to ask from.
pub fn open_device(env: &mut Reactor, from: IpAddr) -> Result<SoftDevice, Failure> {
    let config = rdma::Config { mtu: crate::rdma::device::mtu(from), ..rdma::Config::new(from) };
    SoftDevice::open(env, DEVICE_OWNER, config).map_err(|why| Failure::Device { address: from, why })
}

/// Waits for the answer, and for the end of the connection.
pub fn ask<Q: Question>(
    env: &mut Reactor,
    mut device: Option<SoftDevice>,
    mut question: Q,
) -> Result<Q::Answer, Failure> {
    let told = loop {
        turn(env, device.as_mut(), &mut question, None);
        if let Some(told) = question.poll(env) {
            break told;
        }
        if crate::signals::interrupted() {
            return Err(Failure::Interrupted);
        }
    };
    question.close(env);
    let until = env.now() + LAST_WORDS_TIME;
    while !question.is_quiet() && env.now() < until {
        turn(env, device.as_mut(), &mut question, Some(until));
    }
    Ok(told)
}

/// Waits until something happens, `until` at the latest, and hands it on.
fn turn(
    env: &mut Reactor,
    mut device: Option<&mut SoftDevice>,
    question: &mut impl Question,
    until: Option<Time>,
) {
    if let Some(device) = &mut device {
        drive(env, device, question);
    }
    let deadline = device.as_ref().and_then(|device| device.deadline());
    let mut events = Vec::new();
    env.poll(&mut events, earliest(earliest(question.deadline(), deadline), until));
    for event in events {
        match &mut device {
            Some(device) => device.handle_event(env, &event),
            None => question.handle_event(env, &event),
        }
    }
    if question.deadline().is_some_and(|deadline| deadline <= env.now()) {
        question.handle_timeout(env);
    }
    if let Some(device) = device {
        drive(env, device, question);
    }
}

/// Lets the device and what is on it do what there is to do.
fn drive(env: &mut Reactor, device: &mut SoftDevice, question: &mut impl Question) {
    device.turn(env);
    while let Some(event) = device.poll_event() {
        question.handle_device_event(device, &event);
    }
    while let Some(event) = device.poll_connection() {
        question.handle_connection(env, device, &event);
    }
    question.drive(env, device);
    device.turn(env);
}

/// Of the question; the numbers above it with the same upper half are its connections'.
pub const OWNER: Owner = Owner(1 << 32);
const DEVICE_OWNER: Owner = Owner(2 << 32);
