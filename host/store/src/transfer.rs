//! Backup: everything that a store keeps, as text that any engine can read back.
//!
//! An export is UTF-8 text, one JSON object with exactly one member a line, in this order:
//!
//! ```text
//! {"granary-export":{"format":1,"at_ms":1767225600000,"engine":"sled"}}
//! {"artifact":{"digest":"9f86…","bytes":"AGFzbQ…"}}                          components, if the catalogue is exported
//! {"kind":{"name":"cart","current":3,…}}                                     kinds, if the catalogue is exported
//! {"grain":{"id":{"kind":"cart","key":"7"},"head":{…},"entries":2,"replies":1}}  in order, each followed by
//! {"entry":{"key":"count","value":"Nw=="}}                                   … its state, in the order of the keys
//! {"reply":{"key":"order-1","fingerprint":77,"answer":"…","expires_at_ms":…}}  … its kept answers, likewise
//! {"send":{"id":"…","target":{"kind":"mail","key":"box"},…}}                  messages that are not handled yet
//! {"end":{"lines":9,"grains":1,"sha256":"…"}}                                counts the lines before, and hashes their bytes
//! ```
//!
//! Bytes are base64. Each grain is exported as it was at one moment; different grains may be from different moments
//! while turns go on. An import reads the whole file first and checks everything in it, then applies it: each grain's
//! state is one commit. So a file that is damaged, cut off or of a newer format changes nothing.

mod export;
mod import;
mod line;
mod parts;

pub use self::export::{ExportOptions, Exported, export};
pub use self::import::{Existing, Imported, import};
#[doc(hidden)]
pub use self::line::fuzz_line;
use crate::door::StoreError;

/// The format that this program writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

/// The longest line: a component of the largest size in base64, and some.
pub const LINE_BYTES_MAX: usize = 128 << 20;

/// Why an export or an import stopped.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The file does not begin as an export does. Nothing was changed.
    #[error("this is not an export of Granary: {why}")]
    NotAnExport {
        /// What is wrong with the first line.
        why: String,
    },
    /// A newer Granary wrote the file. Nothing was changed.
    #[error("the export has format {found}; this program reads up to {known}: use a newer granary")]
    NewerFormat {
        /// The format found.
        found: u32,
        /// The newest that this program knows.
        known: u32,
    },
    /// A line does not fit. Nothing was changed.
    #[error("line {line}: {why}")]
    BadLine {
        /// Which, from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// The file ends before its last line. Nothing was changed.
    #[error("the export is cut off after line {line}; take a complete copy of it")]
    Truncated {
        /// The last line that is there.
        line: u64,
    },
    /// The file is not what was written. Nothing was changed.
    #[error("the export was changed after it was written: its checksum does not match")]
    Checksum,
    /// The store already has it, and may not replace it. Nothing was changed.
    #[error(
        "line {line}: {what} is already in the store; replace or skip what exists, or import into an empty one"
    )]
    Exists {
        /// Where in the file.
        line: u64,
        /// What.
        what: String,
    },
    /// A grain changes faster than it can be read as a whole.
    #[error("{grain} changes too fast to be exported as a whole; try again, or stop its calls")]
    Busy {
        /// Which.
        grain: String,
    },
    /// The store refused while the file was applied. What was applied before is complete; the same import may be repeated
    /// with what exists replaced.
    #[error("line {line}: the store refused; {} grains were imported before", done.grains)]
    Stopped {
        /// Where in the file.
        line: u64,
        /// What was applied.
        done: Imported,
        /// Why the store refused.
        #[source]
        source: StoreError,
    },
    /// The store refused before anything was changed.
    #[error("the store refused")]
    Store(#[source] StoreError),
    /// The file could not be read or written.
    #[error("the export could not be {action}")]
    File {
        /// `read` or `written`.
        action: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

fn not_read(source: std::io::Error) -> TransferError {
    TransferError::File {
        action: "read",
        source,
    }
}

fn not_written(source: std::io::Error) -> TransferError {
    TransferError::File {
        action: "written",
        source,
    }
}
