//! One behaviour for all languages: the same checks run against every language's counter and torture guest, on one node that serves them all.
//!
//! What passes, and what it costs, is the table in `guest-sdk/LANGUAGES.md`. The test makes it: `UPDATE_LANGUAGES=1` writes the file anew with
//! this machine's figures, and `UPDATE_LANGUAGES=passing` without new ones; otherwise a table that says something else about what passes than
//! what was seen fails the test.

mod builds;
mod checks;
mod table;

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Cli, Client, Node, guests, until};

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
const KNOWN: [(&str, &str, &str); 7] = [
    (
        "TypeScript",
        "integers beyond 2^53",
        "QuickJS hands 64-bit integers over as its numbers; a larger one is refused, coming in or going out",
    ),
    (
        "Zig",
        "file and line of an exception",
        "`@panic` knows neither without debug information, which would be most of a component; the backtrace has the function",
    ),
    (
        "TypeScript",
        "abort",
        "the language has none; `throw`, or the `exit` of `wasi:cli/exit`",
    ),
    (
        "Zig",
        "file and line of an assertion",
        "`std.debug.assert` knows neither, as `@panic`; it says that unreachable code was reached, and the backtrace has the function",
    ),
    ("C", builds::ASYNC, NO_ASYNC),
    ("Zig", builds::ASYNC, NO_ASYNC),
    ("Go", builds::ASYNC, NO_ASYNC),
];

const NO_ASYNC: &str = "the build refuses it by name";

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

/// The same code as another component, by a custom section that nobody reads: the host migrates nothing that the very same one wrote.
fn another(name: &str) -> Vec<u8> {
    let mut component = guests::component(name);
    component.extend(*b"\0\x05\x04next");
    component
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
    // All on one node: compiling their components takes longer than all that is seen of them.
    let mut node = serve_all().await;
    a_kind_changes_its_language_under_load_and_keeps_every_count(&node).await;
    a_call_goes_through_every_language_and_a_circle_is_refused_by_name(&node).await;
    every_component_is_known_without_its_bytes(&node);
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
        let built = builds::has_async_func(&node, seen.language).await;
        seen.passed.push(built);
    }
    for seen in &mut all {
        let torture = seen.language.torture;
        let deployed = node
            .client()
            .deploy(torture, &another(torture), impatient(torture), "")
            .await;
        deployed.ok();
        let upgraded = run(node.client(), checks::UPGRADED.1, torture).await;
        seen.passed.push(upgraded);
    }
    let surprises: Vec<String> = all.iter().flat_map(table::surprises).collect();
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
    table::hold(&node, &all).await;
}

