//! One connection that sends one export after another, in a closed loop.

use crate::frames::{self, Frame, MAX_PAYLOAD, flag, kind};
use crate::plan::{HEAD, Plan, Wire, number};
use anyhow::{Context as _, Result, bail, ensure};
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What all connections of a run count together.
#[derive(Default)]
pub struct Tally {
    pub answers: Cell<u64>,
    /// Set when no more is to be sent.
    pub stop: Cell<bool>,
}

/// Bytes of an empty answer, compressed.
const COMPRESSED: usize = 40;
const INBOX: usize = 64 * 1024;
const DEFAULT_WINDOW: i64 = 65_535;
const SETTING_INITIAL_WINDOW: u16 = 4;

/// Sends until told to stop. Fails with the first answer that is not a good one.
pub async fn run(address: SocketAddr, plan: Rc<Plan>, tally: Rc<Tally>) -> Result<()> {
    let mut socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    match &plan.wire {
        Wire::Http(request) => {
            while !tally.stop.get() {
                post(&mut socket, request).await?;
                tally.answers.set(tally.answers.get() + 1);
            }
        }
        Wire::Grpc { headers, frames } => {
            let mut upload = Upload::new(socket, frames.clone());
            let mut opening = frames::PREFACE.to_vec();
            frames::push(&mut opening, kind::SETTINGS, 0, 0, &[]);
            upload.write(&opening).await?;
            while !tally.stop.get() {
                let first = upload.stream == 0;
                upload.send(if first { &headers.first } else { &headers.again }).await?;
                tally.answers.set(tally.answers.get() + 1);
            }
        }
    }
    Ok(())
}

/// A connection over HTTP/2.
struct Upload {
    socket: TcpStream,
    frames: Vec<u8>,
    /// The number of the stream, 0 before the first.
    stream: u32,
    /// Bytes that the peer still takes on the connection, and on a stream; the latter when a stream begins, too.
    connection_window: i64,
    stream_window: i64,
    initial_window: i64,
    inbox: Vec<u8>,
    filled: usize,
    /// The answer's message, and whether it has ended.
    message: Vec<u8>,
    ended: bool,
}

impl Upload {
    fn new(socket: TcpStream, frames: Vec<u8>) -> Self {
        Self {
            socket,
            frames,
            stream: 0,
            connection_window: DEFAULT_WINDOW,
            stream_window: DEFAULT_WINDOW,
            initial_window: DEFAULT_WINDOW,
            inbox: vec![0; INBOX],
            filled: 0,
            message: Vec::new(),
            ended: false,
        }
    }

    /// Sends one export and waits for its answer.
    async fn send(&mut self, block: &[u8]) -> Result<()> {
        self.stream = if self.stream == 0 { 1 } else { self.stream + 2 };
        self.stream_window = self.initial_window;
        self.ended = false;
        self.message.clear();
        let mut opening = Vec::with_capacity(HEAD + block.len());
        frames::push(&mut opening, kind::HEADERS, flag::END_HEADERS, self.stream, block);
        self.write(&opening).await?;
        let mut frames = std::mem::take(&mut self.frames);
        number(&mut frames, self.stream);
        let mut rest = frames.as_slice();
        while !rest.is_empty() && !self.ended {
            let (now, later) = rest.split_at(self.fitting(rest));
            self.write(now).await?;
            rest = later;
            if !rest.is_empty() {
                self.receive().await?;
            }
        }
        while !self.ended {
            self.receive().await?;
        }
        self.frames = frames;
        self.judge()
    }

    /// How many bytes of these frames may be sent now: whole frames only.
    fn fitting(&mut self, frames: &[u8]) -> usize {
        let mut fitting = 0;
        for frame in frames.chunks(HEAD + MAX_PAYLOAD) {
            let payload = i64::try_from(frame.len() - HEAD).unwrap_or(i64::MAX);
            if payload > self.connection_window.min(self.stream_window) {
                break;
            }
            self.connection_window -= payload;
            self.stream_window -= payload;
            fitting += frame.len();
        }
        fitting
    }

