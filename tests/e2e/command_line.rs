//! The command line: what it prints, the exit code of each failure, and that every error ends with what to try.

use serde_json::json;

use crate::harness::{Cli, Node, granary, guests};

#[tokio::test]
async fn exit_codes_tell_failures_apart() {
    let node = Node::serving(&["counter", "runaway", "account"]).await;
    granary(&node, &["invoke", "counter/a", "increment", "1"])
        .await
        .ok();
    granary(&node, &["invoke", "runaway/a", "trap"])
        .await
        .fails(1);
    granary(&node, &["invoke", "account/a", "withdraw", "5"])
        .await
        .fails(1);
    granary(&node, &["invoke", "counter/a", "increment", "x"])
        .await
        .fails(1);
    granary(&node, &["invoke", "counter"]).await.fails(2);
    granary(&node, &["frobnicate"]).await.fails(2);
    let said = granary(&node, &["invoke", "conter/a", "increment", "1"])
        .await
        .fails(4);
    assert!(said.contains("counter"), "{said}");
    let said = granary(&node, &["invoke", "counter/a", "incremnt", "1"])
        .await
        .fails(4);
    assert!(said.contains("increment"), "{said}");
    granary(
        &node,
        &[
            "invoke",
            "runaway/a",
            "sleep",
            "20000",
            "--timeout",
            "200ms",
        ],
    )
    .await
    .fails(6);
    let nobody = ["--url", "http://127.0.0.1:9", "ls"];
    let said = Cli::run(node.folder(), None, &nobody).await.fails(7);
    assert!(said.contains("127.0.0.1:9"), "{said}");
}

#[tokio::test]
async fn a_bare_component_is_told_how_to_become_a_kind() {
    let node = Node::start().await;
    let file = node.folder().join("my_tally.wasm");
    std::fs::write(&file, guests::component("counter")).unwrap();
    let path = file.to_str().unwrap();
    let deploy = async |path: &str| granary(&node, &["deploy", path]).await;
    let said = deploy(path).await.fails(2);
    assert!(
        said.contains("my_tally.wasm is WebAssembly") && said.contains("folder of a granary.toml"),
        "{said}"
    );
    // What it says to do is done, and does.
    let lines = ["[kinds.my-tally]", "component = \"my_tally.wasm\""];
    assert!(lines.iter().all(|line| said.contains(line)), "{said}");
    std::fs::write(node.folder().join("granary.toml"), lines.join("\n")).unwrap();
    let said = deploy(path).await.fails(2);
    let folder = node.folder().to_str().unwrap();
    assert!(
        said.ends_with(&format!("name its project: {folder}\n")),
        "{said}"
    );
    deploy(folder).await.ok();
    let answer = node.client().call("my-tally/a", "increment", json!([2]));
    assert_eq!(answer.await.ok(), 2);
    let other = node.folder().join("notes.txt");
    std::fs::write(&other, "no project").unwrap();
    let said = deploy(other.to_str().unwrap()).await.fails(2);
    assert!(
        said.contains("notes.txt is neither a folder nor a granary.toml"),
        "{said}"
    );
}

#[tokio::test]
async fn denied_has_its_code_and_a_token_opens() {
    let token = "a-token-of-enough-bytes";
    let settings = format!("[auth]\ntokens = [{{ principal = \"ada\", token = \"{token}\" }}]");
    let node = Node::with(&settings).token(token).start().await;
    granary(&node, &["ls"]).await.fails(5);
    granary(&node, &["ls", "--token", token]).await.ok();
}

#[tokio::test]
async fn arguments_are_json_or_plain_words() {
    let node = Node::serving(&["greeter", "cart"]).await;
    let out = granary(&node, &["invoke", "greeter/a", "greet", "Ada"])
        .await
        .ok();
    assert!(out.contains("Ada"), "{out}");
    let item = json!([{
        "sku": "tea", "title": "Tea", "count": 2, "price": { "amount": 250, "currency": "eur" }, "weight-kg": 0.1,
        "size-mm": [1, 2, 3], "wishes": ["insured"],
    }]);
    let out = granary(&node, &["invoke", "cart/a", "add", &item.to_string()])
        .await
        .ok();
    assert_eq!(out.trim(), "1");
    let contents = granary(&node, &["invoke", "cart/a", "contents", "--output", "json"])
        .await
        .json();
    assert_eq!(contents["items"][0]["count"], 2, "{contents}");
}

