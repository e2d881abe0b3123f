//! Reservation Notification (Base 5.16.1.24, figure 266).

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::page;

codes! {
    /// What happened to a reservation.
    pub enum ReservationNotificationType: u8 {
        Empty = 0, "Empty log page";
        RegistrationPreempted = 1, "Registration preempted";
        ReservationReleased = 2, "Reservation released";
        ReservationPreempted = 3, "Reservation preempted";
    }
}

/// The oldest notification not yet read: 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ReservationNotification {
    /// Ordinal of the notification, from 1; 0 for an empty page.
    pub count: U64,
    /// What happened: [`ReservationNotificationType`].
    pub kind: u8,
    /// Further notifications that wait.
    pub pending: u8,
    reserved10: [u8; 2],
    /// The namespace.
    pub namespace_id: U32,
    reserved16: [u8; 48],
}

page!(ReservationNotification, 64);