    /// A good answer is a message of no bytes, or one that holds an empty partial success.
    fn judge(&self) -> Result<()> {
        let good = match *self.message {
            [0, 0, 0, 0, 0] | [0, 0, 0, 0, 2, 0x0a, 0] => true,
            // The Collector compresses its answers; one that tells of a partial success is longer.
            [1, ..] => self.message.len() <= COMPRESSED,
            _ => false,
        };
        ensure!(good, "an export was refused, or answered with {:?}", self.message);
        Ok(())
    }

    async fn receive(&mut self) -> Result<()> {
        let read = self.socket.read(self.inbox.get_mut(self.filled..).unwrap_or_default()).await?;
        ensure!(read > 0, "the server closed the connection");
        self.filled += read;
        let inbox = std::mem::take(&mut self.inbox);
        let mut rest = inbox.get(..self.filled).unwrap_or_default();
        while let Some((frame, after)) = frames::split(rest) {
            self.take(&frame).await?;
            rest = after;
        }
        let (used, left) = (self.filled - rest.len(), rest.len());
        self.inbox = inbox;
        self.inbox.copy_within(used..self.filled, 0);
        self.filled = left;
        Ok(())
    }

    async fn take(&mut self, frame: &Frame<'_>) -> Result<()> {
        let own = frame.stream == self.stream;
        match frame.kind {
            kind::DATA if own => {
                self.message.extend_from_slice(frame.payload);
                self.ended |= frame.has(flag::END_STREAM);
            }
            kind::HEADERS if own => self.ended |= frame.has(flag::END_STREAM),
            kind::RST_STREAM if own => self.ended = true,
            kind::SETTINGS if !frame.has(flag::ACK) => {
                self.settings(frame.payload);
                self.acknowledge(kind::SETTINGS, &[]).await?;
            }
            kind::PING if !frame.has(flag::ACK) => self.acknowledge(kind::PING, frame.payload).await?,
            kind::WINDOW_UPDATE => {
                let more = frame.payload.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
                if frame.stream == 0 {
                    self.connection_window += i64::from(more);
                } else if own {
                    self.stream_window += i64::from(more);
                }
            }
            kind::GOAWAY => {
                bail!("the server ends the connection: {}", String::from_utf8_lossy(frame.payload))
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes the peer's settings; a new initial window changes those of open streams (RFC 9113 §6.9.2).
    fn settings(&mut self, payload: &[u8]) {
        for setting in payload.as_chunks::<6>().0 {
            let [n0, n1, value @ ..] = *setting;
            if u16::from_be_bytes([n0, n1]) == SETTING_INITIAL_WINDOW {
                let window = i64::from(u32::from_be_bytes(value));
                self.stream_window += window - self.initial_window;
                self.initial_window = window;
            }
        }
    }

    async fn acknowledge(&mut self, kind: u8, payload: &[u8]) -> Result<()> {
        let mut frame = Vec::with_capacity(HEAD + payload.len());
        frames::push(&mut frame, kind, flag::ACK, 0, payload);
        self.write(&frame).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.socket.write_all(bytes).await?)
    }
}

/// Posts one request over HTTP/1.1.
async fn post(socket: &mut TcpStream, request: &[u8]) -> Result<()> {
    socket.write_all(request).await?;
    let mut answer = Vec::new();
    let head = loop {
        ensure!(socket.read_buf(&mut answer).await? > 0, "the server closed the connection");
        if let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
    };
    let text = String::from_utf8_lossy(answer.get(..head).unwrap_or_default()).to_ascii_lowercase();
    ensure!(text.starts_with("http/1.1 200"), "an export was refused: {text}");
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.context("the answer's length is not told")?.trim().parse()?;
    let rest = (head + 4 + length).saturating_sub(answer.len());
    ensure!(rest == 0 && length <= 2, "the answer is not empty: {text}");
    Ok(())
}
