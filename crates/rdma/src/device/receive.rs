//! Datagrams that have arrived: taken a run at a time, checked, and handed to whom they are for.

use super::SoftDevice;
use super::groups::Group;
use crate::engine::Arrival;
use crate::icrc::Path;
use core::net::{IpAddr, SocketAddr};
use stdx::env::{DatagramsId, Env, IoError, ReceivedRun};
use stdx::mem::{Memory, Span};
use stdx::planted::{Bug, planted};
use stdx::time::Time;
use wire::roce::{GENERAL_SERVICES_QPN, HEADERS_LEN_MAX, Headers};

impl SoftDevice {
    /// Takes what has arrived, within the turn's limit.
    pub(super) fn receive(&mut self, env: &mut dyn Env) {
        if self.is_readable {
            self.is_readable = self.receive_from(env, self.socket, self.core.config.address);
        }
        for place in 0..self.groups.len() {
            if let Some(Group { address, socket, is_readable: true }) = self.groups.get(place).copied() {
                let is_readable = self.receive_from(env, socket, address);
                self.groups[place].is_readable = is_readable;
            }
        }
    }

    /// The same of one socket, whose address is `to`; true if there may be more.
    fn receive_from(&mut self, env: &mut dyn Env, socket: DatagramsId, to: IpAddr) -> bool {
        let is_crowded = core::mem::take(&mut self.is_crowded);
        for taken in 0..self.core.config.runs_per_turn {
            let inbox = env.mem().whole(self.inbox);
            match env.recv_run(socket, inbox) {
                Ok(run) => {
                    let now = env.now();
                    self.handle_run(env.mem(), now, &run, inbox, to);
                    // Who waits for so little wants it now; whether there is more is seen in the next turn. If there is, all of
                    // it is taken from there on, and answered together; so is what asks for much.
                    let asks_much = core::mem::take(&mut self.core.is_asked_for_much);
                    if run.len <= FEW_BYTES && !asks_much && !is_crowded {
                        self.is_crowded = true;
                        return true;
                    }
                }
                Err(IoError::WouldBlock) => {
                    self.is_crowded = taken > 1;
                    return false;
                }
                // An earlier datagram's misfortune (ICMP); the next call tells of the next thing.
                Err(_) => {}
            }
        }
        self.is_crowded = true;
        true
    }

    fn handle_run(&mut self, mem: &mut Memory, now: Time, run: &ReceivedRun, inbox: Span, to: IpAddr) {
        let path = Path {
            source: canonical(run.from.ip()),
            source_port: run.from.port(),
            destination: to,
            port: self.core.config.port,
        };
        let total = (run.len as usize).min(inbox.len());
        let step = usize::from(run.datagram_len).max(1);
        for (index, start) in (0..total).step_by(step).enumerate() {
            let datagram = inbox.slice(start, step.min(total - start));
            self.core.counters.rcvd_pkts += 1;
            self.handle_datagram(mem, now, run, &path, datagram, index as u16);
        }
    }

    fn handle_datagram(
        &mut self,
        mem: &mut Memory,
        now: Time,
        run: &ReceivedRun,
        path: &Path,
        datagram: Span,
        index: u16,
    ) {
        if self.tap.is_some() {
            self.show(mem, now, run, path, datagram, index);
        }
        let mut front = [0; HEADERS_LEN_MAX];
        let front = &mut front[..HEADERS_LEN_MAX.min(datagram.len())];
        mem.read(datagram, front);
        let Ok(headers) = Headers::decode(front, datagram.len()) else {
            self.core.counters.malformed += 1;
            return;
        };
        let is_unchecked =
            planted(Bug::CrcUnchecked) || planted(Bug::CrcUncheckedOverIpv6) && path.destination.is_ipv6();
        if !self.checker.is_right(path, mem.bytes(datagram), index) && !is_unchecked {
            self.core.counters.icrc_err += 1;
            return;
        }
        let filled = if planted(Bug::PaddingDelivered) { usize::from(headers.bth.pad_len) } else { 0 };
        let arrival = Arrival {
            from: path.source,
            to: path.destination,
            headers,
            payload: datagram.slice(headers.len(), headers.payload_len(datagram.len()) + filled),
            traffic_class: run.traffic_class,
        };
        if path.destination.is_multicast() {
            self.core.handle_multicast(mem, &arrival);
        } else if headers.bth.destination == GENERAL_SERVICES_QPN {
            self.manager.handle_packet(&mut self.core, mem, now, &arrival);
        } else {
            self.core.handle_packet(mem, now, &arrival);
        }
    }

    /// Shows a datagram to who sees all.
    fn show(&mut self, mem: &Memory, now: Time, run: &ReceivedRun, path: &Path, datagram: Span, index: u16) {
        let bytes = mem.bytes(datagram);
        let Some(tap) = &mut self.tap else { return };
        let datagram = wire::pcap::Datagram {
            from: SocketAddr::new(path.source, path.source_port),
            to: SocketAddr::new(path.destination, path.port),
            identification: self.checker.identification(path, bytes, index).unwrap_or(index),
            dont_fragment: true,
            traffic_class: run.traffic_class,
            bytes,
        };
        tap.datagram(now, &datagram);
    }
}

/// A socket of both versions tells IPv4 addresses in the form of IPv6.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// A run as short as this is told before the next is looked for.
const FEW_BYTES: u32 = 256;
