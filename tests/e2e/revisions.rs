//! Revisions: the gate, the plan, a switch without a failed call, migration that may fail, rollback.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::harness::{Client, Node, Reply, guests};

/// Deploys a version of `migrator`.
async fn migrator(node: &Node, version: u32, query: &str) -> Reply {
    let guest = format!("migrator-v{version}");
    node.client()
        .deploy(
            "migrator",
            &guests::component(&guest),
            guests::manifest(&guest),
            query,
        )
        .await
}

async fn set_name(client: &Client, key: &str, name: &str) {
    client
        .call(&format!("migrator/{key}"), "set-name", json!([name]))
        .await
        .ok();
}

async fn name(client: &Client, key: &str) -> Value {
    client
        .call(&format!("migrator/{key}"), "name", json!([]))
        .await
        .ok()
}

async fn version(client: &Client, key: &str) -> Value {
    client
        .call(&format!("migrator/{key}"), "version", json!([]))
        .await
        .ok()
}

#[tokio::test]
async fn the_gate_tells_same_additive_and_breaking_apart() {
    let node = Node::start().await;
    assert_eq!(migrator(&node, 1, "").await.ok()["verdict"], "first");
    // The very same again is no new revision.
    assert_eq!(migrator(&node, 1, "").await.ok()["revision"], 1);
    let mut manifest = guests::manifest("migrator-v1");
    manifest["description"] = json!("other words");
    let same = node
        .client()
        .deploy("migrator", &guests::component("migrator-v1"), manifest, "")
        .await
        .ok();
    assert_eq!(
        (&same["revision"], &same["verdict"]),
        (&json!(2), &json!("same"))
    );
    let additive = migrator(&node, 2, "").await.ok();
    assert_eq!(
        (&additive["revision"], &additive["verdict"]),
        (&json!(3), &json!("additive"))
    );
    let refused = migrator(&node, 3, "").await;
    let problem = refused.problem(409);
    assert!(problem.detail().contains("breaking"), "{refused}");
    assert!(
        refused.text().contains("family-name") || refused.text().contains("set-name"),
        "what breaks is named: {refused}"
    );
    assert_eq!(
        node.client().get("/v1/kinds/migrator").await.ok()["current"],
        3
    );
    let allowed = migrator(&node, 3, "?breaking=true").await.ok();
    assert_eq!(
        (&allowed["revision"], &allowed["verdict"]),
        (&json!(4), &json!("breaking"))
    );
}

#[tokio::test]
async fn a_plan_shows_everything_and_changes_nothing() {
    let node = Node::start().await;
    migrator(&node, 1, "").await.ok();
    set_name(node.client(), "ada", "Ada Lovelace").await;
    let mut manifest = guests::manifest("migrator-v2");
    manifest["grants"] = json!({ "environment": { "TZ": "UTC" } });
    let component = guests::component("migrator-v2");
    let plan = node
        .client()
        .deploy("migrator", &component, manifest, "?dry-run=true")
        .await
        .ok();
    assert_eq!(plan["verdict"], "additive", "{plan}");
    let text = plan.to_string();
    assert!(
        text.contains("family-name") && text.contains("environment TZ"),
        "{plan}"
    );
    assert!(
        plan.to_string().contains("live"),
        "the number of live activations: {plan}"
    );
    assert_eq!(
        node.client().get("/v1/kinds/migrator").await.ok()["current"],
        1
    );
    assert_eq!(version(node.client(), "ada").await, 1);
}

#[tokio::test]
async fn state_is_migrated_once_and_only_forward() {
    let mut node = Node::start().await;
    migrator(&node, 1, "").await.ok();
    set_name(node.client(), "ada", "Ada Lovelace").await;
    set_name(node.client(), "cold", "Grace Hopper").await;
    node.client().delete("/g/migrator/cold").await.ok();
    migrator(&node, 2, "").await.ok();
    for (key, family) in [("ada", "Lovelace"), ("cold", "Hopper")] {
        assert_eq!(version(node.client(), key).await, 2);
        assert_eq!(
            node.client()
                .call(&format!("migrator/{key}"), "family-name", json!([]))
                .await
                .ok(),
            family
        );
    }
    node.crash_and_start_again().await;
    assert_eq!(name(node.client(), "ada").await, "Ada Lovelace");
    let migrations = node
        .client()
        .get("/v1/logs?kind=migrator&follow=false")
        .await
        .text();
    assert!(
        !migrations.contains("migrate from revision"),
        "after a restart nothing is migrated again: {migrations}"
    );
}

#[tokio::test]
async fn a_migration_that_fails_keeps_its_grain_on_the_old_revision_and_halts_the_rollout() {
    for bad in ["bad-one", "trap-one", "loop-one"] {
        let mut node = Node::start().await;
        migrator(&node, 1, "").await.ok();
        for key in [bad, "early", "late"] {
            set_name(node.client(), key, "Ada Lovelace").await;
        }
        migrator(&node, 2, "").await.ok();
        assert_eq!(version(node.client(), "early").await, 2, "{bad}");
        assert_eq!(
            version(node.client(), bad).await,
            1,
            "{bad}: the call is answered by the old revision"
        );
        assert_eq!(
            name(node.client(), bad).await,
            "Ada Lovelace",
            "{bad}: its state is untouched"
        );
        assert_eq!(
            version(node.client(), "late").await,
            1,
            "{bad}: nobody else is moved"
        );
        assert_eq!(
            version(node.client(), "early").await,
            2,
            "{bad}: who has moved stays"
        );
        let kind = node.client().get("/v1/kinds/migrator").await.ok();
        assert!(
            kind.to_string().contains("halted") && kind.to_string().contains(bad),
            "{kind}"
        );
        node.crash_and_start_again().await;
        for (key, expected) in [(bad, 1), ("late", 1), ("early", 2), ("fresh", 1)] {
            assert_eq!(
                version(node.client(), key).await,
                expected,
                "{bad}: {key} after a restart"
            );
        }
    }
}

