//! What PERSISTENT RESERVE IN tells (SPC-4, section 6.14).

use super::Reservations;
use wire::scsi::reservation::{
    Capabilities, FullStatus, HeldReservation, RESERVE_IN_HEADER_LEN, ReserveInAction, ReserveInHeader,
};

impl Reservations {
    /// The whole data of a service action, before it is cut to what was asked for.
    pub(in super::super) fn report(&self, action: ReserveInAction, can_persist: bool) -> Vec<u8> {
        match action {
            ReserveInAction::ReadKeys => self.keys(),
            ReserveInAction::ReadReservation => self.reservation(),
            ReserveInAction::ReportCapabilities => {
                let mut data = vec![0; Capabilities::LEN];
                // The place is as long as the structure, here and below.
                let _ = Capabilities::new(can_persist, self.state.persist).encode(&mut data);
                data
            }
            ReserveInAction::ReadFullStatus => self.full_status(),
        }
    }

    fn keys(&self) -> Vec<u8> {
        let keys = self.state.registrants.iter().flat_map(|registrant| registrant.key.to_be_bytes());
        self.behind_header(keys.collect())
    }

    fn reservation(&self) -> Vec<u8> {
        let Some((kind, holder)) = &self.state.reservation else { return self.behind_header(Vec::new()) };
        let key = if kind.all_registrants() { 0 } else { self.key_of(holder).unwrap_or(0) };
        let mut data = vec![0; HeldReservation::LEN];
        let _ = HeldReservation::new(key, *kind).encode(&mut data);
        self.behind_header(data)
    }

    fn full_status(&self) -> Vec<u8> {
        let mut data = Vec::new();
        let held = self.state.reservation.map(|(kind, _)| kind);
        for registrant in &self.state.registrants {
            let nexus = &registrant.nexus;
            let id = nexus.initiator.as_bytes();
            let held = held.filter(|_| self.holds(nexus));
            let start = data.len();
            data.resize(start + FullStatus::LEN, 0);
            let status = FullStatus::new(registrant.key, held, nexus.target_port, id.len() as u32);
            let _ = status.encode(&mut data[start..]);
            data.extend_from_slice(id);
        }
        self.behind_header(data)
    }

    /// The length in the header is that of the whole, however much of it is asked for.
    fn behind_header(&self, data: Vec<u8>) -> Vec<u8> {
        let mut whole = vec![0; RESERVE_IN_HEADER_LEN];
        let _ = ReserveInHeader::new(self.state.generation, data.len() as u32).encode(&mut whole);
        whole.extend(data);
        whole
    }
}
