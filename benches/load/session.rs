//! One HTTP/2 connection as a state machine without I/O: asks in a closed loop and judges every answer.

use crate::answer::{Answer, GRPC_PREFIX, split_message};
use crate::frames::{self, Frame, HeaderBlocks, flag, kind};
use anyhow::{Result, bail};
use std::cell::Cell;
use std::rc::Rc;

/// What is asked, and what a good answer looks like.
pub struct Plan {
    pub headers: HeaderBlocks,
    /// Header fields, encoded, of which each call carries one; empty when the caller is the same for all.
    pub callers: Vec<Vec<u8>>,
    /// gRPC messages with their five-byte prefix, of which each call carries one.
    pub bodies: Vec<Vec<u8>>,
    pub shape: Shape,
    pub answer: Answer,
    /// Questions that are open at a time on each connection.
    pub in_flight: usize,
}

impl Plan {
    /// Whether it asks for nothing and gets nothing.
    pub fn is_echo(&self) -> bool {
        self.answer == Answer::Empty
    }
}

/// How questions travel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A stream for each question.
    Unary,
    /// All on one stream; questions that are ready at the same time share a DATA frame, as with tonic's client.
    Stream,
    /// All on one stream, each in a DATA frame of its own, as with grpc-go's client.
    StreamApart,
}

/// What all connections of a run count together.
#[derive(Default)]
pub struct Tally {
    pub answers: Cell<u64>,
    pub failures: Cell<u64>,
    /// Set when no more questions are to be asked.
    pub stop: Cell<bool>,
}

/// One connection.
pub struct Session {
    plan: Rc<Plan>,
    tally: Rc<Tally>,
    /// Bytes to send.
    pub out: Vec<u8>,
    next_stream: u32,
    in_flight: usize,
    random: u64,
    /// Bytes that the peer still takes on the connection, and on the one stream of a streaming plan.
    connection_window: i64,
    stream_window: i64,
    received: u32,
    /// Whether a stream has brought a good answer, by the low bits of its number.
    good: Vec<bool>,
    /// The beginning of a message whose rest has not arrived.
    partial: Vec<u8>,
    closed: bool,
}

/// The one stream of a streaming plan.
const ONLY_STREAM: u32 = 1;
const GOOD_SLOTS: usize = 4_096;
const LARGEST_WINDOW: u32 = 0x7fff_ffff;
const DEFAULT_WINDOW: u32 = 65_535;
/// Received bytes after which the peer's windows are opened again.
const REOPEN_AFTER: u32 = 1 << 20;
const SETTING_INITIAL_WINDOW: u16 = 4;

impl Session {
    /// A connection that has yet to send its preface; `seed` chooses the order of its questions.
    pub fn new(plan: Rc<Plan>, tally: Rc<Tally>, seed: u64) -> Self {
        let mut out = frames::PREFACE.to_vec();
        let mut setting = SETTING_INITIAL_WINDOW.to_be_bytes().to_vec();
        setting.extend_from_slice(&LARGEST_WINDOW.to_be_bytes());
        frames::push(&mut out, kind::SETTINGS, 0, 0, &setting);
        frames::push(&mut out, kind::WINDOW_UPDATE, 0, 0, &(LARGEST_WINDOW - DEFAULT_WINDOW).to_be_bytes());
        Self {
            plan,
            tally,
            out,
            next_stream: ONLY_STREAM,
            in_flight: 0,
            random: 0x9e37_79b9_7f4a_7c15 ^ (seed << 32 | seed),
            connection_window: i64::from(DEFAULT_WINDOW),
            stream_window: i64::from(DEFAULT_WINDOW),
            received: 0,
            good: vec![false; GOOD_SLOTS],
            partial: Vec::new(),
            closed: false,
        }
    }

