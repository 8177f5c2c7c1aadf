//! Reading an export: first all of it, then for good.

use std::collections::BTreeMap;
use std::io::SeekFrom;

use futures::future::join_all;
use granary_core::id::{Epoch, Revision};
use granary_core::kind::KindRecord;
use tokio::io::{AsyncBufRead, AsyncSeek, AsyncSeekExt as _};

use super::export::{read_entries, read_replies};
use super::parts::{Part, Parts, WholeGrain};
use super::{TransferError, not_read};
use crate::door::{Commit, ReplyRecord, Store, StoreError};

/// The most parts that are applied side by side, and the bytes from which on a group is closed.
const GROUP_PARTS_MAX: usize = 64;
const GROUP_BYTES_MAX: usize = 8 << 20;

/// What happens to what the store already has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Existing {
    /// It is an error, and nothing is imported.
    #[default]
    Refuse,
    /// The import takes its place: a grain's state becomes exactly what the file says, an active one is fenced.
    Replace,
    /// It stays; the rest is imported.
    Skip,
}

/// What was imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Imported {
    /// Grains.
    pub grains: u64,
    /// Messages.
    pub sends: u64,
    /// Kinds. A node that runs must read its catalogue anew.
    pub kinds: u64,
    /// Components.
    pub artifacts: u64,
    /// Grains, messages and kinds that were there already and stayed.
    pub skipped: u64,
}

/// Reads an export into a store: once to check all of it, once to apply it. Errors: all but `Busy`.
pub async fn import<R>(
    store: &dyn Store,
    reader: &mut R,
    existing: Existing,
) -> Result<Imported, TransferError>
where
    R: AsyncBufRead + AsyncSeek + Send + Unpin,
{
    let start = reader.stream_position().await.map_err(not_read)?;
    let mut parts = Parts::new(reader);
    while let Some((line, part)) = parts.next().await? {
        if existing == Existing::Refuse && part.exists(store).await.map_err(TransferError::Store)? {
            return Err(TransferError::Exists {
                line,
                what: part.what(),
            });
        }
    }
    reader
        .seek(SeekFrom::Start(start))
        .await
        .map_err(not_read)?;
    let mut parts = Parts::new(reader);
    let mut done = Imported::default();
    let mut group = Vec::new();
    let mut bytes = 0;
    while let Some((line, part)) = parts.next().await? {
        bytes += part.bytes();
        group.push((line, part));
        if group.len() == GROUP_PARTS_MAX || GROUP_BYTES_MAX < bytes {
            bytes = 0;
            apply(store, std::mem::take(&mut group), existing, &mut done).await?;
        }
    }
    apply(store, group, existing, &mut done).await?;
    Ok(done)
}

/// Applies some parts side by side, so that they share a sync. Errors: `Stopped`, at the first that failed.
async fn apply(
    store: &dyn Store,
    group: Vec<(u64, Part)>,
    existing: Existing,
    done: &mut Imported,
) -> Result<(), TransferError> {
    let parts = group
        .into_iter()
        .map(|(line, part)| async move { (line, part.apply(store, existing).await) });
    let mut stopped = None;
    for (line, applied) in join_all(parts).await {
        match applied {
            Ok(one) => done.add(one),
            Err(source) => stopped = stopped.or(Some((line, source))),
        }
    }
    match stopped {
        Some((line, source)) => Err(TransferError::Stopped {
            line,
            done: *done,
            source,
        }),
        None => Ok(()),
    }
}

impl Imported {
    fn add(&mut self, other: Self) {
        self.grains += other.grains;
        self.sends += other.sends;
        self.kinds += other.kinds;
        self.artifacts += other.artifacts;
        self.skipped += other.skipped;
    }
}

impl Part {
    fn what(&self) -> String {
        match self {
            Self::Artifact(artifact) => format!("component {}", artifact.digest),
            Self::Kind(kind) => format!("kind {}", kind.name),
            Self::Grain(whole) => format!("grain {}", whole.grain.id),
            Self::Send(send) => format!("message {}", send.id),
        }
    }

    /// Whether the store has another one of the same name. A component of the same digest is no other one.
    async fn exists(&self, store: &dyn Store) -> Result<bool, StoreError> {
        match self {
            Self::Artifact(_) => Ok(false),
            Self::Kind(kind) => kept_kind(store, kind).await.map(|kept| kept.is_some()),
            Self::Grain(whole) => store
                .head(&whole.grain.id)
                .await
                .map(|head| head.revision.is_some()),
            Self::Send(send) => store.send(send.id).await.map(|kept| kept.is_some()),
        }
    }

    /// About how much memory it takes.
    fn bytes(&self) -> usize {
        match self {
            Self::Artifact(artifact) => artifact.bytes.0.len(),
            Self::Kind(_) | Self::Send(_) => 1 << 10,
            Self::Grain(whole) => usize::try_from(whole.grain.head.bytes).unwrap_or(usize::MAX / 2),
        }
    }

    async fn apply(self, store: &dyn Store, existing: Existing) -> Result<Imported, StoreError> {
        let none = Imported::default();
        if existing == Existing::Skip && self.exists(store).await? {
            return Ok(Imported { skipped: 1, ..none });
        }
        match self {
            Self::Artifact(artifact) => {
                store
                    .put_artifact(artifact.digest, artifact.bytes.0)
                    .await?;
                Ok(Imported {
                    artifacts: 1,
                    ..none
                })
            }
            Self::Kind(kind) => {
                let expected = kept_kind(store, &kind).await?;
                store.put_kind(expected, *kind).await?;
                Ok(Imported { kinds: 1, ..none })
            }
            Self::Grain(whole) => {
                whole.apply(store).await?;
                Ok(Imported { grains: 1, ..none })
            }
            Self::Send(send) => {
                store.put_send(*send).await?;
                Ok(Imported { sends: 1, ..none })
            }
        }
    }
}

async fn kept_kind(store: &dyn Store, kind: &KindRecord) -> Result<Option<KindRecord>, StoreError> {
    Ok(store
        .kinds()
        .await?
        .into_iter()
        .find(|kept| kept.name == kind.name))
}

impl WholeGrain {
    /// Makes the grain what the file says. Its state is one commit, the last one; kept answers that are not in the file expire.
    async fn apply(self, store: &dyn Store) -> Result<(), StoreError> {
        let id = &self.grain.id;
        let epoch = store.load(id).await?.epoch;
        let applied = self.apply_as(store, epoch).await;
        store.release(id, epoch);
        applied
    }

    async fn apply_as(&self, store: &dyn Store, epoch: Epoch) -> Result<(), StoreError> {
        let id = &self.grain.id;
        let mut writes = self.entries.clone();
        for (key, _) in read_entries(store, id).await? {
            writes.entry(key).or_insert(None);
        }
        let gone = read_replies(store, id).await?;
        let gone = gone.into_iter().map(|reply| ReplyRecord {
            expires_at_ms: 0,
            ..reply
        });
        let turn = |reply| Commit {
            grain: id.clone(),
            epoch,
            revision: self.grain.head.revision.unwrap_or(Revision(0)),
            now_ms: self.grain.head.changed_at_ms,
            writes: BTreeMap::new(),
            sends: Vec::new(),
            reply,
            settles: None,
        };
        for reply in gone.chain(self.replies.iter().cloned()) {
            store.commit(turn(Some(reply))).await?;
        }
        store
            .commit(Commit {
                writes,
                ..turn(None)
            })
            .await?;
        Ok(())
    }
}
