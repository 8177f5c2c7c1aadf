//! Components that are being compiled while nobody has to wait, and those for which that failed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use granary_core::id::Digest;
use granary_runtime::{Component, ComponentError};
use http::header::RETRY_AFTER;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::http::catalogue as types;
use crate::http::problem::Problem;
use crate::node::Node;

/// Components that are compiled or wait for it at a time: each holds its bytes in memory.
const RUNNING_MAX: usize = 16;
/// Failures that are remembered for whoever asks; the oldest one goes first.
const FAILED_MAX: usize = 64;

/// What became of a component; none while it is being compiled.
type Ended = Option<Result<Arc<Component>, ComponentError>>;

/// One component on its way.
#[derive(Clone)]
pub(super) struct Compile {
    began: Instant,
    ended: watch::Receiver<Ended>,
}

/// Those of a node.
#[derive(Default)]
pub(crate) struct Compiles {
    known: Arc<Mutex<HashMap<Digest, Compile>>>,
}

impl Compile {
    /// How it ended, if it does within a time.
    pub(super) async fn within(&self, patience: Duration) -> Ended {
        let mut ended = self.ended.clone();
        let waited = tokio::time::timeout(patience, ended.wait_for(Option::is_some)).await;
        match waited {
            Ok(Ok(ended)) => ended.clone(),
            // Its task is gone, as it is when the node stops.
            Ok(Err(_)) => Some(Err(ComponentError::Node {
                why: "the node stopped meanwhile".to_owned(),
            })),
            Err(_) => None,
        }
    }

    /// How long it has been on its way.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn is_running(&self) -> bool {
        // A task that panicked left nothing and holds the other end no more.
        self.ended.borrow().is_none() && self.ended.has_changed().is_ok()
    }
}

impl Compiles {
    /// One that is on its way, or failed.
    pub(super) fn get(&self, digest: Digest) -> Option<Compile> {
        self.known.lock().get(&digest).cloned()
    }

    /// Starts to compile a kept component; a failed one is tried again. Errors: too many are on their way.
    pub(super) fn start(
        &self,
        node: &Arc<Node>,
        digest: Digest,
        bytes: Vec<u8>,
    ) -> Result<Compile, Box<Problem>> {
        let (sender, ended) = watch::channel(None);
        let compile = Compile {
            began: Instant::now(),
            ended,
        };
        {
            let mut known = self.known.lock();
            if let Some(running) = known.get(&digest).filter(|known| known.is_running()) {
                return Ok(running.clone());
            }
            let running = known.values().filter(|known| known.is_running()).count();
            if RUNNING_MAX <= running {
                let detail = format!(
                    "{running} components are being compiled; at most {RUNNING_MAX} are at a time"
                );
                return Err(Problem::new(&types::OVERLOADED, detail).with_header(RETRY_AFTER, "5"));
            }
            known.insert(digest, compile.clone());
        }
        let (node, known) = (Arc::clone(node), Arc::clone(&self.known));
        drop(tokio::spawn(async move {
            let result = node.runtime.component(digest, bytes).await;
            if let Err(error) = &result {
                tracing::warn!(component = %digest, %error, "an uploaded component was refused");
                give_up(&node, digest).await;
            }
            let failed = result.is_err();
            // Whoever waits has a receiver of their own.
            drop(sender.send(Some(result)));
            let mut known = known.lock();
            if failed {
                forget_oldest(&mut known);
            } else {
                known.remove(&digest);
            }
        }));
        Ok(compile)
    }
}

/// What cannot run is not kept, unless a revision of an earlier engine has it.
async fn give_up(node: &Node, digest: Digest) {
    if !super::artifacts::users(node, digest).is_empty() {
        return;
    }
    if let Err(error) = node.kinds.remove_component(digest).await {
        tracing::warn!(component = %digest, %error, "a refused component could not be removed");
    }
}

fn forget_oldest(known: &mut HashMap<Digest, Compile>) {
    let failed = || known.iter().filter(|(_, compile)| !compile.is_running());
    if failed().count() <= FAILED_MAX {
        return;
    }
    let oldest = failed()
        .min_by_key(|(_, compile)| compile.began)
        .map(|(digest, _)| *digest);
    if let Some(oldest) = oldest {
        known.remove(&oldest);
    }
}