    /// Asks until as many questions are open as planned, or the run is over.
    pub fn ask(&mut self) {
        if self.tally.stop.get() {
            self.finish();
            return;
        }
        let plan = Rc::clone(&self.plan);
        match plan.shape {
            Shape::Unary => while self.in_flight < plan.in_flight && self.ask_unary(&plan) {},
            Shape::Stream => self.ask_on_stream(&plan, frames::MAX_PAYLOAD),
            Shape::StreamApart => self.ask_on_stream(&plan, 0),
        }
    }

    /// Whether all questions have been answered and none will follow.
    pub fn is_finished(&self) -> bool {
        self.tally.stop.get() && self.in_flight == 0 && (self.plan.shape == Shape::Unary || self.closed)
    }

    /// Takes received bytes and returns how many of them were used.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<usize> {
        let mut rest = bytes;
        while let Some((frame, after)) = frames::split(rest) {
            self.take(&frame)?;
            rest = after;
        }
        self.reopen_windows();
        Ok(bytes.len() - rest.len())
    }

    fn ask_unary(&mut self, plan: &Plan) -> bool {
        let draw = self.draw();
        let Some(body) = pick(&plan.bodies, draw) else { return false };
        if !self.reserve(body.len()) {
            return false;
        }
        let block = if self.next_stream == ONLY_STREAM { &plan.headers.first } else { &plan.headers.again };
        let caller = pick(&plan.callers, draw).map_or(&[][..], Vec::as_slice);
        let stream = self.next_stream;
        frames::push_head(
            &mut self.out,
            block.len() + caller.len(),
            kind::HEADERS,
            flag::END_HEADERS,
            stream,
        );
        self.out.extend_from_slice(block);
        self.out.extend_from_slice(caller);
        frames::push(&mut self.out, kind::DATA, flag::END_STREAM, stream, body);
        self.next_stream += 2;
        self.in_flight += 1;
        true
    }

    /// Opens the stream if need be and sends questions, in frames of up to `frame_size` bytes or of one question.
    fn ask_on_stream(&mut self, plan: &Plan, frame_size: usize) {
        if self.next_stream == ONLY_STREAM {
            frames::push(&mut self.out, kind::HEADERS, flag::END_HEADERS, ONLY_STREAM, &plan.headers.first);
            self.next_stream += 2;
        }
        let mut payload = Vec::new();
        while self.in_flight < plan.in_flight {
            let draw = self.draw();
            let Some(body) = pick(&plan.bodies, draw) else { break };
            if !self.reserve(body.len()) {
                break;
            }
            if !payload.is_empty() && payload.len() + body.len() > frame_size {
                frames::push(&mut self.out, kind::DATA, 0, ONLY_STREAM, &payload);
                payload.clear();
            }
            payload.extend_from_slice(body);
            self.in_flight += 1;
        }
        if !payload.is_empty() {
            frames::push(&mut self.out, kind::DATA, 0, ONLY_STREAM, &payload);
        }
    }

    /// Ends the one stream of a streaming plan once its questions are answered.
    fn finish(&mut self) {
        if self.plan.shape != Shape::Unary && self.in_flight == 0 && self.next_stream != 0 {
            frames::push(&mut self.out, kind::DATA, flag::END_STREAM, ONLY_STREAM, &[]);
            self.next_stream = 0;
        }
    }

    /// Takes `length` bytes from the peer's windows, or says that they are shut.
    fn reserve(&mut self, length: usize) -> bool {
        let Ok(length) = i64::try_from(length) else { return false };
        let streaming = self.plan.shape != Shape::Unary;
        if self.connection_window < length || (streaming && self.stream_window < length) {
            return false;
        }
        self.connection_window -= length;
        self.stream_window -= if streaming { length } else { 0 };
        true
    }

    fn take(&mut self, frame: &Frame<'_>) -> Result<()> {
        match frame.kind {
            kind::DATA if frame.has(flag::PADDED) => bail!("the server pads its frames"),
            kind::DATA => self.data(frame),
            kind::HEADERS if frame.has(flag::END_STREAM) => self.end(frame.stream),
            kind::RST_STREAM => self.end(frame.stream),
            kind::SETTINGS if !frame.has(flag::ACK) => self.settings(frame.payload),
            kind::PING if !frame.has(flag::ACK) => {
                frames::push(&mut self.out, kind::PING, flag::ACK, 0, frame.payload);
            }
            kind::WINDOW_UPDATE => self.window_update(frame),
            kind::GOAWAY => {
                bail!("the server ends the connection: {}", String::from_utf8_lossy(frame.payload))
            }
            _ => {}
        }
        Ok(())
    }

    fn data(&mut self, frame: &Frame<'_>) {
        self.received += u32::try_from(frame.payload.len()).unwrap_or(0);
        if self.plan.shape == Shape::Unary {
            let good =
                frame.payload.get(GRPC_PREFIX..).is_some_and(|message| self.plan.answer.is_in(message));
            if let Some(slot) = self.good.get_mut(slot(frame.stream)) {
                *slot |= good;
            }
        } else {
            self.messages(frame.payload);
        }
        if frame.has(flag::END_STREAM) {
            self.end(frame.stream);
        }
    }

    /// Counts the whole messages in the data of a stream.
    fn messages(&mut self, payload: &[u8]) {
        let mut partial = std::mem::take(&mut self.partial);
        partial.extend_from_slice(payload);
        let mut rest = partial.as_slice();
        while let Some((message, after)) = split_message(rest) {
            self.count(self.plan.answer.is_in(message));
            rest = after;
        }
        let used = partial.len() - rest.len();
        partial.drain(..used);
        self.partial = partial;
    }

    /// A stream has ended: with unary calls its answer counts, else all questions still open are lost.
    fn end(&mut self, stream: u32) {
        if self.plan.shape == Shape::Unary {
            let good = self.good.get_mut(slot(stream)).is_some_and(std::mem::take);
            self.count(good);
            return;
        }
        while self.in_flight > 0 {
            self.count(false);
        }
        self.closed = true;
    }

    fn count(&mut self, good: bool) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let counter = if good { &self.tally.answers } else { &self.tally.failures };
        counter.set(counter.get() + 1);
    }

    /// Takes the peer's settings; its initial window counts from the default (RFC 9113 §6.9.2).
    fn settings(&mut self, payload: &[u8]) {
        for setting in payload.as_chunks::<6>().0 {
            let [n0, n1, value @ ..] = *setting;
            if u16::from_be_bytes([n0, n1]) == SETTING_INITIAL_WINDOW {
                self.stream_window += i64::from(u32::from_be_bytes(value)) - i64::from(DEFAULT_WINDOW);
            }
        }
        frames::push(&mut self.out, kind::SETTINGS, flag::ACK, 0, &[]);
    }

    fn window_update(&mut self, frame: &Frame<'_>) {
        let Some(&bytes) = frame.payload.first_chunk::<4>() else { return };
        let more = i64::from(u32::from_be_bytes(bytes) & LARGEST_WINDOW);
        if frame.stream == 0 {
            self.connection_window += more;
        } else {
            self.stream_window += more;
        }
    }

    fn reopen_windows(&mut self) {
        if self.received < REOPEN_AFTER {
            return;
        }
        let more = std::mem::take(&mut self.received).to_be_bytes();
        frames::push(&mut self.out, kind::WINDOW_UPDATE, 0, 0, &more);
        if self.plan.shape != Shape::Unary && !self.closed {
            frames::push(&mut self.out, kind::WINDOW_UPDATE, 0, ONLY_STREAM, &more);
        }
    }

    /// The next number of a xorshift generator: cheap, and different for each connection.
    fn draw(&mut self) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random >> 16).unwrap_or(0)
    }
}

fn slot(stream: u32) -> usize {
    usize::try_from(stream / 2).unwrap_or(0) % GOOD_SLOTS
}

fn pick(choices: &[Vec<u8>], draw: usize) -> Option<&Vec<u8>> {
    choices.get(draw.checked_rem(choices.len())?)
}
