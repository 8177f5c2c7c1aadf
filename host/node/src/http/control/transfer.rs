//! `/v1/state-export` and `/v1/state-import`: backups of a node that goes on serving.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use granary_store::transfer::{Existing, ExportOptions, TransferError, export};
use http::Method;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, RETRY_AFTER};
use serde::Deserialize;
use serde_json::json;
use tokio::fs::File;
use tokio::io::{AsyncSeekExt, AsyncWriteExt, BufReader, BufWriter, duplex};
use tokio_util::io::ReaderStream;

use super::{Answer, Doc, Query, Route, kind_name, route};
use crate::http::body;
use crate::http::catalogue as types;
use crate::http::face::Shared;
use crate::http::problem::{Problem, chain_text};
use crate::observe::now_ms;

/// Bytes of an export that wait for a slow client.
const BUFFER_BYTES: usize = 256 << 10;
/// Bytes of one import: what a disk may be asked to hold for a while.
const IMPORT_BYTES_MAX: u64 = 64 << 30;

pub(super) fn routes() -> Vec<Route> {
    vec![
        route(
            Method::GET,
            "/v1/state-export",
            export_state,
            Doc::new("exportState", "A backup of all state, kept answers and messages, each grain as it was at one moment")
                .query("kind", "Only of this kind")
                .query("catalogue", "true: with the kinds and their components")
                .gives(200, "JSON lines, the last of which closes the backup", Some("application/x-ndjson")),
        ),
        route(
            Method::POST,
            "/v1/state-import",
            import_state,
            Doc::new("importState", "Takes a backup in, with the kinds in it: all of it is checked before anything is changed")
                .query("existing", "refuse, replace or skip what is there already; refuse unless said")
                .body("application/x-ndjson")
                .json(200, "What was imported"),
        ),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExportQuery {
    kind: Option<String>,
    #[serde(default)]
    catalogue: bool,
}

async fn export_state(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<ExportQuery>,
) -> Answer<Response> {
    let kind = query.kind.as_deref().map(kind_name).transpose()?;
    let options = ExportOptions {
        kind,
        catalogue: query.catalogue,
        now_ms: now_ms(),
    };
    let place = shared.follow()?;
    let lines = exported(Arc::clone(&shared), options).map(move |piece| {
        // Counted as a stream until its end.
        let _place = &place;
        piece
    });
    let headers = [
        (CONTENT_TYPE, "application/x-ndjson"),
        (
            CONTENT_DISPOSITION,
            "attachment; filename=\"granary-state.jsonl\"",
        ),
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
}

/// The lines as they are written. A failure breaks the response off, so that nobody takes it for a whole one.
fn exported(shared: Arc<Shared>, options: ExportOptions) -> impl Stream<Item = io::Result<Bytes>> {
    let (writer, reader) = duplex(BUFFER_BYTES);
    let writing = tokio::spawn(async move {
        let mut writer = BufWriter::new(writer);
        let done = export(&*shared.node.store, &options, &mut writer).await;
        done.map(drop).map_err(io::Error::other)
    });
    let failed = stream::once(writing).filter_map(async |ended| match ended {
        Ok(Ok(())) => None,
        Ok(Err(error)) => {
            tracing::warn!(error = %chain_text(&error), "an export broke off");
            Some(Err(error))
        }
        Err(error) => Some(Err(io::Error::other(error))),
    });
    ReaderStream::new(reader).chain(failed)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImportQuery {
    #[serde(default)]
    existing: Choice,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum Choice {
    #[default]
    Refuse,
    Replace,
    Skip,
}

async fn import_state(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<ImportQuery>,
    body: Body,
) -> Answer<Response> {
    let existing = match query.existing {
        Choice::Refuse => Existing::Refuse,
        Choice::Replace => Existing::Replace,
        Choice::Skip => Existing::Skip,
    };
    let mut file = BufReader::new(received(&shared, body).await?);
    let done = shared.node.kinds.import(&mut file, existing);
    let done = done.await.map_err(transfer_problem)?;
    let shown = json!({
        "grains": done.grains, "sends": done.sends, "kinds": done.kinds, "artifacts": done.artifacts, "skipped": done.skipped,
    });
    Ok(axum::Json(shown).into_response())
}

/// The whole body in a file without a name, read from its start.
async fn received(shared: &Shared, mut body: Body) -> Answer<File> {
    let disk = |error: io::Error| {
        Problem::new(
            &types::UNAVAILABLE,
            format!("the import cannot be kept: {error}"),
        )
        .with_header(RETRY_AFTER, "5")
    };
    let mut file = File::from_std(tempfile::tempfile_in(shared.uploads.dir()).map_err(disk)?);
    let mut bytes = 0;
    while let Some(piece) = body::next(&mut body, shared.settings.body_timeout).await? {
        bytes += piece.len() as u64;
        if IMPORT_BYTES_MAX < bytes {
            return Err(Problem::new(
                &types::BODY_TOO_LARGE,
                format!("an import has at most {IMPORT_BYTES_MAX} bytes"),
            ));
        }
        file.write_all(&piece).await.map_err(disk)?;
    }
    file.flush().await.map_err(disk)?;
    file.rewind().await.map_err(disk)?;
    Ok(file)
}

fn transfer_problem(error: TransferError) -> Box<Problem> {
    let detail = chain_text(&error);
    match error {
        TransferError::NotAnExport { .. }
        | TransferError::NewerFormat { .. }
        | TransferError::BadLine { .. }
        | TransferError::Truncated { .. }
        | TransferError::Checksum => Problem::new(&types::BAD_BACKUP, detail),
        TransferError::Exists { .. } => Problem::new(&types::ALREADY_THERE, detail),
        TransferError::Busy { .. } => Problem::new(&types::UNAVAILABLE, detail),
        TransferError::Store(source) => source.into(),
        TransferError::Stopped { done, source, .. } => {
            Box::<Problem>::from(source).with("imported-grains", done.grains)
        }
        TransferError::File { .. } => Problem::new(&types::UNAVAILABLE, detail),
    }
}
