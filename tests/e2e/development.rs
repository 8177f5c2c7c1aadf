//! From `granary new` to a change that is live: what somebody does who writes a grain.

use std::path::Path;
use std::process::Stdio;

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::harness::node::PROGRAM;
use crate::harness::{Cli, Client, guests, repository, until, within, without_settings};

/// `granary dev`, and a client of the node that it runs. Dropping it kills the process.
struct Dev {
    _process: Child,
    client: Client,
    /// The lines that it printed until it was ready.
    said: Vec<String>,
}

impl Dev {
    /// Starts it and waits until it is ready and has printed a curl line of the kind.
    async fn start(folder: &Path, project: &str, kind: &str, target: &Path) -> Self {
        let mut command = Command::new(PROGRAM);
        let data = folder.join("dev-data");
        command
            .args(["dev", project, "--listen", "127.0.0.1:0", "--data"])
            .arg(data);
        without_settings(&mut command)
            .current_dir(folder)
            .env("NO_COLOR", "1")
            .env(guests::TOOLCHAINS, guests::toolchains_folder())
            .env("CARGO_TARGET_DIR", target)
            .kill_on_drop(true);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut said = Vec::new();
        let base = loop {
            let line = within("a curl line", lines.next_line())
                .await
                .unwrap()
                .expect("dev goes on");
            said.push(line.clone());
            let url = line
                .find("http://127.0.0.1:")
                .map(|at| line[at..].to_owned());
            if let Some((base, _)) = url
                .as_deref()
                .and_then(|url| url.split_once(&format!("/g/{kind}/")))
            {
                break base.to_owned();
            }
        };
        // Whatever it prints later must not fill the pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self {
            _process: process,
            client: Client::new(base, None, false),
            said,
        }
    }
}

#[tokio::test]
async fn dev_runs_a_sample_and_prints_curl_lines_that_work() {
    drop(guests::component("counter"));
    let folder = tempfile::tempdir().unwrap();
    let sample = repository().join("sample-grains").join("counter");
    let target = guests::cargo_target();
    let dev = Dev::start(folder.path(), sample.to_str().unwrap(), "counter", &target).await;
    assert!(
        dev.said.iter().any(|line| line.contains("ready")),
        "{:?}",
        dev.said
    );
    let curl = dev.said.iter().find(|line| line.contains("curl")).unwrap();
    let output = Command::new("sh")
        .arg("-c")
        .arg(curl.trim())
        .output()
        .await
        .unwrap();
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && !answer.contains("problem"),
        "{curl}\n{answer}"
    );
    assert!(
        dev.client
            .call("counter/a", "increment", json!([2]))
            .await
            .ok()
            == 2
    );
    let config = dev.client.get("/v1/config").await.ok();
    let processors = std::thread::available_parallelism().unwrap().get();
    assert_eq!(
        config["engine.compile-threads"],
        json!({ "value": processors, "source": "dev" })
    );
}

