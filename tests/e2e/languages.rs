//! One behaviour for all languages: the same checks run against every language's counter and torture guest, on one node that serves them all.
//!
//! What passes, and what it costs, is the table in `guest-sdk/LANGUAGES.md`. The test makes it: `UPDATE_LANGUAGES=1` writes the file anew with
//! this machine's figures; otherwise a table that says something else about what passes than what was seen fails the test.

mod checks;
mod table;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Client, Node, guests, until};

/// A language and its guests.
#[derive(Debug, Clone, Copy)]
struct Language {
    name: &'static str,
    /// The sample that counts.
    counter: &'static str,
    /// The test guest with every type and every trouble.
    torture: &'static str,
}

const LANGUAGES: [Language; 6] = [
    Language {
        name: "Rust",
        counter: "counter",
        torture: "torture-rust",
    },
    Language {
        name: "C",
        counter: "counter-c",
        torture: "torture-c",
    },
    Language {
        name: "Zig",
        counter: "counter-zig",
        torture: "torture-zig",
    },
    Language {
        name: "Go",
        counter: "counter-go",
        torture: "torture-go",
    },
    Language {
        name: "TypeScript",
        counter: "counter-ts",
        torture: "torture-ts",
    },
    Language {
        name: "Python",
        counter: "counter-python",
        torture: "torture-python",
    },
];

/// What a language cannot do, and why. A check that begins to pass must leave this list.
const KNOWN: [(&str, &str, &str); 1] = [(
    "TypeScript",
    "integers beyond 2^53",
    "QuickJS hands 64-bit integers over as its numbers",
)];

