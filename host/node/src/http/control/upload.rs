//! Receiving a component: into a file, hashed on the way, so that what was cut off can be continued and what is wrong is never kept.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use granary_core::id::Digest;
use granary_core::limits::COMPONENT_BYTES_MAX;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;

use super::artifacts::UPLOAD_OFFSET;
use crate::http::body;
use crate::http::catalogue as types;
use crate::http::problem::Problem;
use crate::http::settings::ServeError;

/// Unfinished uploads that are kept; the oldest one goes for a new one.
const PARTS_MAX: usize = 64;

/// Which piece of the whole a request brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    first: u64,
    /// The whole's size; none where the piece is the whole and its length was not told.
    total: Option<u64>,
    /// How long this piece says that it is.
    length: Option<u64>,
}

impl Piece {
    /// From `Content-Range` and `Content-Length`. Errors: a range that makes no sense, a whole that is too large.
    pub(super) fn from_headers(headers: &HeaderMap) -> Result<Self, Box<Problem>> {
        let length = headers
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.parse().ok());
        let piece = match headers.get(CONTENT_RANGE) {
            None => Self {
                first: 0,
                total: length,
                length,
            },
            Some(range) => {
                let wrong = || {
                    Problem::new(
                        &types::BAD_REQUEST,
                        "a Content-Range is written 'bytes FIRST-LAST/TOTAL'",
                    )
                };
                let (first, last, total) = range
                    .to_str()
                    .ok()
                    .and_then(parse_range)
                    .ok_or_else(wrong)?;
                let said = last - first + 1;
                if total <= last || length.is_some_and(|length| length != said) {
                    let detail = "the Content-Range does not fit: FIRST ≤ LAST < TOTAL, and Content-Length is LAST - FIRST + 1";
                    return Err(Problem::new(&types::BAD_REQUEST, detail));
                }
                Self {
                    first,
                    total: Some(total),
                    length: Some(said),
                }
            }
        };
        match piece.total {
            Some(total) if COMPONENT_BYTES_MAX < total => Err(too_large(total)),
            Some(_) | None => Ok(piece),
        }
    }
}

fn parse_range(text: &str) -> Option<(u64, u64, u64)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last && last < u64::MAX).then_some((first, last, total.trim().parse().ok()?))
}

fn too_large(actual: u64) -> Box<Problem> {
    super::artifacts::component_problem(granary_runtime::ComponentError::TooLarge { actual })
}

/// What an upload came to.
#[derive(Debug)]
pub(super) enum Received {
    /// More is to come.
    Part {
        /// How much is there.
        offset: u64,
    },
    /// All of it is there, and has the digest.
    Whole {
        /// The component.
        bytes: Vec<u8>,
    },
}

/// The unfinished uploads of a node.
#[derive(Debug)]
pub(crate) struct Uploads {
    dir: PathBuf,
    /// Goes with the server, where no directory was named.
    _temporary: Option<tempfile::TempDir>,
    busy: Mutex<HashMap<Digest, Arc<Turn>>>,
}

/// Who writes a part just now. The next one stops it first: a client that resumes knows better than the server that its last line is dead.
#[derive(Debug, Default)]
struct Turn {
    stop: Mutex<CancellationToken>,
    writing: tokio::sync::Mutex<()>,
}

impl Uploads {
    /// In a directory, or a temporary one.
    pub(crate) fn new(dir: Option<PathBuf>) -> Result<Self, ServeError> {
        let failed = |dir: PathBuf| move |source| ServeError::Uploads { dir, source };
        let (dir, temporary) = match dir {
            Some(dir) => (dir, None),
            None => {
                let made = tempfile::Builder::new()
                    .prefix("granary-uploads-")
                    .tempdir();
                let made = made.map_err(failed(std::env::temp_dir()))?;
                (made.path().to_owned(), Some(made))
            }
        };
        std::fs::create_dir_all(&dir).map_err(failed(dir.clone()))?;
        Ok(Self {
            dir,
            _temporary: temporary,
            busy: Mutex::default(),
        })
    }

    /// Where files may lie for a while.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// How much of an unfinished upload is there.
    pub(super) async fn offset(&self, digest: Digest) -> Option<u64> {
        tokio::fs::metadata(self.part(digest))
            .await
            .ok()
            .map(|meta| meta.len())
    }

    /// Removes an unfinished upload. Whether there was one.
    pub(super) async fn forget(&self, digest: Digest) -> bool {
        tokio::fs::remove_file(self.part(digest)).await.is_ok()
    }

