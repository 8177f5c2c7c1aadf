//! Closing a connection so that its last answer arrives.
//!
//! An upload that is too large is answered at once, in the middle of the body. Closing then, with bytes of the client's unread, makes the
//! kernel reset the connection, and the client sees a broken pipe instead of the answer. So the side that is done reads on and throws away, for a
//! bounded time and length, until the client has closed, too.

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long a client may take to notice.
const LINGER_TIME: Duration = Duration::from_secs(2);
/// How much is thrown away: the longest body that is ever refused for its length, and some.
const LINGER_BYTES: usize = 128 << 20;
const PIECE_BYTES: usize = 16 << 10;

/// A stream whose shutdown waits for the other side.
pub(super) struct Lingering<S> {
    stream: S,
    time: Duration,
    /// Once this side is shut: until when it waits.
    until: Option<Pin<Box<Sleep>>>,
    left: usize,
}

impl<S> Lingering<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            time: LINGER_TIME,
            until: None,
            left: LINGER_BYTES,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.until.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        }
        let until = this.until.get_or_insert_with(|| Box::pin(sleep(this.time)));
        while until.as_mut().poll(cx).is_pending() {
            let mut piece = [MaybeUninit::uninit(); PIECE_BYTES];
            let mut piece = ReadBuf::uninit(&mut piece);
            let read = ready!(Pin::new(&mut this.stream).poll_read(cx, &mut piece));
            let came = piece.filled().len();
            // Whatever ends the reading, this side has said all that it had to say.
            if read.is_err() || came == 0 || this.left < came {
                break;
            }
            this.left -= came;
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn a_client_that_still_writes_gets_the_answer() {
        let (client, server) = duplex(1 << 10);
        let mut server = Lingering::new(server);
        let (mut reader, mut writer) = tokio::io::split(client);
        let sending = tokio::spawn(async move {
            let sent = writer.write_all(&[7; 1 << 20]).await;
            writer.shutdown().await.and(sent)
        });
        server.write_all(b"too long").await.unwrap();
        server.shutdown().await.unwrap();
        let mut answer = Vec::new();
        reader.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"too long");
        sending.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_client_that_never_closes_is_left_after_a_while() {
        let (_client, server) = duplex(1 << 10);
        let mut server = Lingering::new(server);
        server.time = Duration::from_millis(20);
        let began = std::time::Instant::now();
        server.shutdown().await.unwrap();
        assert!(server.time <= began.elapsed());
    }
}