#[tokio::test]
async fn a_switch_under_load_fails_no_call() {
    let node = Node::serving(&["counter"]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let load = (0..8).map(|worker| {
        let (client, stop) = (node.client().clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut calls = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                let key = (worker + calls) % 12;
                client
                    .call(&format!("counter/{key}"), "increment", json!([1]))
                    .await
                    .ok();
                calls += 1;
            }
            calls
        })
    });
    let load: Vec<_> = load.collect();
    let running = || async {
        node.client()
            .get("/g/counter/0/get")
            .await
            .header("grain-revision")
    };
    for revision in 2..=8 {
        let mut manifest = guests::manifest("counter");
        manifest["description"] = json!(format!("revision {revision}"));
        let deployed = node.deploy_as("counter", "counter", manifest).await;
        assert_eq!(deployed.ok()["revision"], revision);
        assert_eq!(
            running().await,
            revision.to_string(),
            "the next call runs the new revision"
        );
    }
    stop.store(true, Ordering::Relaxed);
    let mut calls = 0;
    for worker in load {
        calls += worker.await.expect("no call has failed");
    }
    let mut counted = 0;
    for key in 0..12 {
        counted += node
            .client()
            .get(&format!("/g/counter/{key}/get"))
            .await
            .ok()
            .as_u64()
            .unwrap();
    }
    assert_eq!(counted, calls);
}

#[tokio::test]
async fn a_rollback_is_a_pointer_move() {
    let mut node = Node::start().await;
    migrator(&node, 1, "").await.ok();
    migrator(&node, 2, "").await.ok();
    assert_eq!(version(node.client(), "a").await, 2);
    let back = node
        .client()
        .post("/v1/kinds/migrator/rollback", json!({}))
        .await
        .ok();
    assert_eq!(back["revision"], 1, "{back}");
    assert_eq!(version(node.client(), "a").await, 1);
    node.crash_and_start_again().await;
    assert_eq!(version(node.client(), "a").await, 1);
    let forward = node
        .client()
        .post("/v1/kinds/migrator/rollback?to=2", json!({}))
        .await
        .ok();
    assert_eq!(forward["revision"], 2, "{forward}");
    assert_eq!(version(node.client(), "a").await, 2);
    let lost = node
        .client()
        .post("/v1/kinds/migrator/rollback?to=9", json!({}))
        .await;
    lost.problem(lost.status);
}

#[tokio::test]
async fn what_can_be_read_from_a_revision() {
    let node = Node::serving(&["cart"]).await;
    migrator(&node, 1, "").await.ok();
    migrator(&node, 2, "").await.ok();
    let client = node.client();
    let wit = client.get("/v1/kinds/cart/revisions/1/wit").await;
    assert!(
        wit.text().contains("record item") && wit.text().contains("set-picture"),
        "{wit}"
    );
    assert!(
        wit.text().contains("Puts items into the cart"),
        "with its doc comments: {wit}"
    );
    let openapi = client
        .get("/v1/kinds/cart/revisions/1/openapi.json")
        .await
        .ok();
    assert_eq!(
        openapi["openapi"].as_str().unwrap().split('.').next(),
        Some("3"),
        "{openapi}"
    );
    assert!(
        openapi["paths"]
            .to_string()
            .contains("Puts items into the cart")
    );
    let schema = client
        .get("/v1/kinds/cart/revisions/1/schema.json")
        .await
        .ok();
    assert!(schema.to_string().contains("weight-kg"), "{schema}");
    let diff = client.get("/v1/kinds/migrator/diff?from=1&to=2").await.ok();
    assert!(
        diff.to_string().contains("additive") && diff.to_string().contains("family-name"),
        "{diff}"
    );
    let revisions = client.get("/v1/kinds/migrator/revisions").await.ok();
    assert!(
        revisions
            .to_string()
            .contains(&crate::harness::client::digest(&guests::component(
                "migrator-v2"
            )))
    );
    client
        .get("/v1/kinds/cart/revisions/7/wit")
        .await
        .problem(404);
    let own = client.get("/v1/openapi.json").await.ok();
    for route in [
        "/v1/artifacts/",
        "/v1/kinds",
        "/g/",
        "/v1/state/",
        "/v1/calls/",
    ] {
        assert!(
            own["paths"]
                .as_object()
                .unwrap()
                .keys()
                .any(|path| path.starts_with(route)),
            "{route}"
        );
    }
}

#[tokio::test]
async fn a_kind_can_be_removed_and_its_state_stays() {
    let node = Node::serving(&["counter"]).await;
    let digest = crate::harness::client::digest(&guests::component("counter"));
    let kept = || -> Vec<_> {
        let engines = std::fs::read_dir(node.data().join("cache")).unwrap();
        let files = engines.flat_map(|it| std::fs::read_dir(it.unwrap().path()).unwrap());
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(&digest)).collect()
    };
    assert_eq!(kept().len(), 3, "{:?}", kept());
    node.client()
        .call("counter/a", "increment", json!([4]))
        .await
        .ok();
    let removed = node.client().delete("/v1/kinds/counter").await;
    assert!(removed.status < 300, "{removed}");
    assert!(kept().is_empty(), "{:?}", kept());
    node.client()
        .call("counter/a", "increment", json!([1]))
        .await
        .problem(404);
    node.deploy("counter").await.ok();
    assert_eq!(node.client().get("/g/counter/a/get").await.ok(), 4);
}
