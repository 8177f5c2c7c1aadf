//! `state export` and `state import`: backups, of a node that runs or of a data directory that no node holds.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use futures::StreamExt;
use granary_core::id::KindName;
use granary_store::embedded::Settings;
use granary_store::transfer::{self, Existing, ExportOptions, TransferError};
use granary_store::{Embedded, Store, StoreError};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncWrite, AsyncWriteExt, BufReader};
use tokio_util::io::ReaderStream;

use crate::cli::client::Client;
use crate::cli::exit::{Error, Exit};
use crate::cli::inspect::parse_kind;
use crate::cli::terminal::{Terminal, bytes, cell};
use crate::observe::now_ms;

/// What `state export` is told.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// A kind; every kind unless given
    kind: Option<String>,
    /// The file; standard output unless given
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Kinds and their components, too
    #[arg(long)]
    all: bool,
    /// Read this data directory instead of asking a node; no node may hold it
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// What `state import` is told.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// A file that `state export` wrote
    file: PathBuf,
    /// What to do with what is there already
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    existing: ExistingName,
    /// Write into this data directory instead of asking a node; no node may hold it
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// What to do with what is there already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum ExistingName {
    /// Import nothing if anything is there.
    #[default]
    Refuse,
    /// Put what is in the file in its place.
    Replace,
    /// Leave it, and import the rest.
    Skip,
}

impl ExistingName {
    fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Replace => "replace",
            Self::Skip => "skip",
        }
    }
}

/// Writes a backup.
pub async fn export(client: &Client, terminal: &Terminal, args: &ExportArgs) -> Result<(), Error> {
    let kind = args.kind.as_deref().map(parse_kind).transpose()?;
    let Some(path) = &args.to else {
        return write(client, args, kind, &mut tokio::io::stdout())
            .await
            .map(drop);
    };
    // Beside the file and renamed at the end: an older backup of the same name survives whatever goes wrong.
    let failed = |e: std::io::Error| {
        Error::failure(
            format!("{} cannot be written: {e}", path.display()),
            "another file with --to",
        )
    };
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."));
    let temporary = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    let mut file = tokio::fs::File::from_std(temporary.reopen().map_err(failed)?);
    let wheel = terminal.wheel("Exporting", &path.display().to_string());
    let written = write(client, args, kind, &mut file).await;
    wheel.finish_and_clear();
    let written = written?;
    file.sync_all().await.map_err(failed)?;
    temporary.persist(path).map_err(|e| failed(e.error))?;
    if terminal.is_json() {
        terminal.json(&json!({ "file": path, "bytes": written }));
    } else {
        terminal.note(format!("{} in {}", bytes(written), path.display()));
    }
    Ok(())
}

async fn write(
    client: &Client,
    args: &ExportArgs,
    kind: Option<KindName>,
    out: &mut (dyn AsyncWrite + Send + Unpin),
) -> Result<u64, Error> {
    if let Some(dir) = &args.data {
        let options = ExportOptions {
            kind,
            catalogue: args.all,
            now_ms: now_ms(),
        };
        let store = open(dir)?;
        let done = transfer::export(&store, &options, out).await;
        close(store).await?;
        return done.map(|done| done.bytes).map_err(|e| transfer_error(&e));
    }
    let mut query = format!("?catalogue={}", args.all);
    if let Some(kind) = kind {
        query.push_str(&format!("&kind={kind}"));
    }
    let response = client
        .send(client.request(Method::GET, &format!("/v1/state-export{query}")))
        .await?;
    let mut stream = response.bytes_stream();
    let mut written = 0;
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|e| client.unreachable(&e))?;
        out.write_all(&piece)
            .await
            .map_err(|e| Error::caused(Exit::Failure, &e, "another file with --to"))?;
        written += piece.len() as u64;
    }
    out.flush()
        .await
        .map_err(|e| Error::caused(Exit::Failure, &e, "another file with --to"))?;
    Ok(written)
}

