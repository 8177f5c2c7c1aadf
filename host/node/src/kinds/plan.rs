//! What a deployment would do, what it did, and why it was refused.

use granary_core::id::{Digest, KindName, Revision};
use granary_runtime::compare::in_words;
use granary_runtime::{Change, ComponentError, LinkError, Verdict};
use serde::Serialize;

/// What a deployment would change. Nothing has been changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The kind.
    pub kind: KindName,
    /// The revision that is current now; none for a new kind.
    pub from: Option<Revision>,
    /// The revision that it would become; the current one if nothing differs.
    pub to: Revision,
    /// The component.
    pub component: Digest,
    /// Whether component and settings are those of the current revision, so that nothing would happen.
    pub unchanged: bool,
    /// What it means for callers; none for a new kind.
    pub verdict: Option<Verdict>,
    /// What would change; for a new kind, what it has that an empty one has not.
    #[serde(flatten)]
    pub differences: Differences,
    /// Live activations, each of which finishes its turn and then moves.
    pub live_activations: usize,
    /// Whether `migrate` would be called for each grain with state.
    pub migrates: bool,
    /// Kinds that the component calls through clients which do not fit them.
    pub misfits: Vec<Affected>,
    /// Kinds that call this one through clients which would fit no longer.
    pub callers: Vec<Affected>,
    /// What looks like a mistake but is allowed.
    pub warnings: Vec<String>,
}

/// A client and the kind on its other side, where the two do not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Affected {
    /// The other kind.
    pub kind: KindName,
    /// The client's interface, as in `demo:counter-client/counter@0.1.0`.
    pub client: String,
    /// What does not fit, as seen by the client.
    pub changes: Vec<Change>,
}

impl std::fmt::Display for Affected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.kind, in_words(&self.changes))
    }
}

fn list(affected: &[Affected]) -> String {
    let shown: Vec<_> = affected.iter().map(ToString::to_string).collect();
    shown.join("; ")
}

/// The callers that a breaking change leaves behind, for the end of its error.
fn named(callers: &[Affected]) -> String {
    if callers.is_empty() {
        return String::new();
    }
    format!(" (these kinds call it with clients: {})", list(callers))
}

/// What one revision has and another has not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Differences {
    /// Those of the interfaces.
    pub changes: Vec<Change>,
    /// Grants that only the newer one has, in words.
    pub grants_added: Vec<String>,
    /// Grants that only the older one has.
    pub grants_removed: Vec<String>,
    /// Imports that only the newer one has.
    pub imports_added: Vec<String>,
    /// Imports that only the older one has.
    pub imports_removed: Vec<String>,
    /// Limits that differ.
    pub limits: Vec<LimitChange>,
}

/// One limit that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LimitChange {
    /// Its manifest key.
    pub key: &'static str,
    /// Before, as a person writes it.
    pub from: String,
    /// After.
    pub to: String,
}

/// What a deployment or rollback did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deployed {
    /// The kind.
    pub kind: KindName,
    /// The revision that is current now.
    pub revision: Revision,
    /// The one before; none for a new kind.
    pub before: Option<Revision>,
    /// Whether nothing had to be done.
    pub unchanged: bool,
    /// `first`, `same`, `additive`, `breaking`, or `rollback`.
    pub verdict: String,
    /// Live activations that move after their turn.
    pub live_activations: usize,
    /// What looks like a mistake but is allowed.
    pub warnings: Vec<String>,
}

/// What two revisions of a kind differ in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// The kind.
    pub kind: KindName,
    /// The older side.
    pub from: Revision,
    /// The newer side.
    pub to: Revision,
    /// What it means for callers.
    pub verdict: Verdict,
    /// All of it.
    #[serde(flatten)]
    pub differences: Differences,
}

/// Why a deployment, a rollback or a question about a kind was refused. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// No such kind.
    #[error("there is no kind '{name}'{}", nearest.as_ref().map(|n| format!("; did you mean '{n}'?")).unwrap_or_default())]
    NoKind {
        /// As given.
        name: String,
        /// The most similar one.
        nearest: Option<String>,
    },
    /// No such revision is kept.
    #[error("kind '{kind}' has no revision {revision}; it keeps {}", kept.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    NoRevision {
        /// The kind.
        kind: KindName,
        /// As given.
        revision: Revision,
        /// Those that are kept.
        kept: Vec<Revision>,
    },
    /// There is nothing to roll back to.
    #[error("kind '{kind}' has no earlier revision to roll back to")]
    NothingBefore {
        /// The kind.
        kind: KindName,
    },
    /// The component has not been uploaded.
    #[error("component {digest} has not been uploaded")]
    NoArtifact {
        /// Its digest.
        digest: Digest,
    },
    /// The component is not usable.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// The component and the grants do not fit.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The manifest names a method that the component does not export.
    #[error("the manifest names the method '{method}', which the component does not export{}", nearest.as_ref().map(|n| format!("; did you mean '{n}'?")).unwrap_or_default())]
    NoMethod {
        /// As the manifest has it.
        method: String,
        /// The most similar one.
        nearest: Option<String>,
    },
    /// A method that cannot wait is to run beside others.
    #[error(
        "the manifest gives the method '{method}' mode = \"interleave\", but it is no `async func`: it can let no other turn run. Declare it `async func` in the WIT of an async component, or remove the mode"
    )]
    NotAsync {
        /// As the manifest has it.
        method: String,
    },
    /// The component traps, or uses up a limit, before anything is called.
    #[error("the component fails while it starts: {detail}")]
    Start {
        /// How.
        detail: String,
        /// The guest's stack, innermost first.
        backtrace: Vec<String>,
    },
    /// The new interface would break callers, and nobody said that this is meant.
    #[error("the new interface breaks callers: {}; deploy with --breaking if that is meant", plan.differences.changes.iter().filter(|c| c.breaking).map(|c| format!("{}: {}", c.path, c.what)).collect::<Vec<_>>().join("; ") + &named(&plan.callers))]
    Breaking {
        /// What would change.
        plan: Box<Plan>,
    },
    /// The component was built with clients that do not fit the kinds that it calls, and nobody said that this is meant.
    #[error("the component was built with a client that does not fit the kind that it calls: {}; make the client anew (granary wit client) and rebuild, or deploy with --breaking if the other kind is to follow", list(&plan.misfits))]
    Misfit {
        /// What would change.
        plan: Box<Plan>,
    },
    /// Somebody else deployed at the same time.
    #[error("kind '{kind}' was changed by someone else just now; look and repeat")]
    Conflict {
        /// The kind.
        kind: KindName,
    },
    /// The node cannot do it just now.
    #[error("the node cannot do this just now: {detail}")]
    Unavailable {
        /// Why, and what has to happen.
        detail: String,
    },
}
