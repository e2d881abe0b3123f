//! Reservation Report (Base 7.5): one entry for each controller of each registered host.

use super::Reservations;
use wire::nvme::CONTROLLER_ANY;
use wire::nvme::fabrics::HostId;
use wire::nvme::reservation::{ExtendedRegistrant, ReservationStatus};

impl Reservations {
    /// The extended report. `controllers` says which host has which controllers; a registered host without one is listed
    /// with the identifier FFFFh.
    pub(super) fn report(&self, controllers: &[(HostId, u16)]) -> Vec<u8> {
        let mut entries = Vec::new();
        for registrant in &self.state.registrants {
            let mut ids: Vec<u16> =
                controllers.iter().filter(|(host, _)| *host == registrant.host).map(|(_, id)| *id).collect();
            if ids.is_empty() {
                ids.push(CONTROLLER_ANY);
            }
            let holder = self.holds(&registrant.host);
            entries.extend(
                ids.iter().map(|&id| ExtendedRegistrant::new(id, holder, registrant.host, registrant.key)),
            );
        }
        let kind = self.state.reservation.map(|(kind, _)| kind);
        let count = entries.len().min(usize::from(u16::MAX)) as u16;
        let status = ReservationStatus::new(self.state.generation, kind, count, self.state.persist);
        let mut report = vec![0; ReservationStatus::EXTENDED_LEN + entries.len() * ExtendedRegistrant::LEN];
        // The places are as long as what goes there.
        let _ = status.encode(&mut report);
        let places = report[ReservationStatus::EXTENDED_LEN..].chunks_mut(ExtendedRegistrant::LEN);
        for (entry, place) in entries.iter().zip(places) {
            let _ = entry.encode(place);
        }
        report
    }
}
