//! What is acknowledged survives `kill -9`, and each turn is there as a whole or not at all; a device that refuses in the middle
//! of a write loses nothing. Both need a process of their own: this program calls itself.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on ends in a panic"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use granary_core::id::{CallId, Epoch, GrainId, Revision};
use granary_store::embedded::Settings;
use granary_store::{
    Commit, Embedded, Loaded, ReplyRecord, ResultRecord, SendRecord, Settled, Space, Store,
    StoreError,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const DIR: &str = "GRANARY_TEST_DIR";
const GRAINS: u64 = 16;
/// One grain more, with long values.
const LONG: u64 = 99;

fn grain(at: u64) -> GrainId {
    GrainId::parse(&format!("account/{at}")).unwrap()
}

fn call(at: u64, n: u64) -> CallId {
    CallId((u128::from(at) << 64) | u128::from(n))
}

fn message(at: u64, n: u64) -> SendRecord {
    SendRecord {
        id: call(at, n),
        from: Some(grain(at)),
        target: grain(at + 1),
        method: "take".to_owned(),
        arguments: n.to_be_bytes().to_vec(),
        baggage: BTreeMap::new(),
        principal: None,
        idempotency_key: None,
        due_at_ms: n,
        sent_at_ms: n,
        attempts: 0,
        keep_result: true,
        given_up: None,
    }
}

/// A value in many pieces, now and then; that of [`LONG`] is longer than the whole journal.
fn long(at: u64, n: u64) -> Option<Vec<u8>> {
    let times = if at == LONG { 300_000 } else { 10_000 };
    n.is_multiple_of(8).then(|| n.to_be_bytes().repeat(times))
}

/// Turn `n` of a grain: it leaves its mark in every room of the store, now and then in many pieces.
fn turn(at: u64, n: u64, epoch: Epoch) -> Commit {
    let mark = n.to_be_bytes().to_vec();
    let long = long(at, n);
    let writes = [
        ("n", Some(mark.clone())),
        ("copy", Some(mark.clone())),
        ("long", long),
    ];
    let result = ResultRecord {
        target: grain(at),
        method: "take".to_owned(),
        answer: mark.clone(),
        expires_at_ms: u64::MAX,
    };
    Commit {
        grain: grain(at),
        epoch,
        revision: Revision(1),
        now_ms: n,
        writes: writes.map(|(key, value)| (key.to_owned(), value)).into(),
        sends: vec![message(at, n)],
        reply: Some(ReplyRecord {
            key: format!("key-{n}"),
            fingerprint: n,
            answer: mark,
            expires_at_ms: u64::MAX,
        }),
        settles: Some(Settled {
            id: call(at, n - 1),
            result: Some(result),
        }),
    }
}

/// The last turn of a grain, of which every trace must be there, and none of a later one.
async fn last_turn(store: &dyn Store, at: u64) -> (u64, Loaded) {
    let loaded = store.load(&grain(at)).await.unwrap();
    let n = loaded.head.version;
    let next_reply = store
        .reply(&grain(at), &format!("key-{}", n + 1), 0)
        .await
        .unwrap();
    assert_eq!(next_reply, None);
    assert_eq!(store.send(call(at, n + 1)).await.unwrap(), None);
    if 0 < n {
        let mark = Some(n.to_be_bytes().to_vec());
        assert_eq!(store.read(&grain(at), "n").await.unwrap(), mark);
        assert_eq!(store.read(&grain(at), "copy").await.unwrap(), mark);
        assert_eq!(store.read(&grain(at), "long").await.unwrap(), long(at, n));
        let reply = store
            .reply(&grain(at), &format!("key-{n}"), 0)
            .await
            .unwrap();
        assert_eq!(reply.map(|reply| reply.answer), mark);
        assert_eq!(store.send(call(at, n)).await.unwrap(), Some(message(at, n)));
        assert_eq!(
            store.send(call(at, n - 1)).await.unwrap(),
            None,
            "it was settled"
        );
        let result = store.result(call(at, n - 1), 0).await.unwrap();
        assert_eq!(result.map(|result| result.answer), mark);
    }
    (n, loaded)
}

/// Runs one of the ignored tests below in a process of its own, in which a file that grows too long is an error and no signal.
fn start(test: &str, dir: &std::path::Path) -> Child {
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap());
    command.args([
        "--exact",
        test,
        "--ignored",
        "--nocapture",
        "--test-threads",
        "1",
    ]);
    command
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn own_dir() -> std::path::PathBuf {
    std::env::var_os(DIR)
        .expect("this is started by another test")
        .into()
}

#[test]
#[ignore = "started and killed by what_is_acknowledged_survives_a_kill"]
fn child_that_commits_until_it_is_killed() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .build()
        .unwrap();
    let store: Arc<dyn Store> = Arc::new(Embedded::open(Settings::new(own_dir())).unwrap());
    let workers: Vec<_> = (0..GRAINS)
        .chain([LONG])
        .map(|at| {
            let store = Arc::clone(&store);
            runtime.spawn(async move {
                let (last, loaded) = last_turn(&*store, at).await;
                for n in last + 1.. {
                    let head = store.commit(turn(at, n, loaded.epoch)).await.unwrap().head;
                    // One write: a line is there as a whole, or the kill came first.
                    let line = format!("ack {at} {} {}\n", head.version, loaded.epoch);
                    std::io::stdout().write_all(line.as_bytes()).unwrap();
                }
            })
        })
        .collect();
    for worker in workers {
        runtime.block_on(worker).unwrap();
    }
}