/// A check, run as a task of its own so that one that fails does not end the others.
type Check = fn(Client, &'static str) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// What one language passed, in the order of the checks.
struct Seen {
    language: Language,
    passed: Vec<Result<(), String>>,
}

/// Puts a shorter CPU limit into a manifest: the check of a loop waits for it.
fn impatient(name: &str) -> Value {
    let mut manifest = guests::manifest(name);
    manifest["limits"]["cpu-time"] = json!("1 s");
    manifest
}

async fn serve_all() -> Node {
    let node = Node::start().await;
    for language in LANGUAGES {
        node.deploy(language.counter).await.ok();
        let torture = language.torture;
        node.deploy_as(torture, torture, impatient(torture))
            .await
            .ok();
    }
    node
}

async fn run(client: &Client, check: Check, guest: &'static str) -> Result<(), String> {
    match tokio::spawn(check(client.clone(), guest)).await {
        Ok(()) => Ok(()),
        Err(failed) => {
            let why = failed.into_panic();
            let text = why.downcast_ref::<String>().cloned();
            let text = text.or_else(|| why.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(text.unwrap_or_default())
        }
    }
}

#[tokio::test]
async fn every_language_behaves_the_same_and_the_table_says_so() {
    let mut node = serve_all().await;
    let mut all = Vec::new();
    for language in LANGUAGES {
        let mut passed = Vec::new();
        for (_, check) in checks::COUNTER {
            passed.push(run(node.client(), check, language.counter).await);
        }
        for (_, check) in checks::TORTURE {
            passed.push(run(node.client(), check, language.torture).await);
        }
        all.push(Seen { language, passed });
    }
    node.crash_and_start_again().await;
    for seen in &mut all {
        let survived = run(node.client(), checks::SURVIVED.1, seen.language.counter).await;
        seen.passed.push(survived);
    }
    let surprises: Vec<String> = all.iter().flat_map(table::surprises).collect();
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
    table::hold(&node, &all).await;
}

/// Counts on one grain until told to stop: how often, and what the first failure was.
async fn count(client: Client, grain: String, stop: Arc<AtomicBool>, done: Arc<AtomicU64>) {
    while !stop.load(Ordering::Relaxed) {
        let reply = client.call(&grain, "increment", json!([1])).await;
        assert_eq!(reply.status, 200, "{grain}: {reply}");
        done.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_kind_changes_its_language_under_load_and_keeps_every_count() {
    let node = Node::start().await;
    let revise = async |language: &str| {
        let manifest = guests::manifest(language);
        node.deploy_as(language, "tally", manifest).await.ok()
    };
    assert_eq!(revise("counter").await["revision"], 1);
    let stop = Arc::new(AtomicBool::new(false));
    let counts: Vec<_> = (0..4).map(|_| Arc::new(AtomicU64::new(0))).collect();
    let load: Vec<_> = counts
        .iter()
        .enumerate()
        .map(|(n, done)| {
            let grain = format!("tally/{n}");
            tokio::spawn(count(
                node.client().clone(),
                grain,
                stop.clone(),
                done.clone(),
            ))
        })
        .collect();
    let languages = ["counter-python", "counter-go", "counter-ts", "counter"];
    for (revision, language) in (2_u64..).zip(languages) {
        assert_eq!(revise(language).await["revision"], revision);
        // Every grain has counted on under the new language before the next one comes.
        for n in 0..counts.len() {
            until("the new revision answers", || async {
                let reply = node.client().get(&format!("/g/tally/{n}/get")).await;
                (reply.header("grain-revision") == revision.to_string()).then_some(())
            })
            .await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for task in load {
        tokio::time::timeout(Duration::from_secs(60), task)
            .await
            .expect("the load ends")
            .unwrap();
    }
    for (n, done) in counts.iter().enumerate() {
        let counted = node.client().get(&format!("/g/tally/{n}/get")).await.ok();
        assert_eq!(counted, done.load(Ordering::Relaxed), "tally/{n}");
    }
}

#[tokio::test]
async fn a_call_goes_through_every_language_and_a_circle_is_refused_by_name() {
    let node = Node::start().await;
    let path = [
        "torture-rust",
        "torture-python",
        "torture-ts",
        "torture-go",
        "torture-zig",
        "torture-c",
    ];
    for guest in path {
        node.deploy(guest).await.ok();
    }
    let to = |guests: &[&str]| {
        let stops: Vec<_> = guests.iter().map(|guest| format!("{guest}/stop")).collect();
        json!([stops.join(" ")])
    };
    let request = node
        .client()
        .request(reqwest::Method::POST, "/g/torture-rust/start/onward")
        .header("grain-timeout", "20s")
        .header("baggage", "trip=abroad")
        .json(&to(&path[1..]));
    let arrived = node.client().send(request).await.ok();
    let words: Vec<_> = arrived.as_str().unwrap().split(' ').collect();
    let [me, caller, waiting, left, trip] = words[..] else {
        panic!("{arrived}");
    };
    assert_eq!(
        (me, caller, waiting, trip),
        ("torture-c/stop", "torture-zig/stop", "5", "abroad")
    );
    let left: u64 = left.parse().unwrap();
    assert!((1..20_000).contains(&left), "{arrived}");
    let circle = [&path[1..4], &path[1..2]].concat();
    let refused = node
        .client()
        .call("torture-rust/start", "onward", to(&circle))
        .await
        .problem(400);
    let words = refused.0["error"].as_str().unwrap_or_default();
    assert!(
        words.contains("deadlock") && words.contains("torture-python/stop"),
        "{}",
        refused.0
    );
}

#[tokio::test]
async fn a_call_goes_through_four_languages_by_their_types() {
    let node = Node::start().await;
    // In Rust, Python, TypeScript and Go; each knows the types of the next.
    for stop in ["chain-fourth", "chain-third", "chain-second", "chain-first"] {
        node.deploy(stop).await.ok();
    }
    let request = node
        .client()
        .request(reqwest::Method::POST, "/g/chain-first/a/onward")
        .header("grain-timeout", "20s")
        .json(&json!(["hello"]));
    let arrived = node.client().send(request).await.ok();
    let words: Vec<_> = arrived.as_str().unwrap().split(' ').collect();
    let [word, chain, left, trip] = words[..] else {
        panic!("{arrived}");
    };
    assert_eq!((word, trip), ("hello", "abroad"));
    assert_eq!(chain, "chain-first/a,chain-second/a,chain-third/a");
    let left: u64 = left.parse().unwrap();
    assert!((1..20_000).contains(&left), "{arrived}");

    // The last stop closes the circle: it is told at once, by name.
    let refused = node
        .client()
        .call("chain-first/a", "onward", json!(["around"]))
        .await
        .problem(400);
    let circle = refused.0["error"].as_str().unwrap_or_default();
    let places: Vec<_> = ["first", "second", "third", "fourth"]
        .iter()
        .map(|stop| circle.find(&format!("chain-{stop} a")))
        .collect();
    assert!(
        places.is_sorted() && places.iter().all(Option::is_some),
        "{}",
        refused.0
    );
}
