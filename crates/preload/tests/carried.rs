//! The library as programs have it: this test runs itself again with the library before it, as server and as client.
//!
//! Whether connections are carried, and whether bytes come whole and in order by whichever way, is what is looked at.

use launch::environment::{LIBRARY, POLICY, PRELOAD, RUN, directory};
use launch::page::{Phase, Snapshot};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// What a process of this test is to do; the test itself has none.
const PART: &str = "WEFT_TEST_PART";

/// One end of a conversation, in a process of its own.
struct End {
    child: Child,
    run: String,
}

impl End {
    /// With the library before it, or without.
    fn start(part: &str, argument: &str, with_library: bool) -> End {
        Self::start_by(part, argument, with_library, "")
    }

    /// The same, by a policy.
    fn start_by(part: &str, argument: &str, with_library: bool, policy: &str) -> End {
        let own = std::env::current_exe().expect("this program");
        let run = format!("test-{}-{part}-{}", std::process::id(), argument.replace(['/', ':', '.'], "-"));
        let mut command = Command::new(own);
        command.args(["--exact", "a_part", "--nocapture", "--test-threads=1"]);
        command
            .env(PART, format!("{part} {argument}"))
            .env(RUN, &run)
            .env(POLICY, policy)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if with_library {
            command.env(PRELOAD, library());
        }
        End { child: command.spawn().expect("it starts"), run }
    }

    /// A line that it says of this kind.
    fn says(&mut self, what: &str) -> String {
        let output = self.child.stdout.as_mut().expect("it is piped");
        let lines = BufReader::new(output).lines().map_while(Result::ok);
        let prefix = format!("{what} ");
        let found = lines.filter_map(|line| line.split_once(&prefix).map(|(_, said)| said.to_owned())).next();
        found.expect("it says so")
    }

    /// What its page says once it has said that it is done; without the library there is none.
    fn page(&self) -> Option<Snapshot> {
        let user = std::fs::metadata("/proc/self").expect("a process").uid();
        let path = directory(user).join(format!("{}.{}", self.run, self.child.id()));
        let page = Snapshot::read(&std::fs::read(&path).ok()?);
        std::fs::remove_file(path).expect("it is ours");
        page
    }

    fn finish(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().expect("it ran").success());
    }
}

