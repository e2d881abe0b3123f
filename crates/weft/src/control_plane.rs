//! The control plane's thread: JSON-RPC on a socket, and configuration files. It reaches the shard by calls alone.

use crate::error::Failure;
use crate::rpc::is_tcp;
use control::config::{Config, load};
use control::fabric::Fabric;
use control::methods::State;
use control::methods::log::LogState;
use control::server::bind_tcp;
use control::{Dispatcher, Server, ServerLimits, UnixSocket};
use engine::Shard;
use reactor::Reactor;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, TryRecvError};
use std::thread::JoinHandle;
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The running control plane. Dropping it ends it, and removes its socket.
pub struct ControlPlane {
    runtime: Handle,
    dispatcher: Dispatcher<Fabric>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Starts the thread, and answers at `socket` (a path, or ADDR:PORT) from here on.
pub fn start(shard: &mut Shard, socket: &str, log: Arc<LogState>) -> Result<ControlPlane, Failure> {
    let state = State::new(log);
    state.observe(shard);
    let dispatcher = Dispatcher::new(Arc::new(state.table()), Arc::new(shard.handle()));
    let server = Server::new(dispatcher.clone(), ServerLimits::default());
    let (ready, started) = mpsc::channel();
    let (end, ended) = oneshot::channel();
    let (place, shard) = (socket.to_owned(), shard.handle());
    let run = move || match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(async move {
            tokio::spawn(stop(state, shard));
            tokio::select! {
                () = serve(&server, &place, &ready) => {}
                _ = ended => {}
            }
        }),
        Err(why) => report(&ready, Err(Failure::Start(why))),
    };
    let thread = std::thread::Builder::new().name("control".into()).spawn(run).map_err(Failure::Start)?;
    let ended_early = |_| Failure::Start(io::ErrorKind::BrokenPipe.into());
    let runtime = started.recv().map_err(ended_early)??;
    Ok(ControlPlane { runtime, dispatcher, end: Some(end), thread: Some(thread) })
}

/// Drains the shard when a method says that the process is to end.
async fn stop(state: State, shard: engine::Handle) {
    state.stop.notified().await;
    // A shard that takes no call is ending already.
    let _ = shard.call(Box::new(|shard, env| shard.drain(env)));
}

/// Answers on a socket for as long as the process lives; says first whether that can be.
async fn serve(server: &Server<Fabric>, place: &str, ready: &mpsc::Sender<Result<Handle, Failure>>) {
    let outcome = if is_tcp(place) {
        let address = place.parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidInput));
        match async { bind_tcp(address?).await }.await {
            Ok(listener) => {
                report(ready, Ok(Handle::current()));
                server.serve_tcp(listener).await
            }
            Err(why) => return report(ready, Err(refusal(place, why).await)),
        }
    } else {
        match UnixSocket::bind(Path::new(place)) {
            Ok(socket) => {
                report(ready, Ok(Handle::current()));
                server.serve_unix(socket).await
            }
            Err(why) => return report(ready, Err(refusal(place, why).await)),
        }
    };
    if let Err(error) = outcome {
        tracing::error!(%error, "the control socket is closed");
    }
}

/// Why a socket cannot be listened on, and who has it if somebody does.
async fn refusal(place: &str, why: io::Error) -> Failure {
    if why.kind() != io::ErrorKind::AddrInUse {
        return Failure::File { path: place.into(), why };
    }
    let credentials = UnixStream::connect(place).await.and_then(|stream| stream.peer_cred());
    let holder = credentials.ok().and_then(|credentials| credentials.pid());
    Failure::SocketTaken { socket: place.into(), holder }
}

impl ControlPlane {
    /// Makes the calls of a configuration file, while the shard is driven here.
    pub fn load(&self, shard: &mut Shard, env: &mut Reactor, file: &Path) -> Result<(), Failure> {
        let wrong = |why: String| Failure::Config { path: file.into(), why };
        let text = std::fs::read(file).map_err(|why| Failure::File { path: file.into(), why })?;
        let config: Config = serde_json::from_slice(&text).map_err(|why| wrong(why.to_string()))?;
        let (done, loaded) = mpsc::channel();
        let (dispatcher, waker) = (self.dispatcher.clone(), shard.handle());
        self.runtime.spawn(async move {
            report(&done, load(&dispatcher, &config).await);
            // The shard may be asleep: its turn has to end for the answer to be seen.
            let _ = waker.call(Box::new(|_, _| ()));
        });
        loop {
            match loaded.try_recv() {
                Ok(outcome) => return outcome.map_err(|why| wrong(why.to_string())),
                Err(TryRecvError::Disconnected) => return Err(wrong("the control plane has ended".into())),
                Err(TryRecvError::Empty) => shard.turn(env),
            }
            if crate::signals::interrupted() {
                return Err(Failure::Interrupted);
            }
        }
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        // Dropping the sender is the message.
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so itself.
            drop(thread.join());
        }
    }
}

/// Tells whoever waits; nobody does any more if the process is ending.
fn report<T>(to: &mpsc::Sender<T>, what: T) {
    drop(to.send(what));
}
