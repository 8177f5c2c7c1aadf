//! Writing an export.

use granary_core::id::{GrainId, KindName};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::line::{Artifact, Bytes, End, Entry, Grain, Header, Line};
use super::{FORMAT, TransferError, not_written};
use crate::door::{Head, PageSize, ReplyRecord, Store, StoreError};

/// How often a grain is read anew because it changed in the meantime.
const READS_MAX: usize = 20;
const PAGE_ITEMS: usize = 500;

/// What is exported.
#[derive(Debug, Clone, Default)]
pub struct ExportOptions {
    /// Only grains of this kind, messages to it, and it; all if none.
    pub kind: Option<KindName>,
    /// Whether kinds and the components of all their revisions come along.
    pub catalogue: bool,
    /// Now: milliseconds since the Unix epoch.
    pub now_ms: u64,
}

/// What was exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exported {
    /// Grains.
    pub grains: u64,
    /// State values.
    pub entries: u64,
    /// Messages.
    pub sends: u64,
    /// Kinds.
    pub kinds: u64,
    /// Components.
    pub artifacts: u64,
    /// Bytes written.
    pub bytes: u64,
}

/// Writes an export. Turns may go on meanwhile: each grain is written as it was at one moment.
/// Errors: `Busy`, `Store`, `File`; what was written until then is not a whole export, and says so to whoever imports it.
pub async fn export(
    store: &dyn Store,
    options: &ExportOptions,
    writer: &mut (dyn AsyncWrite + Send + Unpin),
) -> Result<Exported, TransferError> {
    let mut out = Out {
        writer,
        hash: Sha256::new(),
        lines: 0,
        done: Exported::default(),
    };
    let header = Header {
        format: FORMAT,
        at_ms: options.now_ms,
        engine: store.engine().to_owned(),
    };
    out.line(&Line::GranaryExport(header)).await?;
    if options.catalogue {
        write_catalogue(store, options, &mut out).await?;
    }
    write_grains(store, options, &mut out).await?;
    write_sends(store, options, &mut out).await?;
    let sha256 = granary_core::id::Digest(out.hash.clone().finalize().into());
    let end = End {
        lines: out.lines,
        grains: out.done.grains,
        sha256,
    };
    out.line(&Line::End(end)).await?;
    out.writer.flush().await.map_err(not_written)?;
    Ok(out.done)
}

struct Out<'w> {
    writer: &'w mut (dyn AsyncWrite + Send + Unpin),
    hash: Sha256,
    lines: u64,
    done: Exported,
}

impl Out<'_> {
    async fn line(&mut self, line: &Line) -> Result<(), TransferError> {
        let bytes = line.encode();
        self.hash.update(&bytes);
        self.lines += 1;
        self.done.bytes += bytes.len() as u64;
        self.writer.write_all(&bytes).await.map_err(not_written)
    }
}

async fn write_catalogue(
    store: &dyn Store,
    options: &ExportOptions,
    out: &mut Out<'_>,
) -> Result<(), TransferError> {
    let mut kinds = store.kinds().await.map_err(TransferError::Store)?;
    kinds.retain(|kind| options.kind.as_ref().is_none_or(|only| *only == kind.name));
    let revisions = kinds.iter().flat_map(|kind| &kind.revisions);
    let mut digests: Vec<_> = revisions.map(|revision| revision.component).collect();
    digests.sort_unstable();
    digests.dedup();
    for digest in digests {
        // One that is missing cannot run here either: the kind is kept as it is.
        if let Some(bytes) = store.artifact(digest).await.map_err(TransferError::Store)? {
            out.line(&Line::Artifact(Artifact {
                digest,
                bytes: Bytes(bytes),
            }))
            .await?;
            out.done.artifacts += 1;
        }
    }
    for kind in kinds {
        out.line(&Line::Kind(Box::new(kind))).await?;
        out.done.kinds += 1;
    }
    Ok(())
}