impl Drop for End {
    fn drop(&mut self) {
        // It may have ended, which is just as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Cargo builds it along with this test.
fn library() -> PathBuf {
    let own = std::env::current_exe().expect("this program");
    let deps = own.parent().expect("a directory");
    let places = [deps.join(LIBRARY), deps.with_file_name(LIBRARY)];
    places.into_iter().find(|place| place.is_file()).expect("the library is built")
}

#[test]
fn a_part() {
    let Ok(part) = std::env::var(PART) else { return };
    let words: Vec<_> = part.split(' ').collect();
    match words[..] {
        ["serve", place] => serve(place),
        ["serve-slowly", place] => serve_slowly(place),
        ["ask", place] => ask(place.parse().expect("an address")),
        ["refused", place] => {
            let refused = TcpStream::connect(place).expect_err("nobody is met there");
            println!("done {:?}", refused.kind());
        }
        ["pour", place] => pour(place.parse().expect("an address")),
        _ => panic!("{part}"),
    }
}

/// Echoes all of one connection.
fn serve(place: &str) {
    let listener = TcpListener::bind(place).expect("a free port");
    println!("serves {}", listener.local_addr().expect("an address"));
    let (mut stream, _) = listener.accept().expect("a client");
    let mut bytes = vec![0; 70_000];
    loop {
        match stream.read(&mut bytes).expect("bytes, or the end") {
            0 => break,
            len => stream.write_all(&bytes[..len]).expect("the client takes it"),
        }
    }
    stream.shutdown(Shutdown::Write).expect("it is open");
    println!("done {}", stream.local_addr().expect("an address"));
    stay();
}

/// Reads in small pieces of changing length, and checks each byte.
fn serve_slowly(place: &str) {
    let listener = TcpListener::bind(place).expect("a free port");
    println!("serves {}", listener.local_addr().expect("an address"));
    let (mut stream, _) = listener.accept().expect("a client");
    let (mut bytes, mut at) = (vec![0; 9973], 0usize);
    loop {
        let room = 1 + at % bytes.len();
        match stream.read(&mut bytes[..room]).expect("bytes, or the end") {
            0 => break,
            len => {
                assert!((0..len).all(|index| bytes[index] == byte(at + index)), "after {at}");
                at += len;
            }
        }
    }
    stream.write_all(&(at as u64).to_le_bytes()).expect("the client takes it");
    println!("done {at}");
    stay();
}

/// Speaks first, one after the other, then both ways at once, and ends its half.
fn ask(place: SocketAddr) {
    let mut stream = TcpStream::connect(place).expect("a server");
    for round in 0..100usize {
        let sent: Vec<u8> = (0..=round).map(byte).collect();
        stream.write_all(&sent).expect("the server takes it");
        let mut got = vec![0; sent.len()];
        stream.read_exact(&mut got).expect("the echo");
        assert_eq!(sent, got);
    }
    let mut half = stream.try_clone().expect("a second descriptor");
    let sender = std::thread::spawn(move || {
        for start in (0..POURED).step_by(100_000) {
            let piece: Vec<u8> = (start..POURED.min(start + 100_000)).map(byte).collect();
            half.write_all(&piece).expect("the server takes it");
        }
        half.shutdown(Shutdown::Write).expect("it is open");
    });
    let mut got = Vec::new();
    stream.read_to_end(&mut got).expect("the echo");
    sender.join().expect("it sends");
    assert_eq!(got.len(), POURED);
    assert!(got.iter().enumerate().all(|(at, &got)| got == byte(at)));
    println!("done {}", stream.local_addr().expect("an address"));
    stay();
}

/// Sends without waiting for anything, in small pieces first, so that the way changes in the middle.
fn pour(place: SocketAddr) {
    let mut stream = TcpStream::connect(place).expect("a server");
    let mut at = 0;
    while at < POURED {
        let len = (1 + at / 7).min(POURED - at).min(60_000);
        let piece: Vec<u8> = (at..at + len).map(byte).collect();
        stream.write_all(&piece).expect("the server takes it");
        at += len;
    }
    stream.shutdown(Shutdown::Write).expect("it is open");
    let mut answer = [0; 8];
    stream.read_exact(&mut answer).expect("the count");
    assert_eq!(u64::from_le_bytes(answer), POURED as u64);
    println!("done {at}");
    stay();
}

/// Keeps the connection, and so its row in the page, until the test has looked.
fn stay() {
    std::io::stdin().read_to_end(&mut Vec::new()).expect("it ends");
}

/// Any byte depends on its place, in no short rhythm.
fn byte(at: usize) -> u8 {
    (at.wrapping_mul(2_654_435_761) >> 13) as u8
}

const POURED: usize = 3_000_000;

/// Plays a server and a client; the answer is what carried each.
fn play(server: (&str, &str, bool), client: (&str, bool)) -> [Option<Snapshot>; 2] {
    let mut serving = End::start(server.0, server.1, server.2);
    let place = serving.says("serves");
    let mut asking = End::start(client.0, &place, client.1);
    asking.says("done");
    serving.says("done");
    let pages = [serving.page(), asking.page()];
    asking.finish();
    serving.finish();
    pages
}

#[test]
fn both_ends_meet_and_bytes_go_past_tcp() {
    for place in ["127.0.0.1:0", "[::1]:0"] {
        let pages = play(("serve", place, true), ("ask", true));
        for page in pages {
            let page = page.expect("a page");
            assert_eq!(page.carried, 1, "{page:?}");
            assert!(page.rows.iter().any(|row| row.phase == Phase::Met));
            assert!(page.sent > POURED as u64 / 2 && page.received > POURED as u64 / 2, "{page:?}");
            // A hundred questions and answers, of which a few went by TCP; the last ones are not told yet.
            assert!((128..10_000).contains(&page.carried_calls), "{}", page.carried_calls);
            assert!(page.kernel_calls > 0, "to meet takes a few");
        }
    }
}

#[test]
fn bytes_keep_their_order_while_the_way_changes() {
    for _ in 0..5 {
        let [server, client] = play(("serve-slowly", "127.0.0.1:0", true), ("pour", true));
        let (received, sent) = (server.expect("a page").received, client.expect("a page").sent);
        // What was unread at the end came by TCP.
        assert!(received <= sent, "{received} of {sent}");
    }
}

#[test]
fn a_page_goes_with_its_process() {
    let user = std::fs::metadata("/proc/self").expect("a process").uid();
    let mut serving = End::start("serve", "127.0.0.1:0", true);
    let place = serving.says("serves");
    let path = directory(user).join(format!("{}.{}", serving.run, serving.child.id()));
    assert!(path.exists());
    let mut asking = End::start("ask", &place, true);
    asking.says("done");
    asking.finish();
    serving.finish();
    assert!(!path.exists());
}

#[test]
fn one_end_alone_has_tcp() {
    let [server, client] = play(("serve", "127.0.0.1:0", false), ("ask", true));
    assert_eq!((server, client.map(|page| (page.carried, page.sent))), (None, Some((0, 0))));
    let [server, client] = play(("serve", "127.0.0.1:0", true), ("ask", false));
    assert_eq!((server.map(|page| (page.carried, page.sent)), client), (Some((0, 0)), None));
}

#[test]
fn a_policy_keeps_to_tcp_or_away_from_it() {
    let play_by = |policy: &str| {
        let mut serving = End::start("serve", "127.0.0.1:0", true);
        let place = serving.says("serves");
        let mut asking = End::start_by("ask", &place, true, policy);
        asking.says("done");
        let page = asking.page().expect("a page");
        asking.finish();
        serving.says("done");
        serving.finish();
        (page.carried, page.sent > 0)
    };
    assert_eq!(play_by("use tcp client * *:*"), (0, false));
    assert_eq!(play_by("use tcp server * *:*"), (1, true));
    assert_eq!(play_by("use tcp client nobody *:*\nuse sdp client * 127.0.0.0/8:*"), (1, true));

    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let place = listener.local_addr().expect("an address").to_string();
    let mut refused = End::start_by("refused", &place, true, "use sdp client * *:*");
    assert_eq!(refused.says("done"), "ConnectionRefused");
    refused.finish();

    // Nor does one of ours at the same port vouch for who listens at another address.
    let mut serving = End::start("serve", "127.0.0.1:0", true);
    let ours = serving.says("serves");
    let other = format!("127.0.0.2:{}", ours.rsplit(':').next().expect("a port"));
    let _listener = TcpListener::bind(&other).expect("a free port");
    let mut refused = End::start_by("refused", &other, true, "use sdp client * *:*");
    assert_eq!(refused.says("done"), "ConnectionRefused");
    refused.finish();
}
