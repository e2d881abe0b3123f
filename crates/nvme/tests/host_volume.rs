//! A remote namespace is a volume like any other: the suite that every device passes, over a network that cuts the
//! stream anywhere, with and without digests.

mod pair;

use block::conformance;
use nvme::host::HostOptions;
use pair::{Remote, options};
use sim::faults::Faults;
use stdx::prng::Prng;
use wire::nvme::tcp::Digests;

fn examine(seed: u64, faults: Faults, options: HostOptions) {
    let mut remote = Remote::new(seed, faults, options);
    if let Err(fault) = conformance::run(&mut remote, seed) {
        panic!("seed {seed}: {fault}");
    }
}

#[test]
fn a_remote_namespace_is_a_volume() {
    examine(1, Faults::none(), options());
}

#[test]
fn so_it_is_with_digests_flow_control_and_many_small_queues() {
    let digests = Digests { header: true, data: true };
    let options = HostOptions { digests, flow_control: true, io_queues: 4, queue_size: 4, ..options() };
    examine(2, Faults::none(), options);
}

#[test]
fn so_it_is_over_a_stream_that_is_cut_anywhere() {
    for seed in 0..3 {
        let mut faults = Faults::draw(&mut Prng::new(seed));
        faults.heal();
        faults.short_send = 100;
        faults.short_receive = 300;
        let digests = Digests { header: seed % 2 == 0, data: seed % 4 > 1 };
        examine(seed, faults, HostOptions { digests, ..options() });
    }
}