/// Takes a backup in.
pub async fn import(client: &Client, terminal: &Terminal, args: &ImportArgs) -> Result<(), Error> {
    let path = args.file.display();
    let file = tokio::fs::File::open(&args.file).await;
    let file = file.map_err(|e| {
        Error::failure(
            format!("{path} cannot be read: {e}"),
            "name a file that `granary state export` wrote",
        )
    })?;
    let wheel = terminal.wheel("Importing", &path.to_string());
    let done = match &args.data {
        None => {
            let query = format!("/v1/state-import?existing={}", args.existing.name());
            let body = reqwest::Body::wrap_stream(ReaderStream::new(file));
            let request = client
                .request(Method::POST, &query)
                .header("content-type", "application/x-ndjson");
            client.json(request.body(body)).await
        }
        Some(dir) => import_into(dir, file, args.existing).await,
    };
    wheel.finish_and_clear();
    let done = done.map_err(|error| with_hint(error, args))?;
    if terminal.is_json() {
        terminal.json(&done);
        return Ok(());
    }
    let mut parts = vec![
        format!("{} grains", cell(&done["grains"])),
        format!("{} messages", cell(&done["sends"])),
    ];
    let counts = [("kinds", "kinds"), ("skipped", "left as they were")];
    for (key, name) in counts
        .into_iter()
        .filter(|(key, _)| done[*key].as_u64().is_some_and(|count| 0 < count))
    {
        parts.push(format!("{} {name}", cell(&done[key])));
    }
    terminal.out(format!("imported {}", parts.join(", ")));
    Ok(())
}

fn with_hint(error: Error, args: &ImportArgs) -> Error {
    let exists = error
        .problem
        .as_ref()
        .is_some_and(|problem| problem["status"] == 409);
    let hint = if exists {
        format!(
            "granary state import {} --existing replace, or --existing skip",
            args.file.display()
        )
    } else if error.problem.is_some() {
        "another copy of the backup; nothing was imported".to_owned()
    } else {
        error.hint
    };
    Error { hint, ..error }
}

async fn import_into(
    dir: &Path,
    file: tokio::fs::File,
    existing: ExistingName,
) -> Result<Value, Error> {
    let existing = match existing {
        ExistingName::Refuse => Existing::Refuse,
        ExistingName::Replace => Existing::Replace,
        ExistingName::Skip => Existing::Skip,
    };
    let store = open(dir)?;
    let done = transfer::import(&store, &mut BufReader::new(file), existing).await;
    close(store).await?;
    let done = done.map_err(|e| transfer_error(&e))?;
    Ok(json!({
        "grains": done.grains, "sends": done.sends, "kinds": done.kinds, "artifacts": done.artifacts, "skipped": done.skipped,
    }))
}

fn open(dir: &Path) -> Result<Embedded, Error> {
    Embedded::open(Settings::new(dir)).map_err(|error| {
        let hint = if matches!(error, StoreError::Locked { .. }) {
            "leave --data out: the node that holds the directory answers itself"
        } else {
            "another directory with --data"
        };
        Error::caused(Exit::Failure, &error, hint)
    })
}

async fn close(store: Embedded) -> Result<(), Error> {
    store
        .close()
        .await
        .map_err(|e| Error::caused(Exit::Failure, &e, "granary doctor"))
}

fn transfer_error(error: &TransferError) -> Error {
    let hint = match error {
        TransferError::NotAnExport { .. }
        | TransferError::BadLine { .. }
        | TransferError::Truncated { .. }
        | TransferError::Checksum => "another copy of the backup; nothing was imported",
        TransferError::NewerFormat { .. } => "a newer granary",
        TransferError::Exists { .. } => "--existing replace, or --existing skip",
        TransferError::Busy { .. } => "repeat it when there are fewer calls",
        TransferError::Stopped { .. } | TransferError::Store(_) | TransferError::File { .. } => {
            "granary doctor, then repeat it"
        }
    };
    Error::caused(Exit::Failure, error, hint)
}
