//! Whose turn it is to say what (RFC 7143, sections 11.12.1 to 11.12.3).

use wire::iscsi::{LoginRequest, LoginResponse, Stage};

/// What stands beside the text of a login request or response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Turn {
    /// The current stage (CSG).
    pub stage: Stage,
    /// The stage to go to (the T bit, and NSG), if the sender is ready to.
    pub next: Option<Stage>,
    /// The text goes on in the next PDU (the C bit).
    pub more: bool,
}

impl Turn {
    /// A turn that stays in its stage.
    pub fn stay(stage: Stage) -> Self {
        Self { stage, next: None, more: false }
    }

    /// What a request says.
    pub fn of_request(request: &LoginRequest) -> Self {
        Self {
            stage: request.current,
            next: request.transit.then_some(request.next),
            more: request.continues,
        }
    }

    /// What a response says.
    pub fn of_response(response: &LoginResponse) -> Self {
        Self {
            stage: response.current,
            next: response.transit.then_some(response.next),
            more: response.continues,
        }
    }

    /// True if the stages come one after the other, and no transition is wanted while text is still to come.
    pub fn is_valid(&self) -> bool {
        let forward = self.next.is_none_or(|next| next > self.stage);
        forward && self.stage < Stage::FullFeature && !(self.more && self.next.is_some())
    }
}