/// What a start reads of a component lies beside its compiled code, whatever made the component.
fn every_component_is_known_without_its_bytes(node: &Node) {
    let engines = std::fs::read_dir(node.data().join("cache")).unwrap();
    let files = engines.flat_map(|engine| std::fs::read_dir(engine.unwrap().path()).unwrap());
    let files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    let of = |extension: &str| {
        let ends = files
            .iter()
            .filter(|file| file.extension().is_some_and(|end| end == extension));
        ends.map(|file| file.with_extension(""))
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(of("world"), of("cwasm"));
    assert!(2 * LANGUAGES.len() <= of("cwasm").len());
}

/// Counts on one grain until told to stop: how often, and what the first failure was.
async fn count(client: Client, grain: String, stop: Arc<AtomicBool>, done: Arc<AtomicU64>) {
    while !stop.load(Ordering::Relaxed) {
        let reply = client.call(&grain, "increment", json!([1])).await;
        assert_eq!(reply.status, 200, "{grain}: {reply}");
        done.fetch_add(1, Ordering::Relaxed);
    }
}

async fn a_kind_changes_its_language_under_load_and_keeps_every_count(node: &Node) {
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

async fn a_call_goes_through_every_language_and_a_circle_is_refused_by_name(node: &Node) {
    let path = [
        "torture-rust",
        "torture-python",
        "torture-ts",
        "torture-go",
        "torture-zig",
        "torture-c",
    ];
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

/// Calls with long lists, and texts in each.
const LONG_CALLS: usize = 100;
const LONG_TEXTS: usize = 5000;

/// The host asks the guest for the memory of every text. A collector that ran meanwhile would free what the host has written already.
#[tokio::test]
async fn go_collects_nothing_while_arguments_arrive() {
    let node = Node::start().await;
    node.deploy("torture-go").await.ok();
    let calls = (0..LONG_CALLS).map(|call| {
        let texts: Vec<_> = (0..LONG_TEXTS).map(|at| format!("{call}:{at}")).collect();
        let client = node.client().clone();
        async move {
            // Few grains, so that each takes many calls with one heap.
            let grain = format!("torture-go/{}", call % 4);
            let answer = client.call(&grain, "texts", json!([texts])).await;
            assert_eq!(answer.ok(), json!(texts), "call {call}");
        }
    });
    futures::stream::iter(calls)
        .buffer_unordered(8)
        .collect::<()>()
        .await;
}

/// A project of one kind whose world has these lines.
fn project(kind: &str, (language, file): (&str, &str), world: &str, source: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| std::fs::write(folder.path().join(file), text).unwrap();
    std::fs::create_dir(folder.path().join("wit")).unwrap();
    let wit = format!("package test:{kind}@0.1.0;\nworld grain {{ {world} }}\n");
    write("wit/world.wit", &wit);
    let manifest = format!("[kinds.{kind}]\nbuild = \".\"\nlanguage = \"{language}\"\n");
    write("granary.toml", &manifest);
    write(file, source);
    folder
}

#[tokio::test]
async fn a_module_of_javascript_exports_what_its_wit_says() {
    guests::toolchains();
    let wit = "export look-up: func() -> u32; export touch: func(at: u64);";
    let build = async |source: &str| {
        let folder = project("plain", ("js", "grain.js"), wit, source);
        Cli::run(folder.path(), None, &["build"]).await
    };
    build("export const lookUp = () => 2;\nexport function touch() {}\n")
        .await
        .ok();
    // Types are not looked at.
    let said = build("export const lookDown = {};\n").await.fails(1);
    for name in ["touch", "lookUp"] {
        let words = format!("No matching export in \"grain.js\" for import \"{name}\"");
        assert!(said.contains(&words), "{said}");
    }
}

/// What calls itself, with some of the stack in each call, until there is no more.
const DEEP: [(&str, &str, &str); 2] = [
    (
        "c",
        "deep.c",
        "#include \"grain.h\"\n
        static uint32_t dive(uint32_t depth) {
          volatile uint32_t here[64];
          here[depth % 64] = depth;
          return depth == 0 ? 0 : dive(depth - 1) + here[depth % 64] - depth + 1;
        }\n
        uint32_t exports_test_deep_api_dive(uint32_t depth) { return dive(depth); }\n",
    ),
    (
        "zig",
        "grain.zig",
        "fn dive(depth: u32) u32 {
            var here: [64]u32 = undefined;
            const seen: *volatile [64]u32 = &here;
            seen[depth % 64] = depth;
            return if (depth == 0) 0 else dive(depth - 1) + seen[depth % 64] - depth + 1;
        }\n
        export fn exports_test_deep_api_dive(depth: u32) u32 { return dive(depth); }\n",
    ),
];

#[tokio::test]
async fn a_stack_of_c_or_zig_has_its_size_and_traps_when_it_overflows() {
    guests::toolchains();
    let node = Node::start().await;
    let wit = "package test:deep@0.1.0;\ninterface api { dive: func(depth: u32) -> u32; }\nworld grain { export api; }\n";
    for (language, file, source) in DEEP {
        let folder = tempfile::tempdir().unwrap();
        let kind = format!("deep-{language}");
        std::fs::create_dir(folder.path().join("wit")).unwrap();
        std::fs::write(folder.path().join("wit/deep.wit"), wit).unwrap();
        std::fs::write(folder.path().join(file), source).unwrap();
        let deploy = async |more: &str| {
            let manifest = format!("[kinds.{kind}]\nlanguage = \"{language}\"\n{more}");
            std::fs::write(folder.path().join("granary.toml"), manifest).unwrap();
            let deployed = Cli::run(folder.path(), Some(&node), &["deploy"]).await;
            deployed.ok();
        };
        let grain = format!("{kind}/a");
        let dive = |depth: u32| node.client().call(&grain, "dive", json!([depth]));
        deploy("").await;
        assert_eq!(dive(1000).await.ok(), 1000);
        let info = node.client().get(&format!("/v1/activations/{grain}")).await;
        let memory = info.ok()["activation"]["memory_bytes"].as_u64().unwrap();
        assert!((1 << 20..2 << 20).contains(&memory), "{language}: {memory}");
        let problem = dive(100_000).await.problem(500);
        problem.is("guest-trap", &["memory", "raise `stack`"]);
        assert_eq!(problem.outcome(), "no-effect");
        assert_eq!(dive(1000).await.ok(), 1000, "it goes on");
        // A smaller one ends sooner.
        deploy("stack = \"64KiB\"\n").await;
        dive(1000).await.problem(500).is("guest-trap", &[]);
        assert_eq!(dive(10).await.ok(), 10);
    }
}
