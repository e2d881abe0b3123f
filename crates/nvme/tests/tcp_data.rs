//! Data both ways over the TCP transport: in the capsule, after R2T, with and without digests, aligned and not.

mod support;

use support::host::{Answer, Form};
use support::{World, long_write, pattern, read, write};
use wire::nvme::Status;
use wire::nvme::tcp::{DataAlignment, Digests, H2cData};

fn forms() -> impl Iterator<Item = Form> {
    (0..4).flat_map(|digests| {
        [0, 31].map(|alignment| Form {
            digests: Digests { header: digests & 1 != 0, data: digests & 2 != 0 },
            alignment: DataAlignment::from_code(alignment).unwrap(),
        })
    })
}

#[test]
fn what_is_written_in_the_capsule_is_read_back() {
    for form in forms() {
        let mut world = World::new();
        let (_, controller) = world.admin(&form);
        let stream = world.io(&form, controller, true);
        let data = pattern(4096, 3);
        let answers = world.exchange(stream, &form, &form.capsule(&write(1, 16, 8), &data));
        let [Answer::Response(completion)] = &answers[..] else { panic!("{answers:?}") };
        assert_eq!((completion.status(), completion.submission_queue_head.get()), (Status::SUCCESS, 2));
        let answers = world.exchange(stream, &form, &form.capsule(&read(2, 16, 8), &[]));
        let [Answer::Data(header, got), Answer::Response(completion)] = &answers[..] else {
            panic!("{answers:?}")
        };
        assert!(header.last && !header.success && got == &data);
        assert_eq!((completion.command_id.get(), completion.submission_queue_head.get()), (2, 3));
    }
}

#[test]
fn a_long_write_is_asked_for_once_and_may_come_in_parts() {
    for form in forms() {
        let mut world = World::new();
        let (_, controller) = world.admin(&form);
        let stream = world.io(&form, controller, true);
        let data = pattern(128 << 10, 5);
        let answers = world.exchange(stream, &form, &form.capsule(&long_write(7, 64, 256), &[]));
        let [Answer::Ready(ready)] = answers[..] else { panic!("{answers:?}") };
        assert_eq!((ready.command_id, ready.offset, ready.length), (7, 0, 128 << 10));
        for (part, bytes) in data.chunks(32 << 10).enumerate() {
            let header = H2cData {
                command_id: 7,
                transfer_tag: ready.transfer_tag,
                offset: (part as u32) << 15,
                length: 32 << 10,
                last: part == 3,
            };
            let answers = world.exchange(stream, &form, &form.data(&header, bytes));
            match &answers[..] {
                [] => assert!(part < 3),
                [Answer::Response(completion)] => assert!(part == 3 && completion.status().is_success()),
                other => panic!("{other:?}"),
            }
        }
        let answers = world.exchange(stream, &form, &form.capsule(&read(8, 64, 256), &[]));
        let [Answer::Data(_, got), Answer::Response(_)] = &answers[..] else { panic!("{answers:?}") };
        assert!(got == &data);
    }
}

#[test]
fn a_host_without_flow_control_gets_success_with_the_data() {
    let form = Form::default();
    let mut world = World::new();
    let (_, controller) = world.admin(&form);
    let stream = world.io(&form, controller, false);
    let answers = world.exchange(stream, &form, &form.capsule(&read(2, 0, 8), &[]));
    let [Answer::Data(header, _)] = &answers[..] else { panic!("{answers:?}") };
    assert!(header.last && header.success);
}

#[test]
fn many_commands_are_answered_by_one_send() {
    let form = Form::default();
    let mut world = World::new();
    let (_, controller) = world.admin(&form);
    let stream = world.io(&form, controller, true);
    let before = world.env.stream(stream).sends;
    let bytes: Vec<u8> = (0..127).flat_map(|id| form.capsule(&read(id, u32::from(id) * 8, 8), &[])).collect();
    let answers = world.exchange(stream, &form, &bytes);
    assert_eq!(answers.len(), 254);
    assert_eq!(world.env.stream(stream).sends - before, 1);
}

#[test]
fn data_that_does_not_match_its_digest_fails_its_command_alone() {
    let form = Form { digests: Digests { header: false, data: true }, ..Form::default() };
    let mut world = World::new();
    let (_, controller) = world.admin(&form);
    let stream = world.io(&form, controller, true);
    let mut bytes = form.capsule(&write(1, 0, 1), &[9; 512]);
    bytes[100] ^= 1;
    bytes.extend(form.capsule(&read(2, 0, 1), &[]));
    let answers = world.exchange(stream, &form, &bytes);
    let [Answer::Response(failed), Answer::Data(_, data), Answer::Response(_)] = &answers[..] else {
        panic!("{answers:?}")
    };
    assert_eq!(failed.status(), Status::TRANSIENT_TRANSPORT_ERROR);
    assert!(data.iter().all(|&byte| byte == 0), "nothing was written");
    assert_eq!(world.server.counters().data_digest_errors, 1);
}
