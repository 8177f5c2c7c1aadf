//! Starting a component once before anybody depends on it: one that traps in its start code is refused at deploy.

use std::sync::Arc;

use granary_core::error::CallError;
use granary_core::id::{Epoch, GrainId, Key, KindName, Revision};
use granary_runtime::{BoxFuture, Host, Linked, LogStream, OutgoingCall, Payload, Seat};

use super::plan::DeployError;

/// Makes an instance and drops it. Errors: `Start` when the guest fails; `Unavailable` when the node has no place left.
pub(super) async fn start(
    linked: &Arc<Linked>,
    kind: &KindName,
    revision: Revision,
) -> Result<(), DeployError> {
    let key = Key::parse("trial").expect("a plain word is a key");
    let host = Arc::new(NoHost);
    let seat = Seat {
        grain: GrainId::new(kind.clone(), key),
        revision,
        epoch: Epoch(0),
        host,
    };
    match linked.instantiate(seat).await {
        Ok(instance) => {
            drop(instance);
            Ok(())
        }
        Err(CallError::GuestTrap { detail, backtrace }) => {
            Err(DeployError::Start { detail, backtrace })
        }
        Err(error @ CallError::LimitExceeded { .. }) => Err(DeployError::Start {
            detail: error.to_string(),
            backtrace: Vec::new(),
        }),
        Err(error) => Err(DeployError::Unavailable {
            detail: error.to_string(),
        }),
    }
}

/// A node that has nothing: start code runs before there is a grain.
struct NoHost;

const NONE: &str = "start code runs before there is a grain: it has no state and cannot call";

impl Host for NoHost {
    fn read<'a>(&'a self, _key: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, String>> {
        Box::pin(async { Err(NONE.into()) })
    }

    fn list<'a>(
        &'a self,
        _prefix: &'a str,
        _after: Option<&'a str>,
        _entries: usize,
    ) -> BoxFuture<'a, Result<(Vec<(String, Vec<u8>)>, bool), String>> {
        Box::pin(async { Err(NONE.into()) })
    }

    fn cached(&self, _key: &str) -> Option<Option<Vec<u8>>> {
        None
    }

    fn version(&self) -> u64 {
        0
    }

    fn call(&self, _call: OutgoingCall) -> BoxFuture<'_, Result<Payload, CallError>> {
        Box::pin(async {
            Err(CallError::Denied {
                detail: NONE.into(),
            })
        })
    }

    fn check_send(
        &self,
        _target: &GrainId,
        _method: &str,
        _arguments: &[u8],
    ) -> Result<(), CallError> {
        Err(CallError::Denied {
            detail: NONE.into(),
        })
    }

    fn log(&self, _stream: LogStream, _line: &str) {}
}
