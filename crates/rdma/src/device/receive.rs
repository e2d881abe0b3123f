//! Datagrams that have arrived: taken a few runs at a time, checked, and handed to whom they are for.

use super::groups::Group;
use super::{PLACE_LEN, PLACES, SoftDevice};
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
        let inbox = env.mem().whole(self.inbox);
        let places: [Span; PLACES] = core::array::from_fn(|place| inbox.slice(place * PLACE_LEN, PLACE_LEN));
        let mut left = self.core.config.runs_per_turn as usize;
        while left > 0 {
            let mut runs = core::mem::take(&mut self.runs);
            runs.clear();
            let told = env.recv_runs(socket, &places[..left.min(PLACES)], &mut runs);
            let now = env.now();
            for (run, &place) in runs.iter().zip(&places) {
                self.handle_run(env.mem(), now, run, place, to);
            }
            left -= runs.len().clamp(1, left);
            self.runs = runs;
            match told {
                Ok(false) | Err(IoError::WouldBlock) => return false,
                // There may be more, or an earlier datagram had a misfortune (ICMP): the next call tells of the next thing.
                Ok(true) | Err(_) => {}
            }
        }
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
