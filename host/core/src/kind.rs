//! A kind's settings after its manifest has been read and checked: what runs, what it may use, what it was granted.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{Digest, KindName, Revision};
use crate::limits::Limits;

/// How calls of a method meet others of the same grain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Alone, in arrival order. May write.
    #[default]
    Exclusive,
    /// May not write. Runs beside others of its sort and interleaved ones in an async component, and queues in a synchronous one.
    Read,
    /// May write. Runs beside others of its sort and reads: async components only. A turn whose keys another one has changed since is refused.
    Interleave,
}

impl Mode {
    /// Whether turns may run side by side, given a component that can.
    pub fn overlaps(self) -> bool {
        match self {
            Self::Exclusive => false,
            Self::Read | Self::Interleave => true,
        }
    }

    /// Whether turns may write.
    pub fn writes(self) -> bool {
        match self {
            Self::Exclusive | Self::Interleave => true,
            Self::Read => false,
        }
    }
}

/// What a manifest says of one method.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MethodSpec {
    /// How it meets other calls.
    pub mode: Mode,
    /// How long a caller waits unless it says otherwise; else the kind's `call-timeout`.
    pub timeout: Option<Duration>,
    /// Whether an `err` answer drops the turn's writes and sends.
    pub rollback_on_err: bool,
    /// The HTTP status of an `err` answer; 400 unless set.
    pub err_status: Option<u16>,
    /// `Cache-Control: max-age` of a `GET` on a read method, in seconds.
    pub cache_seconds: Option<u32>,
}

/// A directory of the node that guests see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryGrant {
    /// The directory on the node. Relative paths are taken from the node's `grants-root`.
    pub host: String,
    /// Its absolute path inside the guest.
    pub guest: String,
    /// Whether the guest may change anything in it.
    pub writable: bool,
}

/// One rule of the allow list for outgoing HTTP: `[scheme://]host[:port]`, the host with an optional leading `*.`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpGrant {
    /// `http` or `https`; both if left out.
    pub scheme: Option<String>,
    /// A host name, `*.` and a domain, or an address.
    pub host: String,
    /// A port; the scheme's own if left out.
    pub port: Option<u16>,
    /// Methods; all if empty.
    pub methods: Vec<String>,
    /// Whether the name may resolve to a private, loopback or link-local address.
    pub private: bool,
}

/// What a kind may reach outside itself. Empty unless granted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Grants {
    /// Preopened directories.
    pub directories: Vec<DirectoryGrant>,
    /// Environment variables that the guest sees.
    pub environment: BTreeMap<String, String>,
    /// `wasi:config` values; none = the interface is not linked.
    pub config: Option<BTreeMap<String, String>>,
    /// Allow list for outgoing HTTP; empty = the interface is linked only for the types, every request is refused.
    pub http: Vec<HttpGrant>,
}

impl Grants {
    /// One line a grant, in words that a person compares: what `--plan` shows as the capability difference.
    pub fn describe(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for d in &self.directories {
            let access = if d.writable {
                "read-write"
            } else {
                "read-only"
            };
            lines.push(alloc::format!(
                "directory {} → {} ({access})",
                d.host,
                d.guest
            ));
        }
        for name in self.environment.keys() {
            lines.push(alloc::format!("environment {name}"));
        }
        for name in self.config.iter().flat_map(BTreeMap::keys) {
            lines.push(alloc::format!("config {name}"));
        }
        for h in &self.http {
            let scheme = h.scheme.as_deref().unwrap_or("http(s)");
            let port = h.port.map(|p| alloc::format!(":{p}")).unwrap_or_default();
            let methods = if h.methods.is_empty() {
                "any method".into()
            } else {
                h.methods.join(", ")
            };
            let private = if h.private {
                ", private addresses too"
            } else {
                ""
            };
            lines.push(alloc::format!(
                "http {scheme}://{}{port} ({methods}{private})",
                h.host
            ));
        }
        lines
    }
}

/// Everything that a manifest says of a kind, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindSpec {
    /// The kind.
    pub name: KindName,
    /// A line for people.
    pub description: String,
    /// What the manifest says of methods, by their WIT names; those not named have every default.
    pub methods: BTreeMap<String, MethodSpec>,
    /// How much a grain may use.
    pub limits: Limits,
    /// What it may reach.
    pub grants: Grants,
    /// The kinds behind client packages (`demo:counter-client`) that are not named after their kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub clients: BTreeMap<String, KindName>,
}

impl KindSpec {
    /// A kind of which the manifest says nothing but the name.
    pub fn bare(name: KindName) -> Self {
        Self {
            name,
            description: String::new(),
            methods: BTreeMap::new(),
            limits: Limits::DEFAULT,
            grants: Grants::default(),
            clients: BTreeMap::new(),
        }
    }
}

/// One revision of a kind, as the catalogue keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionRecord {
    /// Its number.
    pub revision: Revision,
    /// Its component.
    pub component: Digest,
    /// Its settings.
    pub spec: KindSpec,
    /// When it was deployed: milliseconds since the Unix epoch.
    pub deployed_at_ms: u64,
    /// The verdict of the comparison with the revision before: `first`, `same`, `additive` or `breaking`.
    pub verdict: String,
}

/// How far a rollout is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Rollout {
    /// Every grain runs the current revision from its next call on.
    Done,
    /// A migration failed: grains of revision `from` stay there, and no further grain is moved.
    Halted {
        /// The revision that the others stay on.
        from: Revision,
        /// The grain whose migration failed, and how.
        because: String,
    },
}

/// A kind, as the catalogue keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindRecord {
    /// The kind.
    pub name: KindName,
    /// The revision that new activations run.
    pub current: Revision,
    /// The revision that was current before it: where a halted rollout leaves the others. None for the first.
    pub before: Option<Revision>,
    /// How far the switch to it is.
    pub rollout: Rollout,
    /// Every kept revision, oldest first. `current` is one of them.
    pub revisions: Vec<RevisionRecord>,
}

impl KindRecord {
    /// The record of a revision, if it is kept.
    pub fn revision(&self, revision: Revision) -> Option<&RevisionRecord> {
        self.revisions
            .iter()
            .find(|record| record.revision == revision)
    }

    /// Which revision a grain runs, given the one that last wrote its state (none: there is no state yet).
    /// While a rollout is halted, only those grains run the current revision that have already moved to it.
    pub fn revision_for(&self, wrote_last: Option<Revision>) -> Revision {
        match &self.rollout {
            Rollout::Done => self.current,
            Rollout::Halted { .. } if wrote_last == Some(self.current) => self.current,
            Rollout::Halted { from, .. } => *from,
        }
    }
}
