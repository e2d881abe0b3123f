//! The control server: accepts clients on a Unix socket or a TCP port and lets each call methods.
//!
//! A hostile client costs a bounded amount: so many connections, one request under way on each, requests of bounded size
//! and depth, and no waiting for one that neither finishes its request nor reads its response. There is no
//! authentication: the Unix socket is open to its owner alone, and a TCP port is for loopback. (A web page cannot reach the
//! port through its reader's browser: the first byte of an HTTP request ends the connection.)

mod connection;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;

use crate::dispatch::Dispatcher;
use crate::error::Errno;
use crate::frame;
use crate::method::Target;
use crate::request::failure;

/// What clients together may take.
#[derive(Debug, Clone, Copy)]
pub struct ServerLimits {
    /// Connections at once.
    pub clients_max: usize,
    /// Size and depth of a request.
    pub request: frame::Limits,
    /// How long the rest of a request, or the reading of a response, may stall.
    pub stall_max: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self { clients_max: 64, request: frame::Limits::default(), stall_max: Duration::from_secs(30) }
    }
}

/// Serves one dispatcher on any number of sockets.
pub struct Server<T> {
    dispatcher: Dispatcher<T>,
    limits: ServerLimits,
    places: Arc<Semaphore>,
}

impl<T> Clone for Server<T> {
    fn clone(&self) -> Self {
        Self { dispatcher: self.dispatcher.clone(), limits: self.limits, places: Arc::clone(&self.places) }
    }
}

impl<T> std::fmt::Debug for Server<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl<T: Target> Server<T> {
    /// A server; the limits hold over all its sockets together.
    pub fn new(dispatcher: Dispatcher<T>, limits: ServerLimits) -> Self {
        Self { dispatcher, limits, places: Arc::new(Semaphore::new(limits.clients_max)) }
    }

    /// Accepts clients until the future is dropped.
    pub async fn serve_unix(&self, socket: UnixSocket) -> io::Result<()> {
        loop {
            match socket.listener.accept().await {
                Ok((stream, _)) => self.admit(stream),
                Err(error) => self.pause_after(error).await?,
            }
        }
    }

    /// Accepts clients until the future is dropped.
    pub async fn serve_tcp(&self, listener: TcpListener) -> io::Result<()> {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    stream.set_nodelay(true)?;
                    self.admit(stream);
                }
                Err(error) => self.pause_after(error).await?,
            }
        }
    }

    /// Gives a new client a place, or tells it that there is none.
    fn admit(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            let full = failure(serde_json::Value::Null, &Errno::Again.because("too many clients"));
            tokio::spawn(async move { stream.write_all(full.to_string().as_bytes()).await });
            return;
        };
        let (dispatcher, limits) = (self.dispatcher.clone(), self.limits);
        tokio::spawn(async move {
            let _place = place;
            connection::run(stream, &dispatcher, limits).await
        });
    }

    /// Out of file descriptors or memory is no reason to stop for good; anything else is.
    async fn pause_after(&self, error: io::Error) -> io::Result<()> {
        match error.kind() {
            io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => Ok(()),
            _ if matches!(error.raw_os_error(), Some(12 | 23 | 24 | 105)) => {
                tracing::warn!(%error, "cannot accept a client");
                tokio::time::sleep(Duration::from_millis(100)).await;
                Ok(())
            }
            _ => Err(error),
        }
    }
}

/// A listening Unix socket, removed when dropped.
#[derive(Debug)]
pub struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl UnixSocket {
    /// Listens at `path`, open to the owner alone. A socket that a dead process left there is replaced; one that somebody
    /// listens on is `AddrInUse`, and a file that is no socket is left alone.
    pub fn bind(path: &Path) -> io::Result<Self> {
        if std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            std::fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path: path.to_owned() })
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.path));
    }
}

/// Listens on a TCP port.
pub fn bind_tcp(addr: SocketAddr) -> impl Future<Output = io::Result<TcpListener>> {
    TcpListener::bind(addr)
}