#[tokio::test]
async fn a_breaking_deployment_is_planned_refused_and_forced() {
    let node = Node::start().await;
    let folder = tempfile::tempdir().unwrap();
    let write = |guest: &str| {
        std::fs::write(
            folder.path().join("migrator.wasm"),
            guests::component(guest),
        )
        .unwrap();
        let manifest = "[kinds.migrator]\ncomponent = \"migrator.wasm\"\n[kinds.migrator.methods.name]\nmode = \"read\"\n";
        std::fs::write(folder.path().join("granary.toml"), manifest).unwrap();
    };
    let deploy = |more: &'static [&'static str]| {
        let arguments: Vec<&str> = ["deploy"].iter().chain(more).copied().collect();
        let (folder, node) = (folder.path(), &node);
        async move { Cli::run(folder, Some(node), &arguments).await }
    };
    write("migrator-v1");
    deploy(&[]).await.ok();
    write("migrator-v3");
    let plan = deploy(&["--plan", "--output", "json"]).await;
    assert!(plan.code == 0 || plan.code == 3, "{plan:?}");
    assert!(plan.out.contains("breaking"), "{plan:?}");
    let said = deploy(&[]).await.fails(3);
    assert!(said.contains("--breaking"), "{said}");
    deploy(&["--breaking"]).await.ok();
    granary(&node, &["rollback", "migrator"]).await.ok();
    let out = granary(&node, &["invoke", "migrator/a", "version"])
        .await
        .ok();
    assert_eq!(out.trim(), "1");
}

#[tokio::test]
async fn interfaces_are_shown_and_compared() {
    let node = Node::serving(&["cart"]).await;
    let wit = granary(&node, &["wit", "show", "cart"]).await.ok();
    assert!(
        wit.contains("record item") && wit.contains("Puts items into the cart"),
        "{wit}"
    );
    for version in ["migrator-v1", "migrator-v2", "migrator-v3"] {
        let component = guests::component(version);
        node.client()
            .deploy(
                "migrator",
                &component,
                guests::manifest(version),
                "?breaking=true",
            )
            .await
            .ok();
    }
    let diff = granary(
        &node,
        &["wit", "diff", "migrator", "--from", "1", "--to", "2"],
    )
    .await
    .ok();
    assert!(
        diff.contains("additive") && diff.contains("family-name"),
        "{diff}"
    );
    let diff = granary(&node, &["wit", "diff", "migrator"]).await.ok();
    assert!(diff.contains("breaking"), "{diff}");
}

#[tokio::test]
async fn state_is_read_and_changed() {
    let node = Node::serving(&["counter"]).await;
    granary(&node, &["invoke", "counter/a", "increment", "5"])
        .await
        .ok();
    let listed = granary(&node, &["state", "ls", "counter/a"]).await.ok();
    assert!(listed.contains("count"), "{listed}");
    granary(&node, &["state", "get", "counter/a", "nothing"])
        .await
        .fails(4);
}

#[tokio::test]
async fn settings_explain_themselves() {
    let node = Node::with("[log]\nfilter = \"warn\"").prepare();
    let file = node.settings_file();
    let arguments = [
        "config",
        "explain",
        "log.filter",
        "--config",
        file.to_str().unwrap(),
    ];
    let said = Cli::run(node.folder(), None, &arguments).await.ok();
    assert!(
        said.contains("warn") && said.contains("node.toml") && said.contains("info"),
        "value, source, default: {said}"
    );
    let unknown = [
        "config",
        "explain",
        "log.fliter",
        "--config",
        file.to_str().unwrap(),
    ];
    let said = Cli::run(node.folder(), None, &unknown).await;
    assert!(said.code != 0 && said.err.contains("filter"), "{said:?}");
}

#[tokio::test]
async fn the_doctor_looks_at_the_machine() {
    let folder = tempfile::tempdir().unwrap();
    let run = Cli::run(folder.path(), None, &["doctor"]).await;
    assert!(run.code == 0 || run.code == 1, "{run:?}");
    assert!(
        run.out.contains("vm.max_map_count") && run.out.contains("wasm32-wasip2"),
        "{run:?}"
    );
}

#[tokio::test]
async fn shells_complete_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let script = Cli::run(folder.path(), None, &["completion", shell])
            .await
            .ok();
        assert!(
            script.contains("granary") && 200 < script.len(),
            "{shell}: {script}"
        );
    }
    Cli::run(folder.path(), None, &["completion", "cobol"])
        .await
        .fails(2);
    let help = Cli::run(folder.path(), None, &["--help"]).await.ok();
    for command in [
        "dev", "up", "new", "build", "deploy", "rollback", "invoke", "ls", "get", "explain",
        "logs", "state", "wit", "doctor",
    ] {
        assert!(
            help.lines()
                .any(|line| line.trim_start().starts_with(command)),
            "{command}: {help}"
        );
    }
}
