//! A live grain: one Wasmtime store, and the turns that run in it.

pub(crate) mod failure;
pub(crate) mod guard;
pub(crate) mod interrupt;
pub(crate) mod live;
pub(crate) mod session;
pub(crate) mod slot;
pub mod stream;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use granary_core::activation::{ActivateReason, DeactivateReason};
use granary_core::error::{CallError, LimitName};
use granary_core::id::{Epoch, GrainId, Revision};
use granary_core::turn::Wishes;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::sync::oneshot;

use crate::engine::EngineKind;
use crate::guest::meter::Meter;
use crate::{Arguments, Host, Linked, Method, Results, TurnContext};
use guard::{Guarded, Stopped};
use live::{Live, Outcome};
use session::{Beside, Entry};
use slot::{Lease, Slot};
use stream::Streaming;

/// A streaming HTTP body.
pub type HttpBody = UnsyncBoxBody<Bytes, std::io::Error>;

/// Whose activation an instance is.
pub struct Seat {
    /// The grain.
    pub grain: GrainId,
    /// The revision that runs.
    pub revision: Revision,
    /// The activation's fencing number.
    pub epoch: Epoch,
    /// The node, as this activation sees it.
    pub host: Arc<dyn Host>,
}

/// What a turn does.
pub enum Work {
    /// Calls an exported function. The arguments were checked against its type.
    Method {
        /// Which.
        method: Arc<Method>,
        /// With what.
        arguments: Arguments,
        /// The ways of its streams, if the caller has any.
        streaming: Option<Box<Streaming>>,
    },
    /// Runs the `activate` hook; done at once where there is none.
    Activate(ActivateReason),
    /// Runs the `deactivate` hook; done at once where there is none.
    Deactivate(DeactivateReason),
    /// Runs the `migrate` hook; done at once where there is none.
    Migrate {
        /// The revision that last wrote the state.
        from: Revision,
    },
    /// Serves one request through `wasi:http/incoming-handler`.
    Http {
        /// The request.
        request: Box<http::Request<HttpBody>>,
        /// Where the response goes, if the turn has written nothing when the guest sets it; it then streams, and the turn may write no more.
        /// The response of a turn that writes comes with [`Answered::Http`]. Dropped where there is none: [`Ended::result`] says why.
        respond: oneshot::Sender<http::Response<HttpBody>>,
    },
}

/// A turn's answer.
#[derive(Debug)]
pub enum Answered {
    /// The method's results; its `err`, too, where it has one.
    Method(Results),
    /// A hook ran, or there is none.
    Hook,
    /// A hook answered `err` with these words.
    HookErr(String),
    /// The handler returned, or the result's stream has ended. None: the response has left. Some: the turn has written, so it waits for the commit.
    Http(Option<HeldResponse>),
}

/// The response of a turn that has written something.
#[derive(Debug)]
pub struct HeldResponse {
    response: http::Response<HttpBody>,
    respond: oneshot::Sender<http::Response<HttpBody>>,
}

impl HeldResponse {
    pub(crate) fn new(
        response: http::Response<HttpBody>,
        respond: oneshot::Sender<http::Response<HttpBody>>,
    ) -> Self {
        Self { response, respond }
    }

    /// Lets it go, once the commit is durable. Whether somebody still waited for it.
    pub fn release(self) -> bool {
        self.respond.send(self.response).is_ok()
    }
}

/// How a turn ended.
#[derive(Debug)]
pub struct Ended {
    /// Its answer, or why there is none.
    pub result: Result<Answered, CallError>,
    /// What it wants to leave behind. To be dropped on `Err`.
    pub wishes: Wishes,
    /// How long the guest itself ran.
    pub cpu: Duration,
    /// Whether the instance is dead, so that the activation must be replaced.
    pub poisoned: bool,
}

/// A live grain. Cheap to clone; the last one frees the guest's memory.
#[derive(Clone)]
pub struct Instance {
    inner: Arc<Inner>,
}

struct Inner {
    linked: Arc<Linked>,
    meter: Arc<Meter>,
    slot: Arc<Slot>,
    /// Only used in async components.
    beside: Arc<Beside>,
}

impl Instance {
    pub(crate) fn new(linked: Arc<Linked>, meter: Arc<Meter>, live: Box<Live>) -> Self {
        Self {
            inner: Arc::new(Inner {
                linked,
                meter,
                slot: Slot::new(live),
                beside: Arc::default(),
            }),
        }
    }

