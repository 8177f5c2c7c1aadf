//! What the tests share: a runtime, a node made of maps, and guests as text.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::time::{Duration, Instant};

use granary_core::error::CallError;
use granary_core::id::{CallId, Digest, Epoch, GrainId, KindName, Revision};
use granary_core::kind::{KindSpec, Mode};
use granary_core::limits::Limits;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, watch};

use granary_runtime::{
    Answered, BoxFuture, Component, ComponentError, Ended, Host, Instance, JsonOptions, Linked,
    LogStream, OutgoingCall, Payload, Runtime, RuntimeConfig, Seat, StatePage, TurnContext,
    TurnHead, Work,
};

/// A node of maps.
#[derive(Default)]
pub(crate) struct Node {
    pub(crate) state: Mutex<BTreeMap<String, Vec<u8>>>,
    pub(crate) logs: Mutex<Vec<(LogStream, String)>>,
    pub(crate) calls: Mutex<Vec<OutgoingCall>>,
    /// Whether [`Host::cached`] knows nothing, so that each read waits.
    pub(crate) slow: AtomicBool,
    /// Whether a read waits until this is no more.
    pub(crate) closed: watch::Sender<bool>,
    /// A read has begun.
    pub(crate) asked: Notify,
}

impl Host for Node {
    fn read<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, String>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.asked.notify_one();
            let opened = self
                .closed
                .subscribe()
                .wait_for(|closed| !closed)
                .await
                .is_ok();
            assert!(opened, "this holds the other end");
            Ok(self.state.lock().get(key).cloned())
        })
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        entries: usize,
    ) -> BoxFuture<'a, Result<StatePage, String>> {
        let state = self.state.lock();
        let found: Vec<_> = state
            .iter()
            .filter(|(key, _)| {
                key.starts_with(prefix) && after.is_none_or(|after| after < key.as_str())
            })
            .collect();
        let more = entries < found.len();
        let items = found
            .into_iter()
            .take(entries)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        Box::pin(std::future::ready(Ok((items, more))))
    }

    fn version(&self) -> u64 {
        4
    }

    fn cached(&self, key: &str) -> Option<Option<Vec<u8>>> {
        let slow = self.slow.load(std::sync::atomic::Ordering::Relaxed);
        (!slow).then(|| self.state.lock().get(key).cloned())
    }

    fn call<'a>(&'a self, call: OutgoingCall) -> BoxFuture<'a, Result<Payload, CallError>> {
        let answer = Ok(Payload::Json(b"\"done\"".to_vec()));
        self.calls.lock().push(call);
        Box::pin(std::future::ready(answer))
    }

    fn check_send(
        &self,
        target: &GrainId,
        _method: &str,
        _arguments: &[u8],
    ) -> Result<(), CallError> {
        if target.kind.as_str() == "nobody" {
            return Err(CallError::NotFound {
                detail: "there is no kind 'nobody'".to_owned(),
            });
        }
        Ok(())
    }

    fn log(&self, stream: LogStream, line: &str) {
        self.logs.lock().push((stream, line.to_owned()));
    }
}

pub(crate) fn config() -> RuntimeConfig {
    RuntimeConfig {
        cache: None,
        slots_max: Some(20),
        compile_threads: 1,
        grants_root: std::env::temp_dir(),
    }
}

pub(crate) fn runtime() -> Arc<Runtime> {
    Runtime::new(config()).unwrap()
}

pub(crate) fn spec(limits: Limits) -> KindSpec {
    KindSpec {
        limits,
        ..KindSpec::bare(KindName::parse("test").unwrap())
    }
}

