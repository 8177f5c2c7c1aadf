//! What a guest prints: split into lines, limited in rate, handed to the node. The last lines on stderr are kept, because a panicking guest
//! says there what went wrong.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::{Host, LogLevel, LogStream};

/// A longer line is cut into pieces.
const LINE_BYTES_MAX: usize = 8 << 10;
/// How much a guest may write at once.
const WRITE_BYTES_MAX: usize = 64 << 10;
const LAST_LINES_MAX: usize = 20;
const LAST_BYTES_MAX: usize = 4 << 10;
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// One of a guest's two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pipe {
    Stdout,
    Stderr,
}

impl From<Pipe> for LogStream {
    fn from(pipe: Pipe) -> Self {
        match pipe {
            Pipe::Stdout => Self::Stdout,
            Pipe::Stderr => Self::Stderr,
        }
    }
}

/// All that one guest says.
pub(crate) struct Output {
    host: Arc<dyn Host>,
    rate: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    partial: [Vec<u8>; 2],
    last_words: VecDeque<String>,
    bucket: Option<Bucket>,
}

/// What may still be logged now.
struct Bucket {
    bytes: u64,
    filled_at: Instant,
    dropped_lines: u64,
    dropped_bytes: u64,
    dropped_since: Instant,
    /// Bytes that a line has told of, for the node to count.
    told_bytes: u64,
}

impl Output {
    /// `rate`: bytes a second.
    pub(crate) fn new(host: Arc<dyn Host>, rate: u32) -> Self {
        Self {
            host,
            rate: u64::from(rate),
            state: Mutex::default(),
        }
    }

    /// Forgets what earlier turns said.
    pub(crate) fn begin_turn(&self) {
        let mut state = self.state.lock();
        state.last_words.clear();
    }

    /// Logs what was begun without a newline, and what was dropped.
    pub(crate) fn end_turn(&self) {
        let mut lines = Vec::new();
        let told_bytes = {
            let mut state = self.state.lock();
            let state = &mut *state;
            for pipe in [Pipe::Stdout, Pipe::Stderr] {
                if !state.partial[index(pipe)].is_empty() {
                    let line = std::mem::take(&mut state.partial[index(pipe)]);
                    state.finish(pipe.into(), &line, self.rate, &mut lines);
                }
            }
            if let Some(bucket) = &mut state.bucket {
                lines.extend(bucket.report(Instant::now(), false));
            }
            state.take_told_bytes()
        };
        self.log(lines, told_bytes);
    }

    /// What the guest said on stderr in this turn, joined by newlines, without the hint that Rust adds to a panic.
    pub(crate) fn last_words(&self) -> String {
        let state = self.state.lock();
        let unfinished = String::from_utf8_lossy(&state.partial[index(Pipe::Stderr)]).into_owned();
        let lines = state
            .last_words
            .iter()
            .map(String::as_str)
            .chain(Some(unfinished.as_str()));
        let lines: Vec<_> = lines
            .filter(|line| !line.is_empty() && !line.starts_with("note: run with `RUST_BACKTRACE"))
            .collect();
        lines.join("\n")
    }

    /// Logs a message with its level: each of its lines is one, and the context stands before the first.
    pub(crate) fn record(&self, level: LogLevel, context: &str, message: &str) {
        let separator = if context.is_empty() { "" } else { ": " };
        let text = format!("{context}{separator}{message}");
        let mut lines = Vec::new();
        let told_bytes = {
            let mut state = self.state.lock();
            for line in text.lines() {
                for part in line.as_bytes().chunks(LINE_BYTES_MAX) {
                    state.finish(LogStream::Leveled(level), part, self.rate, &mut lines);
                }
            }
            state.take_told_bytes()
        };
        self.log(lines, told_bytes);
    }

    fn write(&self, pipe: Pipe, bytes: &[u8]) {
        let mut lines = Vec::new();
        let told_bytes = {
            let mut state = self.state.lock();
            let mut rest = bytes;
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                state.append(pipe, &rest[..end], self.rate, &mut lines);
                let line = std::mem::take(&mut state.partial[index(pipe)]);
                state.finish(pipe.into(), &line, self.rate, &mut lines);
                rest = &rest[end + 1..];
            }
            state.append(pipe, rest, self.rate, &mut lines);
            state.take_told_bytes()
        };
        self.log(lines, told_bytes);
    }

    /// Outside of the lock: what the node does with a line is its own business.
    fn log(&self, lines: Vec<(LogStream, String)>, told_bytes: u64) {
        for (stream, line) in lines {
            self.host.log(stream, &line);
        }
        if 0 < told_bytes {
            self.host.log_dropped(told_bytes);
        }
    }
}

