//! The hull around a guest's future: measures it, moves it to the slow lane, ends it at its wall deadline.
//!
//! The future itself is polled by whoever waits for it. The timer is no part of it, so it fires whatever the guest waits for; and a poll of a
//! guest always comes back within about a tick.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio::time::{Sleep, sleep_until};

use crate::engine::lane::SlowLane;
use crate::guest::meter::Meter;

/// Why a guest's future ended without a result. The store in it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// Its wall deadline passed.
    WallTime,
    /// The host itself failed within it.
    Lost,
}

pub(crate) type Body<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A guarded future. Dropping it stops the guest.
pub(crate) struct Guarded<T> {
    place: Place<T>,
    meter: Arc<Meter>,
    lane: SlowLane,
    began: Instant,
    wall: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

enum Place<T> {
    Fast(Body<T>),
    Slow(JoinHandle<Option<T>>),
    Gone,
}

impl<T: Send + 'static> Guarded<T> {
    pub(crate) fn new(body: Body<T>, meter: Arc<Meter>, lane: SlowLane, wall: Duration) -> Self {
        Self {
            place: Place::Fast(body),
            meter,
            lane,
            began: Instant::now(),
            wall,
            timer: None,
        }
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        match &mut self.place {
            Place::Fast(body) => {
                let polled = poll_metered(body, &self.meter, cx);
                if polled.is_pending() && self.meter.wants_slow_lane() {
                    self.demote();
                    return self.poll_body(cx);
                }
                polled
            }
            Place::Slow(task) => Pin::new(task).poll(cx).map(Result::unwrap_or_default),
            Place::Gone => Poll::Ready(None),
        }
    }

    fn demote(&mut self) {
        if let Place::Fast(body) = std::mem::replace(&mut self.place, Place::Gone) {
            self.meter.demote();
            self.place = Place::Slow(
                self.lane
                    .handle()
                    .spawn(Slow::new(body, self.meter.clone())),
            );
        }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (began, wall) = (self.began, self.wall);
        // Most turns end with their first poll and never need it.
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until((began + wall).into())));
        timer.as_mut().poll(cx)
    }
}

impl<T: Send + 'static> Future for Guarded<T> {
    type Output = Result<T, Stopped>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Poll::Ready(result) = this.poll_body(cx) {
            this.place = Place::Gone;
            return Poll::Ready(result.ok_or(Stopped::Lost));
        }
        if this.poll_timer(cx).is_ready() {
            this.stop();
            return Poll::Ready(Err(Stopped::WallTime));
        }
        Poll::Pending
    }
}

impl<T> Guarded<T> {
    fn stop(&mut self) {
        if let Place::Slow(task) = std::mem::replace(&mut self.place, Place::Gone) {
            // The guest yields at each tick, and is dropped then.
            task.abort();
        }
    }
}

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The same future, once it runs in the slow lane.
pub(crate) struct Slow<T> {
    body: Body<T>,
    meter: Arc<Meter>,
}

impl<T> Slow<T> {
    pub(crate) fn new(body: Body<T>, meter: Arc<Meter>) -> Self {
        Self { body, meter }
    }
}

impl<T> Future for Slow<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = &mut *self;
        poll_metered(&mut this.body, &this.meter, cx)
    }
}

/// A host function that panics must not take the task along that serves the grain.
pub(crate) fn poll_metered<T>(
    body: &mut Body<T>,
    meter: &Meter,
    cx: &mut Context<'_>,
) -> Poll<Option<T>> {
    meter.begin_poll();
    let polled = catch_unwind(AssertUnwindSafe(|| body.as_mut().poll(cx)));
    meter.end_poll();
    match polled {
        Ok(polled) => polled.map(Some),
        Err(_) => {
            tracing::error!("the host panicked within a guest's turn; the activation is dropped");
            Poll::Ready(None)
        }
    }
}
