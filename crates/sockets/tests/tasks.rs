//! Streams of tokio's tasks, on one thread and on several.

use sockets::{AsyncSdpListener, AsyncSdpStream};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
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