pub(crate) fn digest(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

pub(crate) async fn load(
    runtime: &Arc<Runtime>,
    wat: &str,
) -> Result<Arc<Component>, ComponentError> {
    let bytes = wat::parse_str(wat).unwrap();
    runtime.component(digest(&bytes), bytes).await
}

/// One activation of a guest.
pub(crate) struct Grain {
    pub(crate) linked: Arc<Linked>,
    pub(crate) node: Arc<Node>,
    pub(crate) instance: Instance,
}

pub(crate) async fn linked(runtime: &Arc<Runtime>, wat: &str, spec: &KindSpec) -> Arc<Linked> {
    let component = load(runtime, wat).await.unwrap();
    runtime.link(&component, spec).unwrap()
}

pub(crate) async fn activate(linked: &Arc<Linked>) -> Result<Grain, CallError> {
    let node = Arc::new(Node::default());
    let seat = Seat {
        grain: GrainId::parse("test/1").unwrap(),
        revision: Revision(3),
        epoch: Epoch(9),
        host: node.clone(),
    };
    Ok(Grain {
        linked: linked.clone(),
        node,
        instance: linked.instantiate(seat).await?,
    })
}

pub(crate) async fn grain(runtime: &Arc<Runtime>, wat: &str, limits: Limits) -> Grain {
    activate(&linked(runtime, wat, &spec(limits)).await)
        .await
        .unwrap()
}

pub(crate) fn context(mode: Mode) -> Arc<TurnContext> {
    Arc::new(TurnContext {
        call: CallId(1),
        caller: Some(GrainId::parse("other/7").unwrap()),
        chain: vec![GrainId::parse("other/7").unwrap()],
        principal: Some("ann".to_owned()),
        deadline: Instant::now() + Duration::from_secs(30),
        idempotency_key: None,
        baggage: Mutex::default(),
        cancelled: AtomicBool::new(false),
        given_up: AtomicBool::new(false),
        calling: AtomicU32::new(0),
        mode,
        head: TurnHead {
            version: 4,
            bytes: 0,
        },
    })
}

impl Grain {
    pub(crate) fn work(&self, method: &str, arguments: &str) -> Work {
        let interface = &self.linked.component().interface;
        let method = interface.method(method).unwrap().clone();
        let arguments = method
            .arguments_from_json(arguments.as_bytes(), &self.linked.spec().limits)
            .unwrap();
        Work::Method {
            method,
            arguments,
            streaming: None,
        }
    }

    pub(crate) async fn turn(&self, mode: Mode, method: &str, arguments: &str) -> Ended {
        self.instance
            .run(context(mode), self.work(method, arguments))
            .await
    }

    /// The result as JSON text; an `err` too.
    pub(crate) async fn call(&self, method: &str, arguments: &str) -> Result<String, CallError> {
        self.json(method, self.turn(Mode::Exclusive, method, arguments).await)
    }

    pub(crate) fn json(&self, method: &str, ended: Ended) -> Result<String, CallError> {
        let Answered::Method(results) = ended.result? else {
            panic!("a method answers with results")
        };
        let linked = &self.linked;
        let method = linked.component().interface.method(method).unwrap().clone();
        let body = method
            .results_to_json(&results, JsonOptions::default(), &linked.spec().limits)
            .unwrap();
        Ok(String::from_utf8(body.bytes).unwrap())
    }
}

/// A component that exports `t:t/api` with the given functions of one core module: `(name, component-level type)`.
pub(crate) fn guest(core: &str, functions: &[(&str, &str)]) -> String {
    let lift = |(name, ty): &(&str, &str)| {
        format!(r#"(func ${name} {ty} (canon lift (core func $i "{name}")))"#)
    };
    let lifts: String = functions.iter().map(lift).collect();
    let exports: String = functions
        .iter()
        .map(|(name, _)| format!(r#"(export "{name}" (func ${name}))"#))
        .collect();
    format!(
        r#"(component
            (core module $m {core})
            (core instance $i (instantiate $m))
            {lifts}
            (instance $api {exports})
            (export "t:t/api" (instance $api)))"#
    )
}

/// Adds, traps, loops, recurses, allocates, counts its calls.
pub(crate) const EVERYTHING: &str = r#"
    (memory (export "memory") 1)
    (global $count (mut i32) (i32.const 0))
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "count") (result i32) (global.set $count (i32.add (global.get $count) (i32.const 1))) (global.get $count))
    (func $boom (export "boom") unreachable)
    (func $outer (export "outer") (call $boom))
    (func (export "spin") (loop $l (br $l)))
    (func (export "work") (param i32) (result i32) (local i32)
        (loop $l
            (local.set 1 (i32.add (local.get 1) (i32.const 1)))
            (br_if $l (i32.lt_u (local.get 1) (local.get 0))))
        (local.get 1))
    (func $deep (export "deep") (param i32) (result i32) (i32.add (call $deep (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "grow-or-die") (param i32) (if (i32.eq (memory.grow (local.get 0)) (i32.const -1)) (then unreachable)))"#;

pub(crate) const EVERYTHING_TYPES: &[(&str, &str)] = &[
    ("add", r#"(param "a" u32) (param "b" u32) (result u32)"#),
    ("count", "(result u32)"),
    ("boom", ""),
    ("outer", ""),
    ("spin", ""),
    ("work", r#"(param "n" u32) (result u32)"#),
    ("deep", r#"(param "n" u32) (result u32)"#),
    ("grow", r#"(param "pages" u32) (result s32)"#),
    ("grow-or-die", r#"(param "pages" u32)"#),
];

pub(crate) fn everything() -> String {
    guest(EVERYTHING, EVERYTHING_TYPES)
}
