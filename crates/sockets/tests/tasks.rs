//! Streams of tokio's tasks, on one thread and on several.

use sockets::{AsyncSdpListener, AsyncSdpStream, SdpBuffer};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, split};

/// Many tasks echo and ask at once, all on one fabric.
async fn exchange(tasks: usize) {
    let mut listener = AsyncSdpListener::bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a listener");
    let address: SocketAddr = listener.get_ref().local_addr().expect("an address");
    let server = tokio::spawn(async move {
        for _ in 0..tasks {
            let (stream, _) = listener.accept().await.expect("a stream");
            tokio::spawn(async move {
                let (mut from, mut to) = split(stream);
                copy(&mut from, &mut to).await.expect("an echo");
                to.shutdown().await.expect("a half to close");
            });
        }
    });
    let askers: Vec<_> = (0..tasks)
        .map(|number| {
            tokio::spawn(async move {
                let stream = AsyncSdpStream::connect(address).await.expect("a stream");
                let (mut from, mut to) = split(stream);
                let sent = vec![number as u8; 200_000 + number];
                let said = sent.clone();
                let writer = tokio::spawn(async move {
                    to.write_all(&said).await.expect("room");
                    to.shutdown().await.expect("a half to close");
                });
                let mut heard = Vec::new();
                from.read_to_end(&mut heard).await.expect("an echo");
                assert!(heard == sent, "{} of {} bytes", heard.len(), sent.len());
                writer.await.expect("no panic");
            })
        })
        .collect();
    for asker in askers {
        asker.await.expect("no panic");
    }
    server.await.expect("no panic");
}

#[tokio::test]
async fn tasks_of_one_thread_exchange_bytes() {
    exchange(8).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn tasks_of_several_threads_exchange_bytes() {
    exchange(12).await;
}

#[tokio::test]
async fn nobody_listens() {
    let error = AsyncSdpStream::connect((Ipv4Addr::LOCALHOST, 9).into()).await.expect_err("nobody");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

/// Two ends of a stream of the process's fabric.
async fn pair() -> (AsyncSdpStream, AsyncSdpStream) {
    let mut listener = AsyncSdpListener::bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a listener");
    let address = listener.get_ref().local_addr().expect("an address");
    let client = tokio::spawn(AsyncSdpStream::connect(address));
    let (server, _) = listener.accept().await.expect("a stream");
    (client.await.expect("no panic").expect("a stream"), server)
}

fn buffer(stream: &AsyncSdpStream, bytes: &[u8]) -> SdpBuffer {
    let buffer = SdpBuffer::new(stream.get_ref().fabric(), bytes.len()).expect("memory");
    buffer.fill(0, bytes).expect("nobody needs it");
    buffer
}

const LEN: usize = 2_000_000;

fn bytes() -> Vec<u8> {
    (0..LEN).map(|at| (at.wrapping_mul(0x9e37_79b9) >> 11) as u8).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_write_and_read_without_copies() {
    let (mut client, mut server) = pair().await;
    let (from, to) = (buffer(&client, &bytes()), buffer(&server, &vec![0; LEN]));
    let writer = tokio::spawn(async move {
        let mut at = 0;
        while at < LEN {
            at += client.write_from(&from, at..LEN.min(at + 700_000)).await.expect("room");
            assert!(!from.is_busy());
        }
        client.shutdown().await.expect("a half to close");
        client
    });
    let mut at = 0;
    while at < LEN {
        let came = server.read_into(&to, at..LEN).await.expect("bytes");
        assert!(came > 0, "{at} came");
        at += came;
    }
    let mut found = vec![0; LEN];
    to.copy_to(0, &mut found).expect("within");
    assert!(found == bytes());
    assert!(!to.is_busy());
    assert_eq!(server.read(&mut [0; 1]).await.expect("the end"), 0);
    writer.await.expect("no panic");
}

#[tokio::test]
async fn a_read_that_nobody_waits_for_gives_its_memory_back() {
    let (mut client, mut server) = pair().await;
    let to = buffer(&server, &vec![7; LEN]);
    let waited = tokio::time::timeout(Duration::from_millis(20), server.read_into(&to, 0..LEN)).await;
    assert!(waited.is_err(), "nothing comes");
    while to.is_busy() {
        server.get_ref().fabric().turn();
    }
    let writer = tokio::spawn(async move {
        client.write_all(&bytes()).await.expect("room");
        client.shutdown().await.expect("a half to close");
        client
    });
    let mut heard = Vec::new();
    server.read_to_end(&mut heard).await.expect("bytes");
    assert!(heard == bytes());
    let mut found = vec![0; LEN];
    to.copy_to(0, &mut found).expect("within");
    assert!(found.iter().all(|found| *found == 7), "nothing came there any more");
    writer.await.expect("no panic");
}