type Lines = Vec<(LogStream, String)>;

impl State {
    /// Adds to the line that is being written, cutting it where it gets too long.
    fn append(&mut self, pipe: Pipe, bytes: &[u8], rate: u64, lines: &mut Lines) {
        let mut rest = bytes;
        while LINE_BYTES_MAX < self.partial[index(pipe)].len() + rest.len() {
            let fits = LINE_BYTES_MAX - self.partial[index(pipe)].len();
            let mut line = std::mem::take(&mut self.partial[index(pipe)]);
            line.extend_from_slice(&rest[..fits]);
            self.finish(pipe.into(), &line, rate, lines);
            rest = &rest[fits..];
        }
        self.partial[index(pipe)].extend_from_slice(rest);
    }

    fn finish(&mut self, stream: LogStream, line: &[u8], rate: u64, lines: &mut Lines) {
        let line = String::from_utf8_lossy(line)
            .trim_end_matches('\r')
            .to_owned();
        if stream == LogStream::Stderr {
            self.remember(&line);
        }
        let now = Instant::now();
        let bucket = self.bucket.get_or_insert_with(|| Bucket::new(rate, now));
        if bucket.take(line.len() as u64 + 1, rate, now) {
            lines.extend(bucket.report(now, true));
            lines.push((stream, line));
        } else {
            lines.extend(bucket.report(now, false));
        }
    }

    fn take_told_bytes(&mut self) -> u64 {
        self.bucket
            .as_mut()
            .map_or(0, |bucket| std::mem::take(&mut bucket.told_bytes))
    }

    fn remember(&mut self, line: &str) {
        self.last_words
            .push_back(line.chars().take(LAST_BYTES_MAX).collect());
        let bytes = |lines: &VecDeque<String>| lines.iter().map(String::len).sum::<usize>();
        while LAST_LINES_MAX < self.last_words.len()
            || (1 < self.last_words.len() && LAST_BYTES_MAX < bytes(&self.last_words))
        {
            self.last_words.pop_front();
        }
    }
}

impl Bucket {
    fn new(rate: u64, now: Instant) -> Self {
        Self {
            bytes: rate,
            filled_at: now,
            dropped_lines: 0,
            dropped_bytes: 0,
            dropped_since: now,
            told_bytes: 0,
        }
    }

    fn take(&mut self, bytes: u64, rate: u64, now: Instant) -> bool {
        let elapsed =
            u64::try_from(now.duration_since(self.filled_at).as_micros()).unwrap_or(u64::MAX);
        let refill = elapsed.saturating_mul(rate) / 1_000_000;
        if 0 < refill {
            self.bytes = self.bytes.saturating_add(refill).min(rate);
            self.filled_at = now;
        }
        if bytes <= self.bytes {
            self.bytes -= bytes;
            return true;
        }
        if self.dropped_lines == 0 {
            self.dropped_since = now;
        }
        self.dropped_lines += 1;
        self.dropped_bytes += bytes;
        false
    }

    /// The line that tells of dropped ones: once a second, and at once (`flowing`) when others are let through again.
    fn report(&mut self, now: Instant, flowing: bool) -> Option<(LogStream, String)> {
        if self.dropped_lines == 0
            || (!flowing && now.duration_since(self.dropped_since) < REPORT_INTERVAL)
        {
            return None;
        }
        let (lines, bytes) = (
            std::mem::take(&mut self.dropped_lines),
            std::mem::take(&mut self.dropped_bytes),
        );
        self.told_bytes += bytes;
        Some((
            LogStream::Stderr,
            format!("[granary: {lines} lines ({bytes} bytes) dropped over limits.log-rate]"),
        ))
    }
}

fn index(pipe: Pipe) -> usize {
    match pipe {
        Pipe::Stdout => 0,
        Pipe::Stderr => 1,
    }
}

/// One of the streams, as WASI sees it.
#[derive(Clone)]
pub(crate) struct Printer {
    pub(crate) output: Arc<Output>,
    pub(crate) pipe: Pipe,
}