    /// Takes a piece. What was received before the client went away is kept for it to continue.
    pub(super) async fn receive(
        &self,
        digest: Digest,
        piece: Piece,
        body: Body,
        patience: Duration,
    ) -> Result<Received, Box<Problem>> {
        let turn = Arc::clone(self.busy.lock().entry(digest).or_default());
        let stop = CancellationToken::new();
        let before = std::mem::replace(&mut *turn.stop.lock(), stop.clone());
        before.cancel();
        let writing = turn.writing.lock().await;
        let received = tokio::select! {
            biased;
            () = stop.cancelled() => Err(Problem::new(&types::UPLOAD_OFFSET, "another upload of the same component took over")),
            received = self.write(digest, piece, body, patience) => received,
        };
        drop(writing);
        self.leave(digest, &turn);
        received
    }

    /// Forgets the turn unless somebody else has it, too.
    fn leave(&self, digest: Digest, turn: &Arc<Turn>) {
        let mut busy = self.busy.lock();
        // Two: the map's and ours.
        if Arc::strong_count(turn) <= 2 {
            busy.remove(&digest);
        }
    }

    async fn write(
        &self,
        digest: Digest,
        piece: Piece,
        mut body: Body,
        patience: Duration,
    ) -> Result<Received, Box<Problem>> {
        let path = self.part(digest);
        let have = self.offset(digest).await.unwrap_or(0);
        if piece.first != 0 && piece.first != have {
            let detail = format!(
                "{have} bytes are there, this piece begins at {}",
                piece.first
            );
            return Err(Problem::new(&types::UPLOAD_OFFSET, detail)
                .with("offset", have)
                .with_header(UPLOAD_OFFSET.clone(), &have.to_string()));
        }
        self.make_room(digest).await;
        let mut file = open(&path, piece.first)
            .await
            .map_err(|error| disk(&error))?;
        let mut hash = if piece.first == 0 {
            Sha256::new()
        } else {
            hash_of(path.clone()).await?
        };
        let mut offset = piece.first;
        let end = piece.length.map(|length| piece.first + length);
        while let Some(data) = body::next(&mut body, patience).await? {
            offset += data.len() as u64;
            if COMPONENT_BYTES_MAX < offset {
                drop(file);
                self.forget(digest).await;
                return Err(too_large(offset));
            }
            hash.update(&data);
            // Flushed with every piece: whoever resumes finds what was counted.
            file.write_all(&data).await.map_err(|error| disk(&error))?;
            file.flush().await.map_err(|error| disk(&error))?;
        }
        drop(file);
        if end.is_some_and(|end| offset < end) {
            return Err(
                Problem::new(&types::BODY_CUT_OFF, format!("{offset} bytes came"))
                    .with_header(UPLOAD_OFFSET.clone(), &offset.to_string()),
            );
        }
        match piece.total {
            Some(total) if offset < total => Ok(Received::Part { offset }),
            Some(_) | None => self.finish(digest, hash.finalize().into()).await,
        }
    }

    /// The whole is there: right or wrong, the part goes.
    async fn finish(&self, digest: Digest, found: [u8; 32]) -> Result<Received, Box<Problem>> {
        let found = Digest(found);
        if found != digest {
            self.forget(digest).await;
            let detail = format!("the bytes have the digest {found}, not {digest}");
            return Err(Problem::new(&types::WRONG_DIGEST, detail).with("found", found.to_string()));
        }
        let bytes = tokio::fs::read(self.part(digest))
            .await
            .map_err(|error| disk(&error))?;
        self.forget(digest).await;
        Ok(Received::Whole { bytes })
    }

    /// Lets the oldest parts go where there are too many.
    async fn make_room(&self, digest: Digest) {
        let (dir, own) = (self.dir.clone(), self.part(digest));
        let cleaned = tokio::task::spawn_blocking(move || {
            let mut parts: Vec<_> = std::fs::read_dir(&dir)?
                .filter_map(|entry| entry.ok().map(|entry| entry.path()))
                .filter(|path| path.extension().is_some_and(|ext| ext == "part") && *path != own)
                .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
                .collect();
            parts.sort_unstable();
            let surplus = (parts.len() + 1).saturating_sub(PARTS_MAX);
            parts
                .into_iter()
                .take(surplus)
                .try_for_each(|(_, path)| std::fs::remove_file(path))
        });
        match cleaned.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "old uploads could not be removed"),
            Err(error) => tracing::warn!(%error, "old uploads could not be looked through"),
        }
    }

    fn part(&self, digest: Digest) -> PathBuf {
        self.dir.join(format!("{digest}.part"))
    }
}

async fn open(path: &PathBuf, first: u64) -> io::Result<File> {
    if first == 0 {
        File::create(path).await
    } else {
        OpenOptions::new().append(true).open(path).await
    }
}