    /// Runs one turn. The caller sees to it that a synchronous component gets one at a time; turns of an async one may overlap.
    ///
    /// The future wants a tokio runtime around it. It is polled to its end, or dropped: then the guest is stopped and the instance is dead. A turn that
    /// runs on after its first tick moves to threads of the lowest priority.
    pub fn run(
        &self,
        turn: Arc<TurnContext>,
        work: Work,
    ) -> impl Future<Output = Ended> + Send + 'static {
        self.inner.clone().run(turn, work)
    }

    /// Bytes of linear memory and tables that the guest holds.
    pub fn memory_bytes(&self) -> u64 {
        self.inner.meter.memory()
    }
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance")
            .field("linked", &self.inner.linked)
            .finish_non_exhaustive()
    }
}

impl Inner {
    async fn run(self: Arc<Self>, turn: Arc<TurnContext>, work: Work) -> Ended {
        let limits = &self.linked.spec().limits;
        let wall = match work {
            Work::Activate(_) | Work::Migrate { .. } => limits.activation_time,
            Work::Deactivate(_) => limits.deactivation_time,
            Work::Method { .. } | Work::Http { .. } => limits.wall_time,
        };
        if self.linked.component().engine == EngineKind::Sync {
            let lease = self.slot.try_borrow();
            return self.run_alone(lease, turn, work, wall).await;
        }
        Box::pin(self.run_async(turn, work, wall)).await
    }

    /// A turn of an async component.
    async fn run_async(&self, turn: Arc<TurnContext>, work: Work, wall: Duration) -> Ended {
        let overlaps = turn.mode.overlaps();
        match work {
            Work::Method {
                method,
                arguments,
                streaming,
            } if overlaps => {
                let (done, ended) = oneshot::channel();
                let entry = Entry {
                    context: turn,
                    method,
                    arguments,
                    streaming,
                    progress: Arc::default(),
                    done,
                };
                self.run_beside(entry, ended, wall).await
            }
            Work::Method { .. }
            | Work::Activate(_)
            | Work::Deactivate(_)
            | Work::Migrate { .. }
            | Work::Http { .. } => {
                // The last session may still be tidying up.
                let lease = tokio::time::timeout(wall, self.slot.borrow())
                    .await
                    .unwrap_or(None);
                self.run_alone(lease, turn, work, wall).await
            }
        }
    }

    async fn run_alone(
        &self,
        lease: Option<Lease>,
        turn: Arc<TurnContext>,
        work: Work,
        wall: Duration,
    ) -> Ended {
        let Some(mut lease) = lease else {
            let detail = "the activation is gone: an earlier turn in it was stopped".to_owned();
            return self.dead(CallError::Unavailable { detail });
        };
        self.meter.begin_turn();
        let body = async move {
            let (outcome, alive) = lease.live().run(turn, work).await;
            if alive {
                lease.give_back();
            }
            (outcome, alive)
        };
        let guarded = Guarded::new(
            Box::pin(body),
            self.meter.clone(),
            self.linked.lane().clone(),
            wall,
        );
        match guarded.await {
            Ok((Outcome { result, wishes }, alive)) => Ended {
                result,
                wishes,
                cpu: self.meter.used(),
                poisoned: !alive,
            },
            Err(Stopped::WallTime) => self.dead(failure::wall_time(
                LimitName::WallTime,
                "limits.wall-time",
                wall,
            )),
            Err(Stopped::Lost) => self.dead(failure::lost()),
        }
    }

    async fn run_beside(
        &self,
        entry: Entry,
        mut ended: oneshot::Receiver<Ended>,
        wall: Duration,
    ) -> Ended {
        let (turn, progress) = (entry.context.clone(), entry.progress.clone());
        if self.beside.push(entry) {
            session::start(
                self.slot.clone(),
                self.beside.clone(),
                self.meter.clone(),
                self.linked.lane().clone(),
            );
        }
        let mut in_time = tokio::time::timeout(wall, &mut ended).await;
        if in_time.is_err() && progress.flows() {
            // Its caller has given up before that; the session knows whom it would harm to stop it.
            turn.give_up();
            in_time = Ok(ended.await);
        }
        match in_time {
            Ok(Ok(ended)) => ended,
            Ok(Err(_)) => self.dead(session::conflict()),
            Err(_) => {
                self.beside.kill();
                self.dead(failure::wall_time(
                    LimitName::WallTime,
                    "limits.wall-time",
                    wall,
                ))
            }
        }
    }

    fn dead(&self, error: CallError) -> Ended {
        let wishes = Wishes::new(false, self.linked.spec().limits, 0);
        Ended {
            result: Err(error),
            wishes,
            cpu: self.meter.used(),
            poisoned: true,
        }
    }
}
