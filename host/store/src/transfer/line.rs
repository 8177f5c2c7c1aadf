//! One line of an export.

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use granary_core::id::{CallId, Digest, GrainId};
use granary_core::kind::KindRecord;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::door::{Head, ReplyRecord, SendRecord};

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Line {
    GranaryExport(Header),
    Artifact(Artifact),
    Kind(Box<KindRecord>),
    Grain(Grain),
    Entry(Entry),
    Reply(Reply),
    Send(Box<Send>),
    End(End),
}

/// The first line. Later formats may add to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) format: u32,
    #[serde(default)]
    pub(super) at_ms: u64,
    #[serde(default)]
    pub(super) engine: String,
}

/// A component.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Artifact {
    pub(super) digest: Digest,
    pub(super) bytes: Bytes,
}

/// A grain; as many lines as it says follow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Grain {
    pub(super) id: GrainId,
    pub(super) head: Head,
    pub(super) entries: u64,
    pub(super) replies: u64,
}

/// A state value of the grain above.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) value: Bytes,
}

/// A kept answer of the grain above.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reply {
    pub(super) key: String,
    pub(super) fingerprint: u64,
    pub(super) answer: Bytes,
    pub(super) expires_at_ms: u64,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Send {
    pub(super) id: CallId,
    pub(super) from: Option<GrainId>,
    pub(super) target: GrainId,
    pub(super) method: String,
    pub(super) arguments: Bytes,
    pub(super) baggage: BTreeMap<String, String>,
    pub(super) principal: Option<String>,
    pub(super) idempotency_key: Option<String>,
    pub(super) due_at_ms: u64,
    pub(super) sent_at_ms: u64,
    pub(super) attempts: u32,
    pub(super) keep_result: bool,
    pub(super) given_up: Option<Bytes>,
}

/// The last line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    pub(super) lines: u64,
    pub(super) grains: u64,
    pub(super) sha256: Digest,
}

/// Bytes as base64.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let bytes = BASE64_STANDARD.decode(text.as_bytes());
        bytes
            .map(Self)
            .map_err(|e| serde::de::Error::custom(format!("no base64: {e}")))
    }
}

impl Line {
    /// With its end.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = serde_json::to_vec(self).expect("invariant: a line has only text keys");
        out.push(b'\n');
        out
    }

    /// Without its end.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|e| match e.classify() {
            serde_json::error::Category::Eof => "the line is cut off".to_owned(),
            serde_json::error::Category::Io
            | serde_json::error::Category::Syntax
            | serde_json::error::Category::Data => e.to_string(),
        })
    }

    /// What the line is called in the file.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::GranaryExport(_) => "granary-export",
            Self::Artifact(_) => "artifact",
            Self::Kind(_) => "kind",
            Self::Grain(_) => "grain",
            Self::Entry(_) => "entry",
            Self::Reply(_) => "reply",
            Self::Send(_) => "send",
            Self::End(_) => "end",
        }
    }
}

impl From<ReplyRecord> for Reply {
    fn from(record: ReplyRecord) -> Self {
        let ReplyRecord {
            key,
            fingerprint,
            answer,
            expires_at_ms,
        } = record;
        Self {
            key,
            fingerprint,
            answer: Bytes(answer),
            expires_at_ms,
        }
    }
}

impl From<Reply> for ReplyRecord {
    fn from(line: Reply) -> Self {
        let Reply {
            key,
            fingerprint,
            answer,
            expires_at_ms,
        } = line;
        Self {
            key,
            fingerprint,
            answer: answer.0,
            expires_at_ms,
        }
    }
}

macro_rules! same_fields {
    ($from:ty => $to:ty, $bytes:expr) => {
        impl From<$from> for $to {
            fn from(from: $from) -> Self {
                Self {
                    arguments: $bytes(from.arguments),
                    given_up: from.given_up.map($bytes),
                    id: from.id,
                    from: from.from,
                    target: from.target,
                    method: from.method,
                    baggage: from.baggage,
                    principal: from.principal,
                    idempotency_key: from.idempotency_key,
                    due_at_ms: from.due_at_ms,
                    sent_at_ms: from.sent_at_ms,
                    attempts: from.attempts,
                    keep_result: from.keep_result,
                }
            }
        }
    };
}

same_fields!(SendRecord => Send, Bytes);
same_fields!(Send => SendRecord, |bytes: Bytes| bytes.0);

/// Decodes arbitrary bytes as a line; what comes out must encode to a line that decodes to the same.
#[doc(hidden)]
pub fn fuzz_line(bytes: &[u8]) {
    if let Ok(line) = Line::decode(bytes) {
        let text = line.encode();
        assert_eq!(Line::decode(&text[..text.len() - 1]).as_ref(), Ok(&line));
    }
}
