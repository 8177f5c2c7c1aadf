//! What an export is made of, checked while it is read.

use std::collections::BTreeMap;

use granary_core::id::{Digest, GrainId};
use granary_core::kind::KindRecord;
use granary_core::limits::{IDEMPOTENCY_KEY_BYTES_MAX, STATE_KEY_BYTES_MAX};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

use super::line::{Artifact, End, Grain, Line};
use super::{FORMAT, LINE_BYTES_MAX, TransferError, not_read};
use crate::artifacts::digest_of;
use crate::door::{ReplyRecord, SendRecord};

/// How every export begins.
const BEGINNING: &[u8] = b"{\"granary-export\":";

/// One thing in an export.
pub(super) enum Part {
    Artifact(Artifact),
    Kind(Box<KindRecord>),
    Grain(Box<WholeGrain>),
    Send(Box<SendRecord>),
}

/// A grain with everything that belongs to it.
pub(super) struct WholeGrain {
    pub(super) grain: Grain,
    pub(super) entries: BTreeMap<String, Option<Vec<u8>>>,
    pub(super) replies: Vec<ReplyRecord>,
}

/// The parts of an export, each of which is checked; the end is only an end if everything before it fits.
pub(super) struct Parts<'r, R> {
    reader: &'r mut R,
    hash: Sha256,
    line: u64,
    grains: u64,
    last_grain: Option<GrainId>,
    text: Vec<u8>,
}

impl<'r, R: AsyncBufRead + Send + Unpin> Parts<'r, R> {
    pub(super) fn new(reader: &'r mut R) -> Self {
        Self {
            reader,
            hash: Sha256::new(),
            line: 0,
            grains: 0,
            last_grain: None,
            text: Vec::new(),
        }
    }

    /// The next part and its line. Errors: `NotAnExport`, `NewerFormat`, `BadLine`, `Truncated`, `Checksum`, `File`.
    pub(super) async fn next(&mut self) -> Result<Option<(u64, Part)>, TransferError> {
        if self.line == 0 {
            self.header().await?;
        }
        let line = self.next_line().await?;
        let at = self.line;
        let part = match line {
            Line::Artifact(artifact) => {
                if digest_of(&artifact.bytes.0) != artifact.digest {
                    return Err(self.bad(format!(
                        "the bytes of component {} have another digest",
                        artifact.digest
                    )));
                }
                Part::Artifact(artifact)
            }
            Line::Kind(kind) => Part::Kind(kind),
            Line::Grain(grain) => Part::Grain(Box::new(self.grain(grain).await?)),
            Line::Send(send) => Part::Send(Box::new((*send).into())),
            Line::End(end) => {
                self.end(&end).await?;
                return Ok(None);
            }
            misplaced @ (Line::GranaryExport(_) | Line::Entry(_) | Line::Reply(_)) => {
                return Err(self.bad(format!("'{}' does not belong here", misplaced.name())));
            }
        };
        Ok(Some((at, part)))
    }

    async fn header(&mut self) -> Result<(), TransferError> {
        let first = self.next_line().await;
        let header = match first {
            Ok(Line::GranaryExport(header)) => header,
            Ok(other) => {
                return Err(TransferError::NotAnExport {
                    why: format!("it begins with '{}'", other.name()),
                });
            }
            Err(TransferError::BadLine { why, .. }) => {
                return Err(TransferError::NotAnExport { why });
            }
            Err(TransferError::Truncated { .. }) if !self.text.starts_with(BEGINNING) => {
                let why = if self.text.is_empty() {
                    "it is empty"
                } else {
                    "it begins otherwise"
                };
                return Err(TransferError::NotAnExport {
                    why: why.to_owned(),
                });
            }
            Err(other) => return Err(other),
        };
        if FORMAT < header.format {
            return Err(TransferError::NewerFormat {
                found: header.format,
                known: FORMAT,
            });
        }
        Ok(())
    }

    async fn grain(&mut self, grain: Grain) -> Result<WholeGrain, TransferError> {
        if self
            .last_grain
            .as_ref()
            .is_some_and(|last| grain.id <= *last)
        {
            return Err(self.bad(format!("grain {} is out of order", grain.id)));
        }
        self.last_grain = Some(grain.id.clone());
        self.grains += 1;
        let mut entries = BTreeMap::new();
        for _ in 0..grain.entries {
            let Line::Entry(entry) = self.next_line().await? else {
                return Err(self.bad(format!(
                    "{} should have {} entries",
                    grain.id, grain.entries
                )));
            };
            self.check_key(&entry.key, STATE_KEY_BYTES_MAX)?;
            if entries.insert(entry.key, Some(entry.value.0)).is_some() {
                return Err(self.bad("this key was there before".to_owned()));
            }
        }
        let mut replies = Vec::new();
        for _ in 0..grain.replies {
            let Line::Reply(reply) = self.next_line().await? else {
                return Err(self.bad(format!(
                    "{} should have {} kept answers",
                    grain.id, grain.replies
                )));
            };
            self.check_key(&reply.key, IDEMPOTENCY_KEY_BYTES_MAX)?;
            replies.push(reply.into());
        }
        Ok(WholeGrain {
            grain,
            entries,
            replies,
        })
    }

    fn check_key(&self, key: &str, bytes_max: usize) -> Result<(), TransferError> {
        if key.is_empty() || bytes_max < key.len() {
            return Err(self.bad(format!(
                "a key is 1 to {bytes_max} bytes long, not {}",
                key.len()
            )));
        }
        Ok(())
    }

    async fn end(&mut self, end: &End) -> Result<(), TransferError> {
        let hash = std::mem::take(&mut self.hash);
        if end.sha256 != Digest(hash.finalize().into()) {
            return Err(TransferError::Checksum);
        }
        if (end.lines, end.grains) != (self.line - 1, self.grains) {
            return Err(self.bad("it does not count what is before it".to_owned()));
        }
        if !self.reader.fill_buf().await.map_err(not_read)?.is_empty() {
            return Err(self.bad("something follows the end".to_owned()));
        }
        Ok(())
    }

    async fn next_line(&mut self) -> Result<Line, TransferError> {
        self.text.clear();
        let limit = LINE_BYTES_MAX as u64 + 1;
        let mut reader = (&mut *self.reader).take(limit);
        reader
            .read_until(b'\n', &mut self.text)
            .await
            .map_err(not_read)?;
        if LINE_BYTES_MAX < self.text.len() {
            self.line += 1;
            return Err(self.bad(format!("it is longer than {LINE_BYTES_MAX} bytes")));
        }
        let Some(text) = self.text.strip_suffix(b"\n") else {
            return Err(TransferError::Truncated { line: self.line });
        };
        self.line += 1;
        let line = Line::decode(text).map_err(|why| TransferError::BadLine {
            line: self.line,
            why,
        })?;
        if !matches!(line, Line::End(_)) {
            self.hash.update(&self.text);
        }
        Ok(line)
    }

    fn bad(&self, why: String) -> TransferError {
        TransferError::BadLine {
            line: self.line,
            why,
        }
    }
}