#[tokio::test]
async fn a_new_project_runs_in_dev_and_a_change_is_live_with_its_state_kept() {
    let folder = tempfile::tempdir().unwrap();
    Cli::run(folder.path(), None, &["new", "errands"])
        .await
        .ok();
    let said = Cli::run(folder.path(), None, &["new", "errands"])
        .await
        .fails(1);
    assert!(
        said.contains("errands"),
        "what is there already is not overwritten: {said}"
    );
    let target = guests::cargo_target();
    let dev = Dev::start(folder.path(), "errands", "errands", &target).await;
    assert_eq!(
        dev.client
            .call("errands/mine", "add", json!(["milk"]))
            .await
            .ok(),
        1
    );
    assert_eq!(
        dev.client
            .call("errands/mine", "items", json!([]))
            .await
            .ok(),
        json!(["milk"])
    );
    let source = folder.path().join("errands/src/lib.rs");
    let text = std::fs::read_to_string(&source).unwrap();
    // A mistake first: the last good revision goes on.
    std::fs::write(&source, format!("{text}\nthis is no Rust\n")).unwrap();
    assert_eq!(
        dev.client
            .call("errands/mine", "items", json!([]))
            .await
            .ok(),
        json!(["milk"])
    );
    let changed = text.replace(".into_owned())", ".to_uppercase())");
    assert_ne!(changed, text);
    std::fs::write(&source, changed).unwrap();
    until("the change", || async {
        (dev.client
            .call("errands/mine", "items", json!([]))
            .await
            .ok()
            == json!(["MILK"]))
        .then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_change_of_typescript_is_live_with_its_state_kept() {
    // A mistake first: a text is not what the WIT says.
    change("counter-ts", "grain.ts", |text| {
        let (head, get) = text.split_once("get(): number {").unwrap();
        let right = get.replacen("count.get(0)", "count.get(0) * 10", 1);
        [
            format!("{head}get(): string {{{get}"),
            format!("{head}get(): number {{{right}"),
        ]
    })
    .await;
}

#[tokio::test]
async fn a_change_of_python_is_live_with_its_state_kept() {
    // A mistake first: it is found when the module is run, at build.
    change("counter-python", "app.py", |text| {
        let wrong = text.replace("Value(\"count\", int)", "Value(\"count\", integer)");
        let right = text.replace("return COUNT.get(0)", "return COUNT.get(0) * 10");
        [wrong, right]
    })
    .await;
}

/// Changes a counter in `dev`: with a mistake, which the last good revision survives, and then so that it says ten times what it counted.
async fn change(sample: &str, file: &str, edit: fn(&str) -> [String; 2]) {
    guests::toolchains();
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("counting");
    copy_sources(&repository().join("sample-grains").join(sample), &project);
    let target = folder.path().join("target");
    let dev = Dev::start(folder.path(), "counting", sample, &target).await;
    let counted = dev
        .client
        .call(&format!("{sample}/a"), "increment", json!([3]));
    assert_eq!(counted.await.ok(), 3);
    let source = project.join(file);
    let text = std::fs::read_to_string(&source).unwrap();
    let [wrong, right] = edit(&text);
    assert!(wrong != text && right != text, "{text}");
    let get = format!("/g/{sample}/a/get");
    std::fs::write(&source, wrong).unwrap();
    assert_eq!(dev.client.get(&get).await.ok(), 3);
    std::fs::write(&source, right).unwrap();
    until("the change", || async {
        (dev.client.get(&get).await.ok() == 30).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_a_build_reads_outside_the_project_or_in_a_folder_called_target_is_watched() {
    guests::toolchains();
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("counting");
    copy_sources(&repository().join("sample-grains/counter-c"), &project);
    let shared = folder.path().join("shared/factor.h");
    let deep = project.join("src/target/more.h");
    for (file, text) in [(&shared, "#define FACTOR 1\n"), (&deep, "#define MORE 0\n")] {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    let entries = std::fs::read_dir(project.join("src")).unwrap().flatten();
    let source = entries
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|end| end == "c"));
    let source = source.expect("the sample has a source");
    let text = std::fs::read_to_string(&source).unwrap();
    let included =
        "#include \"granary.h\"\n#include \"../../shared/factor.h\"\n#include \"target/more.h\"";
    let changed = text.replace("#include \"granary.h\"", included).replacen(
        "return count;",
        "return count * FACTOR + MORE;",
        1,
    );
    std::fs::write(&source, changed).unwrap();
    let target = folder.path().join("target");
    let dev = Dev::start(folder.path(), "counting", "counter-c", &target).await;
    let counted = dev
        .client
        .call("counter-c/a", "increment", json!([3]))
        .await;
    assert_eq!(counted.ok(), 3);
    for (file, text, expected) in [
        (&shared, "#define FACTOR 10\n", 30),
        (&deep, "#define MORE 5\n", 35),
        // Once more: of the build between them the list is another one.
        (&shared, "#define FACTOR 100\n", 305),
    ] {
        std::fs::write(file, text).unwrap();
        until("the change", || async {
            (dev.client.get("/g/counter-c/a/get").await.ok() == expected).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_client_that_the_build_makes_is_built_in_once() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("two");
    let adder = project.join("adder");
    copy_sources(
        &repository().join("sample-grains/tally/wit"),
        &adder.join("wit"),
    );
    let client = adder.join("wit/deps/counter-client.wit");
    drop(std::fs::remove_file(&client));
    let counter = guests::component("counter");
    std::fs::write(project.join("counter.wasm"), &counter).unwrap();
    std::fs::write(folder.path().join("tally.wasm"), guests::component("tally")).unwrap();
    let manifest = "[kinds.adder]\nbuild = \"adder\"\ncommand = \"cp ../../tally.wasm target/out.wasm && echo built >> target/log\"\ncomponent = \"adder/target/out.wasm\"\n\n[kinds.counter]\ncomponent = \"counter.wasm\"\n";
    std::fs::create_dir(adder.join("target")).unwrap();
    std::fs::write(project.join("granary.toml"), manifest).unwrap();
    let dev = Dev::start(folder.path(), "two", "adder", folder.path()).await;
    assert!(
        client.is_file(),
        "made by the build, in a folder that is watched"
    );
    // `adder` comes before `counter`: whatever is built together with this change of the latter is built when it is live.
    let section = [0, 2, 1, b'x'];
    let next = folder.path().join("next.wasm");
    std::fs::write(&next, [counter.as_slice(), &section].concat()).unwrap();
    std::fs::rename(&next, project.join("counter.wasm")).unwrap();
    until("the other kind's change", || async {
        let kind = dev.client.get("/v1/kinds/counter").await.ok();
        (kind["current"] == 2).then_some(())
    })
    .await;
    let log = || std::fs::read_to_string(adder.join("target/log")).unwrap();
    assert_eq!(log(), "built\n");
    // One that somebody else writes is a source like others; the build makes it anew.
    std::fs::write(&client, "package demo:counter-client@0.1.0;\n").unwrap();
    until("the build", || async {
        (log() == "built\nbuilt\n").then_some(())
    })
    .await;
}

/// Copies a project without what was built of it.
fn copy_sources(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if name == "target" {
            continue;
        }
        if path.is_dir() {
            copy_sources(&path, &to.join(name));
        } else {
            std::fs::copy(&path, to.join(name)).unwrap();
        }
    }
}
