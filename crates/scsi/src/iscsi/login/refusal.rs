//! Why a target ends a login: the status of its last response (RFC 7143, section 11.13.5).

use thiserror::Error;
use wire::iscsi::LoginStatus;

/// A refusal.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Refusal {
    /// The target is at another address for now, given as TargetAddress has it (`host:port`, section 13.8).
    #[error("the target is at {0} for now")]
    MovedTemporarily(String),
    /// The target is at another address for good.
    #[error("the target has moved to {0}")]
    MovedPermanently(String),
    /// The initiator does not keep to the protocol.
    #[error("the initiator does not keep to the protocol")]
    InitiatorError,
    /// The initiator could not prove who it is, or did not want to.
    #[error("authentication failed")]
    AuthenticationFailure,
    /// The initiator may not use this target.
    #[error("not authorized")]
    AuthorizationFailure,
    /// No such target here.
    #[error("no such target")]
    NotFound,
    /// The target is gone, and nothing is known of where.
    #[error("the target is gone")]
    TargetRemoved,
    /// Another version of iSCSI.
    #[error("unsupported version")]
    UnsupportedVersion,
    /// More connections than the session may have.
    #[error("too many connections")]
    TooManyConnections,
    /// InitiatorName or TargetName is missing.
    #[error("a parameter is missing")]
    MissingParameter,
    /// The connection cannot be of that session.
    #[error("the connection cannot join the session")]
    CannotInclude,
    /// Another type of session than discovery and normal.
    #[error("unsupported session type")]
    SessionType,
    /// There is no session of that handle (TSIH).
    #[error("no such session")]
    NoSuchSession,
    /// Something else than a login request came during login.
    #[error("invalid request during login")]
    InvalidDuringLogin,
    /// The target cannot, for a reason of its own.
    #[error("target error")]
    TargetError,
    /// The target does not serve now.
    #[error("service unavailable")]
    ServiceUnavailable,
    /// The target has no room.
    #[error("out of resources")]
    OutOfResources,
}

impl Refusal {
    /// The status to tell.
    pub fn status(&self) -> LoginStatus {
        match self {
            Refusal::MovedTemporarily(_) => LoginStatus::MovedTemporarily,
            Refusal::MovedPermanently(_) => LoginStatus::MovedPermanently,
            Refusal::InitiatorError => LoginStatus::InitiatorError,
            Refusal::AuthenticationFailure => LoginStatus::AuthenticationFailure,
            Refusal::AuthorizationFailure => LoginStatus::AuthorizationFailure,
            Refusal::NotFound => LoginStatus::NotFound,
            Refusal::TargetRemoved => LoginStatus::TargetRemoved,
            Refusal::UnsupportedVersion => LoginStatus::UnsupportedVersion,
            Refusal::TooManyConnections => LoginStatus::TooManyConnections,
            Refusal::MissingParameter => LoginStatus::MissingParameter,
            Refusal::CannotInclude => LoginStatus::CannotInclude,
            Refusal::SessionType => LoginStatus::SessionType,
            Refusal::NoSuchSession => LoginStatus::NoSuchSession,
            Refusal::InvalidDuringLogin => LoginStatus::InvalidDuringLogin,
            Refusal::TargetError => LoginStatus::TargetError,
            Refusal::ServiceUnavailable => LoginStatus::ServiceUnavailable,
            Refusal::OutOfResources => LoginStatus::OutOfResources,
        }
    }

    /// The text to send with it: where the target is.
    pub fn text(&self) -> Vec<u8> {
        let mut text = super::Text::default();
        if let Refusal::MovedTemporarily(address) | Refusal::MovedPermanently(address) = self {
            text.put("TargetAddress", address);
        }
        text.into_bytes()
    }
}

impl From<super::TextError> for Refusal {
    fn from(_: super::TextError) -> Self {
        Refusal::InitiatorError
    }
}
