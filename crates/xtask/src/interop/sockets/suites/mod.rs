//! Test suites that others wrote for their own programs: what passes without Weft passes with it.

use super::{Scenario, play_once};

/// The scenarios.
pub fn scenarios() -> Vec<Scenario> {
    let scenario = |name, about, run| Scenario { name, about, needs_weft: true, run };
    vec![
        scenario("sockets-suite-redis", "redis's own tests that go through clients", |lab| {
            let programs = ["redis-server", "redis-cli", "redis-benchmark", "tclsh", "tar"];
            play_once(lab, &programs, include_str!("common.sh"), include_str!("redis.sh"))
        }),
        scenario("sockets-suite-python", "Python's own tests of sockets, servers and asyncio", |lab| {
            play_once(lab, &["python3"], include_str!("common.sh"), include_str!("python.sh"))
        }),
    ]
}