impl IsTerminal for Printer {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Printer {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Printer {
    async fn ready(&mut self) {}
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Printer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.output.write(self.pipe, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

impl AsyncWrite for Printer {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.output.write(self.pipe, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use granary_core::error::CallError;
    use granary_core::id::GrainId;

    use super::*;
    use crate::{BoxFuture, OutgoingCall, Payload, StatePage};

    /// A node that only keeps a log.
    #[derive(Default)]
    struct Log(Mutex<Vec<(LogStream, String)>>);

    impl Host for Log {
        fn read<'a>(&'a self, _key: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, String>> {
            Box::pin(std::future::ready(Ok(None)))
        }
        fn list<'a>(
            &'a self,
            _: &'a str,
            _: Option<&'a str>,
            _: usize,
        ) -> BoxFuture<'a, Result<StatePage, String>> {
            Box::pin(std::future::ready(Ok((Vec::new(), false))))
        }
        fn cached(&self, _key: &str) -> Option<Option<Vec<u8>>> {
            None
        }
        fn version(&self) -> u64 {
            0
        }
        fn call<'a>(&'a self, _call: OutgoingCall) -> BoxFuture<'a, Result<Payload, CallError>> {
            Box::pin(std::future::pending())
        }
        fn check_send(
            &self,
            _target: &GrainId,
            _method: &str,
            _arguments: &[u8],
        ) -> Result<(), CallError> {
            Ok(())
        }
        fn log(&self, stream: LogStream, line: &str) {
            self.0.lock().push((stream, line.to_owned()));
        }
    }

    fn output(rate: u32) -> (Arc<Log>, Output) {
        let log = Arc::new(Log::default());
        (log.clone(), Output::new(log, rate))
    }

    #[test]
    fn writes_become_lines_and_the_last_one_needs_no_newline() {
        let (log, output) = output(1000);
        output.write(Pipe::Stdout, b"one\r\ntw");
        output.write(Pipe::Stderr, b"oops");
        output.write(Pipe::Stdout, b"o\n\nthree");
        assert_eq!(
            log.0
                .lock()
                .iter()
                .map(|(_, line)| line.as_str())
                .collect::<Vec<_>>(),
            ["one", "two", ""]
        );
        output.end_turn();
        let expected = [
            (LogStream::Stdout, "three".to_owned()),
            (LogStream::Stderr, "oops".to_owned()),
        ];
        assert_eq!(log.0.lock().split_off(3), expected);
    }

    #[test]
    fn a_message_keeps_its_level_and_each_of_its_lines_is_one() {
        let (log, output) = output(1000);
        output.record(LogLevel::Warn, "orders", "late\nvery late");
        output.record(LogLevel::Info, "", "done");
        let expected = [
            (
                LogStream::Leveled(LogLevel::Warn),
                "orders: late".to_owned(),
            ),
            (LogStream::Leveled(LogLevel::Warn), "very late".to_owned()),
            (LogStream::Leveled(LogLevel::Info), "done".to_owned()),
        ];
        assert_eq!(*log.0.lock(), expected);
    }

    #[test]
    fn a_flood_is_dropped_and_counted_and_its_last_words_are_kept() {
        let (log, output) = output(10);
        output.write(Pipe::Stderr, b"123456789\nlost\nlost too\n");
        assert_eq!(log.0.lock().len(), 1);
        assert_eq!(output.last_words(), "123456789\nlost\nlost too");
        let began = Instant::now();
        while log.0.lock().len() < 3 {
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "nothing is logged any more"
            );
            output.write(Pipe::Stdout, b"again\n");
            std::thread::yield_now();
        }
        let lines = log.0.lock();
        assert!(
            lines[1].1.starts_with("[granary: ")
                && lines[1].1.ends_with("dropped over limits.log-rate]"),
            "{lines:?}"
        );
    }

    #[test]
    fn a_long_line_is_cut_and_a_panic_loses_its_hint() {
        let (log, output) = output(1 << 20);
        output.write(Pipe::Stdout, &[b'x'; 2 * LINE_BYTES_MAX + 1]);
        output.write(
            Pipe::Stderr,
            b"panicked at x.rs:1\nnote: run with `RUST_BACKTRACE=1`\n",
        );
        assert_eq!(
            log.0
                .lock()
                .iter()
                .filter(|(_, line)| line.len() == LINE_BYTES_MAX)
                .count(),
            2
        );
        assert_eq!(output.last_words(), "panicked at x.rs:1");
        output.begin_turn();
        assert_eq!(output.last_words(), "");
    }
}
