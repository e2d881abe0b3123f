//! The TCP transport when there is little of something: room to send, buffers, connections. Nothing is dropped, nothing
//! grows without bound, and everything goes on when there is enough again.

mod support;

use nvme::target::tcp::{Limits, Phase};
use stdx::env::Env;
use support::host::{Answer, Form};
use support::{World, long_write, pattern, read, write};
use wire::nvme::tcp::H2cData;

#[test]
fn data_read_is_not_torn_by_a_later_write() {
    let form = Form::default();
    let mut world = World::new();
    let (_, controller) = world.admin(&form);
    let (reader, writer) = (world.io(&form, controller, true), world.io(&form, controller, true));
    let old = pattern(4096, 1);
    world.exchange(writer, &form, &form.capsule(&write(1, 0, 8), &old));
    world.env.make_room(reader, 1000);
    let first = form.capsule(&read(1, 0, 8), &[]);
    world.env.deliver(reader, &first);
    world.run();
    assert_eq!(world.env.stream(reader).sent.len(), 1000);
    world.exchange(writer, &form, &form.capsule(&write(2, 0, 8), &[0xff; 4096]));
    world.env.make_room(reader, usize::MAX);
    world.run();
    let answers = world.answers(reader, &form);
    let [Answer::Data(_, data), Answer::Response(_)] = &answers[..] else { panic!("{answers:?}") };
    assert!(data == &old, "the data is that of the moment of the read");
    assert_eq!(world.server.counters().lent_bytes_copied, 4096 + 24 - 1000);
}

#[test]
fn a_host_that_does_not_read_is_not_listened_to_forever() {
    let form = Form::default();
    let mut world = World::new();
    let (_, controller) = world.admin(&form);
    let stream = world.io(&form, controller, true);
    world.env.make_room(stream, 0);
    let commands: Vec<u8> = (0..10_000).flat_map(|id| form.capsule(&read(id, 0, 64), &[])).collect();
    world.env.deliver(stream, &commands);
    world.run();
    let ahead = world.server.limits().lent_ahead_bytes_max;
    let info = world.server.connections().find(|info| info.queue.is_some_and(|queue| queue.queue_id == 1));
    assert!(info.unwrap().unsent_bytes <= ahead + 4096, "what waits to be sent is bounded");
    assert!(world.env.unread(stream) > commands.len() / 2, "the rest stays in the stream");
    world.env.make_room(stream, usize::MAX);
    world.run();
    let answers = world.answers(stream, &form);
    let responses = answers.iter().filter(|answer| matches!(answer, Answer::Response(_)));
    assert_eq!(responses.count(), 10_000);
    assert_eq!(world.env.mem().buffers_taken(), 0);
}

#[test]
fn writes_wait_for_buffers_and_all_get_one() {
    let form = Form::default();
    // Two buffers of 1 MiB, and a limit that lets only one of them wait for a host.
    let limits = Limits { solicited_bytes_max: 1 << 20, ..Limits::default() };
    let mut world = World::with(limits, 20 << 20);
    let (_, controller) = world.admin(&form);
    let stream = world.io(&form, controller, true);
    let data = pattern(1 << 20, 9);
    let commands: Vec<u8> = (0..20).flat_map(|id| form.capsule(&long_write(id, 0, 2048), &[])).collect();
    let mut answers = world.exchange(stream, &form, &commands);
    for id in 0..20 {
        let [Answer::Ready(ready)] = answers[..] else { panic!("{answers:?}") };
        assert_eq!(ready.command_id, id);
        let header = H2cData {
            command_id: id,
            transfer_tag: ready.transfer_tag,
            offset: 0,
            length: 1 << 20,
            last: true,
        };
        answers = world.exchange(stream, &form, &form.data(&header, &data));
        let Answer::Response(completion) = answers.remove(0) else { panic!("{answers:?}") };
        assert!(completion.status().is_success() && completion.command_id.get() == id);
    }
    assert!(answers.is_empty());
}

