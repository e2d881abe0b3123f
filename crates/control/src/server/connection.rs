//! One client: read, cut, answer, write, and again, one request at a time.
//!
//! While a request is under way nothing more is read, so that a client that pipelines is held back by the socket. The
//! requests of a batch run one after the other, so that a later one can use what an earlier one made, and each response
//! is written before the next request runs: a batch of many small requests with large results takes the memory of one.

use std::io;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::ServerLimits;
use crate::dispatch::{Dispatcher, Message};
use crate::error::RpcError;
use crate::frame::{FrameError, Framer};
use crate::method::Target;
use crate::request::failure;

/// Serves a client until it leaves, falls out of step or stalls.
pub(super) async fn run<T: Target>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    dispatcher: &Dispatcher<T>,
    limits: ServerLimits,
) -> io::Result<()> {
    let mut client = Client { stream, dispatcher, limits };
    let mut framer = Framer::new(limits.request);
    let mut piece = vec![0; READ_SIZE];
    loop {
        while let Some(bytes) = framer.next_value().transpose() {
            match bytes.map_err(out_of_step).and_then(Message::parse) {
                Ok(message) => client.answer(message).await?,
                Err(error) => {
                    client.write(&failure(Value::Null, &error)).await?;
                    return client.stream.shutdown().await;
                }
            }
        }
        let read = client.read(&mut piece, framer.is_partial()).await?;
        if read == 0 {
            return client.stream.shutdown().await;
        }
        framer.push(&piece[..read]);
    }
}

struct Client<'a, S, T> {
    stream: S,
    dispatcher: &'a Dispatcher<T>,
    limits: ServerLimits,
}

impl<S: AsyncRead + AsyncWrite + Unpin, T: Target> Client<'_, S, T> {
    async fn answer(&mut self, message: Message) -> io::Result<()> {
        match message {
            Message::Single(request) => match self.dispatcher.respond(request).await {
                Some(response) => self.write(&response).await,
                None => Ok(()),
            },
            Message::Batch(requests) => self.answer_batch(requests).await,
        }
    }

    async fn answer_batch(&mut self, requests: Vec<Value>) -> io::Result<()> {
        let mut separator = "[";
        for request in requests {
            if let Some(response) = self.dispatcher.respond(request).await {
                self.write_bytes(separator.as_bytes()).await?;
                self.write(&response).await?;
                separator = ",";
            }
        }
        if separator == "[" { Ok(()) } else { self.write_bytes(b"]").await }
    }

    async fn write(&mut self, response: &Value) -> io::Result<()> {
        self.write_bytes(&serde_json::to_vec(response)?).await
    }

    async fn write_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        timeout(self.limits.stall_max, self.stream.write_all(bytes)).await?
    }

    /// Waits for bytes, but not for ever in the middle of a request.
    async fn read(&mut self, piece: &mut [u8], partial: bool) -> io::Result<usize> {
        if partial {
            timeout(self.limits.stall_max, self.stream.read(piece)).await?
        } else {
            self.stream.read(piece).await
        }
    }
}

fn out_of_step(error: FrameError) -> RpcError {
    match error {
        FrameError::TooLarge | FrameError::TooDeep => RpcError::invalid_request(error),
        FrameError::NotAContainer | FrameError::Unbalanced => RpcError::parse(error),
    }
}

const READ_SIZE: usize = 16 << 10;
