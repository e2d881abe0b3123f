//! Waiting for a peer that has no receive (9.7.5.2.8).

use crate::engine::Core;
use stdx::time::Time;
use verbs::{QpId, Status};
use wire::roce::{Psn, RnrTimer};

/// The peer has no receive for the request at `psn`.
pub(super) fn handle(core: &mut Core, qp: QpId, now: Time, psn: Psn, timer: RnrTimer) {
    core.counters.rcvd_rnr_err += 1;
    let Some(pair) = core.pair(qp) else { return };
    let limit = pair.sending.rnr_retry_count;
    let requester = &mut pair.engine.requester;
    if limit != FOR_EVER && requester.rnr_tries >= limit {
        core.counters.retry_rnr_exceeded_err += 1;
        return core.fail_send(qp, Status::RnrRetryExceeded);
    }
    requester.rnr_tries = requester.rnr_tries.saturating_add(1);
    (requester.lost_at, requester.early_at) = (None, None);
    requester.wait_until = Some(now + timer.duration());
    requester.go_back(psn);
    core.settle(qp);
    core.schedule(qp);
}

/// The retry count that means without end.
const FOR_EVER: u8 = 7;