#[test]
fn another_connection_gets_the_buffer_that_one_gives_back() {
    let form = Form::default();
    let limits = Limits { solicited_bytes_max: 1 << 20, ..Limits::default() };
    let mut world = World::with(limits, 20 << 20);
    let (_, controller) = world.admin(&form);
    let (first, second) = (world.io(&form, controller, true), world.io(&form, controller, true));
    let answers = world.exchange(first, &form, &form.capsule(&long_write(1, 0, 2048), &[]));
    assert!(matches!(answers[..], [Answer::Ready(_)]));
    assert_eq!(world.exchange(second, &form, &form.capsule(&long_write(1, 0, 2048), &[])), []);
    world.env.finish(first);
    world.run();
    assert!(matches!(world.answers(second, &form)[..], [Answer::Ready(_)]));
}

#[test]
fn a_thousand_connections_work_at_once() {
    let form = Form::default();
    let mut world = World::with(Limits { connections_max: 1001, ..Limits::default() }, 20 << 20);
    let (_, controller) = world.admin(&form);
    let streams: Vec<_> = (0..1000).map(|_| world.io(&form, controller, true)).collect();
    for (lba, &stream) in streams.iter().enumerate() {
        let lba = lba as u32 % 100 * 8;
        world.env.deliver(stream, &form.capsule(&write(1, lba, 8), &pattern(4096, lba as u8)));
        world.env.deliver(stream, &form.capsule(&read(2, lba, 8), &[]));
    }
    world.run();
    for (lba, &stream) in streams.iter().enumerate() {
        let answers = world.answers(stream, &form);
        let [Answer::Response(_), Answer::Data(_, data), Answer::Response(_)] = &answers[..] else {
            panic!("{answers:?}")
        };
        assert!(data == &pattern(4096, (lba as u32 % 100 * 8) as u8));
    }
    // One more is turned away, and hurts nobody.
    let late = world.arrive();
    assert_eq!(world.env.stream(late).closed, Some(true));
    assert_eq!(world.server.counters().turned_away, 1);
    for stream in streams {
        world.env.finish(stream);
    }
    world.run();
    assert_eq!(world.server.connections().count(), 1);
}

#[test]
fn draining_answers_what_was_asked_and_closes() {
    let form = Form::default();
    let mut world = World::new();
    let (admin, controller) = world.admin(&form);
    let stream = world.io(&form, controller, true);
    world.env.make_room(stream, 100);
    world.env.deliver(stream, &form.capsule(&read(1, 0, 8), &[]));
    world.run();
    world.server.drain(&mut world.env);
    world.run();
    assert_eq!(world.env.stream(admin).closed, None, "its end would be that of the I/O queue");
    assert_eq!(world.env.stream(stream).closed, None, "its answer is not sent yet");
    assert!(world.server.connections().all(|info| info.phase == Phase::Established));
    world.env.make_room(stream, usize::MAX);
    world.run();
    assert_eq!(world.answers(stream, &form).len(), 2);
    assert_eq!(world.env.stream(stream).closed, Some(false));
    assert_eq!(world.env.stream(admin).closed, Some(false));
    assert!(world.server.is_drained());
    assert!(world.server.listen(&mut world.env, support::address()).is_err());
}

#[test]
fn commands_of_a_connection_that_ended_come_back_first() {
    let form = Form::default();
    let mut world = World::new();
    let (_, controller) = world.admin(&form);
    let stream = world.io(&form, controller, true);
    world.target.hold = true;
    world.exchange(stream, &form, &form.capsule(&write(1, 0, 8), &[1; 4096]));
    assert_eq!((world.target.waiting(), world.env.mem().buffers_taken()), (1, 1));
    world.env.finish(stream);
    world.run();
    assert_eq!(world.server.connections().count(), 1);
    assert_eq!(world.env.mem().buffers_taken(), 0);
}

#[test]
fn a_full_queue_waits_and_goes_on() {
    let form = Form::default();
    let mut world = World::new();
    world.target.lends = false;
    let (_, controller) = world.admin(&form);
    let stream = world.io(&form, controller, true);
    world.target.hold = true;
    let commands: Vec<u8> = (0..200).flat_map(|id| form.capsule(&read(id, 0, 8), &[])).collect();
    assert_eq!(world.exchange(stream, &form, &commands), []);
    assert_eq!(world.target.waiting(), 128, "as many as the queue has entries");
    world.target.release(&mut world.env);
    world.run();
    assert_eq!(world.answers(stream, &form).len(), 400);
    assert!(world.server.counters().holds > 0);
}
