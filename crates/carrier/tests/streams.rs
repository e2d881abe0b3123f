//! Both ends of a stream, in any order of looks, and with a peer that says anything.

use carrier::{End, LONG_LEN, MEMORY_LEN, Reader, Shared, Span, Withdrawn, Writer};
use proptest::prelude::*;

/// The memory, which here is two: the words, and the bytes.
struct Stream {
    words: Shared,
    bytes: Vec<u8>,
    written: u64,
    read: u64,
}

impl Stream {
    fn new() -> Stream {
        Stream { words: Shared::default(), bytes: vec![0; MEMORY_LEN], written: 0, read: 0 }
    }

    fn range(span: Span) -> std::ops::Range<usize> {
        span.offset..span.offset + span.len
    }

    /// Writes up to so many bytes.
    fn write(&mut self, len: usize) -> usize {
        let mut writer = self.words.writer(End::Client, self.written);
        assert_eq!(writer.check(), Ok(()));
        let mut done = 0;
        while done < len {
            let span = writer.free(len - done);
            if span.len == 0 {
                break;
            }
            for (at, place) in Self::range(span).enumerate() {
                self.bytes[place] = byte(writer.place() + at as u64);
            }
            writer.advance(span.len);
            done += span.len;
        }
        let _ = writer.publish();
        self.written = writer.place();
        done
    }

    /// Reads up to so many bytes, and checks them.
    fn read(&mut self, len: usize) -> usize {
        let mut reader = self.words.reader(End::Server, self.read);
        assert_eq!(reader.check(), Ok(()));
        let mut done = 0;
        while done < len {
            let span = reader.filled(len - done);
            if span.len == 0 {
                break;
            }
            for (at, place) in Self::range(span).enumerate() {
                assert_eq!(self.bytes[place], byte(reader.place() + at as u64), "at {}", reader.place());
            }
            reader.advance(span.len);
            done += span.len;
        }
        let _ = reader.publish();
        self.read = reader.place();
        done
    }
}

fn byte(at: u64) -> u8 {
    (at.wrapping_mul(2_654_435_761) >> 13) as u8
}

#[test]
fn a_reader_that_writes_makes_nothing_more_of_what_is_unread() {
    let mut stream = Stream::new();
    assert_eq!(stream.write(10), 10);
    let mut hostile = stream.words.writer(End::Client, 10);
    hostile.advance(100_000);
    let _ = hostile.publish();
    let writer = stream.words.writer(End::Client, stream.written);
    assert_eq!(writer.unread_by_reader().unread(), 10);
    let mut hostile = stream.words.reader(End::Server, 0);
    hostile.advance(11);
    let _ = hostile.publish();
    let writer = stream.words.writer(End::Client, stream.written);
    assert!(writer.unread_by_reader().check().is_err(), "it read more than there is");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bytes_come_whole_and_in_order(steps in prop::collection::vec((0..4u8, 0..400_000usize), 1..60)) {
        let mut stream = Stream::new();
        for (kind, len) in steps {
            match kind {
                0 => { stream.write(len % 5000); }
                1 => { stream.write(len); }
                2 => { stream.read(len); }
                _ => { stream.words.writer(End::Client, stream.written).grow(); }
            }
            prop_assert!(stream.written - stream.read <= 2 * LONG_LEN as u64);
        }
        while stream.read(usize::MAX) > 0 {}
        prop_assert_eq!(stream.read, stream.written);
        prop_assert!(stream.write(1) == 1, "all of it is free again");
    }

    /// A peer that makes up where it is can make nothing of ours leave the memory.
    #[test]
    fn no_word_leads_out_of_the_memory(
        places in prop::collection::vec((any::<u64>(), any::<usize>(), any::<bool>()), 1..20),
        own in any::<u64>(),
    ) {
        let words = Shared::default();
        for (place, wanted, reads) in places {
            // The hostile end writes where we read, and reads where we write.
            let mut writer: Writer<'_> = words.writer(End::Client, place);
            let _ = (writer.free(wanted), writer.grow(), writer.publish());
            let mut hostile: Reader<'_> = words.reader(End::Client, place);
            hostile.advance(wanted);
            let _ = hostile.publish();
            let span = if reads {
                words.reader(End::Server, own).filled(wanted)
            } else {
                words.writer(End::Server, own).free(wanted)
            };
            prop_assert!(span.offset >= carrier::HEADER_LEN && span.offset + span.len <= MEMORY_LEN);
        }
    }
}

#[test]
fn who_sleeps_is_woken_once() {
    let mut stream = Stream::new();
    stream.words.reader(End::Server, 0).sleep();
    let mut writer = stream.words.writer(End::Client, 0);
    writer.free(1);
    writer.advance(1);
    assert!(writer.publish());
    assert!(!writer.publish());
    stream.written = 1;
    while stream.write(1 << 20) > 0 {}
    stream.words.writer(End::Client, stream.written).sleep();
    let mut reader = stream.words.reader(End::Server, 0);
    reader.advance(1);
    assert_eq!(reader.publish(), Ok(false), "that is not worth while");
    reader.advance(reader.unread() as usize);
    assert_eq!(reader.publish(), Ok(true));
}

#[test]
fn an_end_and_a_beginning_are_told() {
    let words = Shared::default();
    let (writer, reader) = (words.writer(End::Server, 0), words.reader(End::Client, 0));
    assert_eq!((reader.begins(), reader.is_ended(), writer.is_closed()), (None, false, false));
    writer.begin(77);
    reader.sleep();
    assert!(writer.end());
    assert!(!reader.close());
    assert_eq!((reader.begins(), reader.is_ended(), writer.is_closed()), (Some(77), true, true));
}

#[test]
fn what_is_handed_over_is_what_was_not_read() {
    for len in [10, 5_000, 100_000] {
        let mut stream = Stream::new();
        let written = stream.write(len);
        assert_eq!(stream.read(7), 7);
        assert!(!stream.words.writer(End::Client, stream.written).is_handed_over());
        let reader = stream.words.reader(End::Client.other(), stream.read);
        reader.hand_over();
        let _ = reader.close();
        let writer = stream.words.writer(End::Client, stream.written);
        assert!(writer.is_handed_over() && writer.is_closed());
        // The writer looks from where the reader stopped.
        let unread = writer.unread_by_reader();
        assert_eq!((unread.place(), unread.unread()), (7, written as u64 - 7));
        stream.read = unread.place();
        assert_eq!(stream.read(usize::MAX), written - 7);
    }
}

#[test]
fn what_is_taken_back_was_read_or_is_the_writers_again_and_never_both() {
    let words = Shared::default();
    let mut writer = words.writer(End::Client, 0);
    assert_eq!(writer.free(1000).len, 1000);
    writer.advance(1000);
    let _ = writer.publish();
    let mut reader = words.reader(End::Server, 0);
    reader.advance(300);
    assert_eq!(reader.publish(), Ok(false));
    // The reader has copied 200 bytes more when the writer takes back what was not read.
    reader.advance(200);
    let mut writer = words.writer(End::Client, 1000);
    writer.withdraw();
    assert_eq!((writer.unread(), writer.unread_by_reader().unread()), (700, 700));
    assert_eq!(reader.publish(), Err(Withdrawn));
    let later = words.reader(End::Server, 300);
    assert_eq!((later.unread(), later.published(), later.is_ended()), (0, 300, false));
    let later = words.writer(End::Client, 1000);
    assert_eq!((later.read(), later.published()), (300, 1000));
}