async fn write_grains(
    store: &dyn Store,
    options: &ExportOptions,
    out: &mut Out<'_>,
) -> Result<(), TransferError> {
    let mut last: Option<GrainId> = None;
    loop {
        let page = store
            .grains(options.kind.as_ref(), last.as_ref(), PAGE_ITEMS)
            .await
            .map_err(TransferError::Store)?;
        for (grain, _) in &page.items {
            write_grain(store, grain, options.now_ms, out).await?;
        }
        last = page.items.into_iter().next_back().map(|(grain, _)| grain);
        if !page.more || last.is_none() {
            return Ok(());
        }
    }
}

async fn write_grain(
    store: &dyn Store,
    id: &GrainId,
    now_ms: u64,
    out: &mut Out<'_>,
) -> Result<(), TransferError> {
    let Some(Whole {
        head,
        entries,
        replies,
    }) = read_whole(store, id, now_ms).await?
    else {
        return Ok(());
    };
    let counts = (entries.len() as u64, replies.len() as u64);
    out.line(&Line::Grain(Grain {
        id: id.clone(),
        head,
        entries: counts.0,
        replies: counts.1,
    }))
    .await?;
    for (key, value) in entries {
        out.line(&Line::Entry(Entry {
            key,
            value: Bytes(value),
        }))
        .await?;
    }
    for reply in replies {
        out.line(&Line::Reply(reply.into())).await?;
    }
    out.done.grains += 1;
    out.done.entries += counts.0;
    Ok(())
}

/// A grain at one moment.
struct Whole {
    head: Head,
    entries: Vec<(String, Vec<u8>)>,
    replies: Vec<ReplyRecord>,
}

/// Reads a grain until its head is the same before and after; none if it was purged.
async fn read_whole(
    store: &dyn Store,
    id: &GrainId,
    now_ms: u64,
) -> Result<Option<Whole>, TransferError> {
    for _ in 0..READS_MAX {
        let head = store.head(id).await.map_err(TransferError::Store)?;
        if head.revision.is_none() {
            return Ok(None);
        }
        let entries = read_entries(store, id)
            .await
            .map_err(TransferError::Store)?;
        let mut replies = read_replies(store, id)
            .await
            .map_err(TransferError::Store)?;
        if store.head(id).await.map_err(TransferError::Store)? == head
            && entries.len() as u64 == head.keys
        {
            replies.retain(|reply| now_ms < reply.expires_at_ms);
            return Ok(Some(Whole {
                head,
                entries,
                replies,
            }));
        }
    }
    Err(TransferError::Busy {
        grain: id.to_string(),
    })
}

/// Every state value of a grain. It may change from page to page.
pub(super) async fn read_entries(
    store: &dyn Store,
    id: &GrainId,
) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
    let size = PageSize {
        entries: PAGE_ITEMS,
        bytes: 4 << 20,
    };
    let mut entries: Vec<(String, Vec<u8>)> = Vec::new();
    loop {
        let after = entries.last().map(|(key, _)| key.as_str());
        let page = store.list(id, "", after, size).await?;
        entries.extend(page.items);
        if !page.more {
            return Ok(entries);
        }
    }
}

/// Every kept answer of a grain.
pub(super) async fn read_replies(
    store: &dyn Store,
    id: &GrainId,
) -> Result<Vec<ReplyRecord>, StoreError> {
    let mut replies: Vec<ReplyRecord> = Vec::new();
    loop {
        let after = replies.last().map(|reply| reply.key.as_str());
        let page = store.replies(id, after, PAGE_ITEMS).await?;
        replies.extend(page.items);
        if !page.more {
            return Ok(replies);
        }
    }
}

async fn write_sends(
    store: &dyn Store,
    options: &ExportOptions,
    out: &mut Out<'_>,
) -> Result<(), TransferError> {
    let mut last = None;
    loop {
        let page = store
            .sends(last, PAGE_ITEMS)
            .await
            .map_err(TransferError::Store)?;
        last = page.items.last().map(|send| send.id);
        for send in page.items {
            if options
                .kind
                .as_ref()
                .is_none_or(|only| *only == send.target.kind)
            {
                out.line(&Line::Send(Box::new(send.into()))).await?;
                out.done.sends += 1;
            }
        }
        if !page.more {
            return Ok(());
        }
    }
}
