//! Work on components that is under way, so that nothing is read or compiled twice at once.

use std::collections::HashMap;

use futures::FutureExt;
use futures::future::Shared;
use granary_core::id::Digest;
use parking_lot::Mutex;

use crate::host::BoxFuture;

/// One sort of work, by the component that it is for.
pub(super) struct Underway<T>(Mutex<HashMap<Digest, Shared<BoxFuture<'static, T>>>>);

impl<T: Clone> Underway<T> {
    pub(super) fn new() -> Self {
        Self(Mutex::default())
    }

    /// The result of the work on a component that is under way, or of this one. Work whose last waiter gives up goes on with the next one.
    pub(super) async fn join(
        &self,
        digest: Digest,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let shared = {
            let mut all = self.0.lock();
            let entry = all.entry(digest);
            entry
                .or_insert_with(|| {
                    let work: BoxFuture<'static, T> = Box::pin(work);
                    work.shared()
                })
                .clone()
        };
        let result = shared.await;
        self.0.lock().remove(&digest);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn work_on_one_component_is_done_once_at_a_time() {
        let (underway, done) = (Underway::new(), Arc::new(AtomicU32::new(0)));
        let (go, gate) = tokio::sync::watch::channel(false);
        let work = || {
            let (done, mut gate) = (done.clone(), gate.clone());
            async move {
                gate.wait_for(|open| *open).await.unwrap();
                done.fetch_add(1, Ordering::Relaxed)
            }
        };
        let (one, other) = (Digest([1; 32]), Digest([2; 32]));
        let all = futures::future::join3(
            underway.join(one, work()),
            underway.join(one, work()),
            underway.join(other, work()),
        );
        let ((first, second, third), _) =
            futures::future::join(all, async { go.send(true).unwrap() }).await;
        assert_eq!((first, third), (second, 1 - first));
        assert_eq!(underway.join(one, work()).await, 2, "nothing is kept");
    }
}