async fn hash_of(path: PathBuf) -> Result<Sha256, Box<Problem>> {
    let hashed = tokio::task::spawn_blocking(move || {
        let mut hash = Sha256::new();
        let mut file = std::fs::File::open(path)?;
        let mut buffer = vec![0; 64 << 10];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(hash),
                read => hash.update(&buffer[..read]),
            }
        }
    });
    match hashed.await {
        Ok(hash) => hash.map_err(|error: io::Error| disk(&error)),
        Err(error) => Err(Problem::new(&types::INTERNAL, error.to_string())),
    }
}

/// Reads a body to its end without keeping it, so that a client that is still sending hears the answer.
pub(super) async fn discard(mut body: Body, patience: Duration) -> Result<(), Box<Problem>> {
    let mut bytes = 0;
    while let Some(data) = body::next(&mut body, patience).await? {
        bytes += data.len() as u64;
        if COMPONENT_BYTES_MAX < bytes {
            return Err(too_large(bytes));
        }
    }
    Ok(())
}

fn disk(error: &io::Error) -> Box<Problem> {
    Problem::new(
        &types::UNAVAILABLE,
        format!("the upload cannot be kept: {error}"),
    )
    .with_header(http::header::RETRY_AFTER, "5")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(range: Option<&str>, length: Option<&str>) -> Result<Piece, u16> {
        let mut headers = HeaderMap::new();
        if let Some(range) = range {
            headers.insert(CONTENT_RANGE, range.parse().unwrap());
        }
        if let Some(length) = length {
            headers.insert(CONTENT_LENGTH, length.parse().unwrap());
        }
        Piece::from_headers(&headers).map_err(|problem| problem.status())
    }

    #[test]
    fn pieces_say_where_they_belong() {
        assert_eq!(
            piece(None, Some("10")),
            Ok(Piece {
                first: 0,
                total: Some(10),
                length: Some(10)
            })
        );
        assert_eq!(
            piece(None, None),
            Ok(Piece {
                first: 0,
                total: None,
                length: None
            })
        );
        assert_eq!(
            piece(Some("bytes 5-9/20"), Some("5")),
            Ok(Piece {
                first: 5,
                total: Some(20),
                length: Some(5)
            })
        );
        for wrong in [
            "bytes 5-4/20",
            "bytes 5-20/20",
            "bytes 5-9/*",
            "5-9/20",
            "bytes -9/20",
            "bytes 0-18446744073709551615/1",
        ] {
            assert_eq!(piece(Some(wrong), None), Err(400), "{wrong}");
        }
        assert_eq!(piece(Some("bytes 5-9/20"), Some("6")), Err(400));
        assert_eq!(piece(None, Some("999999999999")), Err(413));
        assert_eq!(piece(Some("bytes 0-9/999999999999"), None), Err(413));
    }

    #[tokio::test]
    async fn an_upload_in_pieces_is_whole_in_the_end_and_a_wrong_one_is_not_kept() {
        let uploads = Uploads::new(None).unwrap();
        let patience = Duration::from_secs(5);
        let digest = Digest(Sha256::digest("hello world").into());
        let part = |first, text: &'static str| Piece {
            first,
            total: Some(11),
            length: Some(text.len() as u64),
        };
        let receive = |first, text: &'static str| {
            uploads.receive(digest, part(first, text), Body::from(text), patience)
        };
        assert!(matches!(
            receive(0, "hello").await,
            Ok(Received::Part { offset: 5 })
        ));
        assert_eq!(uploads.offset(digest).await, Some(5));
        assert_eq!(receive(7, "orld").await.unwrap_err().status(), 409);
        assert!(matches!(
            receive(5, " wo").await,
            Ok(Received::Part { offset: 8 })
        ));
        let Ok(Received::Whole { bytes }) = receive(8, "rld").await else {
            panic!("it is whole")
        };
        assert_eq!(
            (bytes.as_slice(), uploads.offset(digest).await),
            (&b"hello world"[..], None)
        );
        assert_eq!(receive(0, "hello again").await.unwrap_err().status(), 422);
        assert_eq!(uploads.offset(digest).await, None);
        assert!(uploads.busy.lock().is_empty());
    }

    #[tokio::test]
    async fn a_body_that_is_cut_off_leaves_a_part_to_continue() {
        let uploads = Uploads::new(None).unwrap();
        let digest = Digest(Sha256::digest("hello world").into());
        let pieces: [Result<&str, io::Error>; 2] = [Ok("hello"), Err(io::Error::other("gone"))];
        let body = Body::from_stream(futures::stream::iter(pieces));
        let piece = Piece {
            first: 0,
            total: Some(11),
            length: Some(11),
        };
        let problem = uploads
            .receive(digest, piece, body, Duration::from_secs(5))
            .await
            .unwrap_err();
        assert_eq!(
            (problem.status(), uploads.offset(digest).await),
            (400, Some(5))
        );
    }
}
