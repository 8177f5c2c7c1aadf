//! Two calls at once from one turn.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use exports::test::async_caller::caller::Guest;
use test::async_reader_client::reader::Ref;

wit_bindgen::generate!({
    path: ["../../../wit", "wit"],
    world: "test:async-caller/grain",
    generate_all,
});

struct Caller;

impl Guest for Caller {
    async fn meet(key: String) -> Result<u32, String> {
        let grain = Ref::new(&key);
        let (left, right) = both(grain.meet(2), grain.meet(2)).await;
        let words = |error| format!("{error:?}");
        Ok(left.map_err(words)? + right.map_err(words)?)
    }

    async fn increment_twice(key: String) -> Result<u64, String> {
        let grain = Ref::new(&key);
        let words = |error| format!("{error:?}");
        grain.slow_increment().await.map_err(words)?;
        grain.slow_increment().await.map_err(words)
    }
}

/// Waits for both.
async fn both<A, B>(left: impl Future<Output = A>, right: impl Future<Output = B>) -> (A, B) {
    let (mut left, mut right) = (pin!(left), pin!(right));
    let (mut a, mut b) = (None, None);
    poll_fn(|cx| {
        if a.is_none()
            && let Poll::Ready(done) = left.as_mut().poll(cx)
        {
            a = Some(done);
        }
        if b.is_none()
            && let Poll::Ready(done) = right.as_mut().poll(cx)
        {
            b = Some(done);
        }
        match (a.take(), b.take()) {
            (Some(left), Some(right)) => Poll::Ready((left, right)),
            (left, right) => {
                (a, b) = (left, right);
                Poll::Pending
            }
        }
    })
    .await
}

export!(Caller);