#[tokio::test]
async fn what_is_acknowledged_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut newest_epoch = BTreeMap::new();
    // The moment of the kill is the child's and the scheduler's: these only spread it over a group of changes.
    for acks_before_kill in [1, 40, 173, 394, 611] {
        let mut child = start("child_that_commits_until_it_is_killed", dir.path());
        let mut acked = BTreeMap::new();
        let mut seen = 0;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let Some((_, ack)) = line.split_once("ack ") else {
                continue;
            };
            let numbers: Vec<u64> = ack
                .split(' ')
                .map(|number| number.parse().unwrap())
                .collect();
            acked.insert(numbers[0], numbers[1]);
            let epoch_before = newest_epoch.insert(numbers[0], (child.id(), numbers[2]));
            assert!(
                epoch_before.is_none_or(|(pid, epoch)| pid == child.id() || epoch < numbers[2])
            );
            seen += 1;
            if seen == acks_before_kill {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(acks_before_kill <= seen);
        let store = Embedded::open(Settings::new(dir.path())).unwrap();
        for at in (0..GRAINS).chain([LONG]) {
            let (n, loaded) = last_turn(&store, at).await;
            let acked = acked.get(&at).copied().unwrap_or(0);
            assert!(
                acked <= n,
                "turn {acked} of {at} was acknowledged, {n} is the last"
            );
            assert!(
                newest_epoch
                    .get(&at)
                    .is_none_or(|(_, epoch)| *epoch < loaded.epoch.0)
            );
        }
        store.close().await.unwrap();
    }
}

#[test]
#[ignore = "started by a_device_that_refuses_in_the_middle_loses_nothing"]
fn child_whose_files_may_not_grow() {
    let old = getrlimit(Resource::Fsize);
    setrlimit(
        Resource::Fsize,
        Rlimit {
            current: Some(12 << 20),
            ..old
        },
    )
    .unwrap();
    let space = Space::stated(&own_dir(), Arc::new(AtomicU64::new(u64::MAX)));
    let store = Embedded::open(Settings {
        space,
        ..Settings::new(own_dir())
    })
    .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        for round in 1..=3 {
            let mut last: Vec<(u64, Epoch)> = Vec::new();
            for at in 0..GRAINS {
                let (n, loaded) = last_turn(&store, at).await;
                last.push((n, loaded.epoch));
            }
            let refused = commit_until_refused(&store, &mut last).await;
            assert!(
                matches!(refused, StoreError::Full { .. }),
                "in round {round}: {refused:?}"
            );
            for at in 0..GRAINS {
                let n = last_turn(&store, at).await.0;
                assert_eq!(
                    n,
                    last[usize::try_from(at).unwrap()].0,
                    "reading goes on, in round {round}"
                );
            }
            let more = Some((12 + 6 * round) << 20);
            setrlimit(
                Resource::Fsize,
                Rlimit {
                    current: more,
                    ..old
                },
            )
            .unwrap();
            store.ready().await.unwrap();
        }
        let (n, loaded) = last_turn(&store, 0).await;
        store.commit(turn(0, n + 1, loaded.epoch)).await.unwrap();
    });
}

/// Commits of all grains side by side. `last` counts those that were kept.
async fn commit_until_refused(store: &Embedded, last: &mut [(u64, Epoch)]) -> StoreError {
    // The files are full long before that.
    for _ in 0..10_000 {
        let commits: Vec<_> = (0..)
            .zip(last.iter())
            .map(|(at, (n, epoch))| store.commit(turn(at, n + 1, *epoch)))
            .collect();
        let mut refused = None;
        for (at, commit) in commits.into_iter().enumerate() {
            match commit.await {
                Ok(committed) => {
                    last[at].0 += 1;
                    assert_eq!(committed.head.version, last[at].0);
                }
                Err(error) => refused = Some(error),
            }
        }
        if let Some(error) = refused {
            return error;
        }
    }
    panic!("the files grew beyond their limit");
}

#[tokio::test]
async fn a_device_that_refuses_in_the_middle_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let child = start("child_whose_files_may_not_grow", dir.path());
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    // What the child was told is here, and the journal goes on from the table.
    let store = Embedded::open(Settings::new(dir.path())).unwrap();
    for at in 0..GRAINS {
        assert!(0 < last_turn(&store, at).await.0);
    }
}
