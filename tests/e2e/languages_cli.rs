//! `new`, `build`, `test` and `toolchain` as somebody meets them who has not got everything, or has written something wrong.

mod bare;

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::node::PROGRAM;
use crate::harness::{Cli, guests, until, within, without_settings};
use bare::Bare;

/// A package with one interface of one function.
const WIT: &str = "package app:small@0.1.0;\n\ninterface api {\n  get: func() -> u32;\n}\n\nworld grain {\n  export api;\n}\n";
const ZIG: (&str, &str) = (
    "grain.zig",
    "export fn exports_app_small_api_get() u32 { return 1; }\n",
);

#[tokio::test]
async fn a_missing_tool_is_named_with_what_to_run() {
    let bare = Bare::new();
    // Another zig would be good news for this machine, but not for this test.
    bare.fake("zig", "no version at all");
    bare.project("small", "python", WIT, &[("app.py", "")]);
    bare.project("tiny", "zig", WIT, &[ZIG]);
    let said = bare.granary(&["build", "small"]).await.fails(1);
    assert!(
        said.contains("small: componentize-py 0.25.1 is not installed"),
        "{said}"
    );
    assert!(
        said.contains("try: granary toolchain install python"),
        "{said}"
    );
    let said = bare.granary(&["build", "tiny", "-o", "json"]).await;
    let error: Value = serde_json::from_str(said.err.lines().last().unwrap()).unwrap();
    assert_eq!(
        (said.code, &error["try"]),
        (1, &json!("granary toolchain install zig"))
    );
}

#[tokio::test]
async fn a_tool_of_another_version_is_not_taken() {
    let bare = Bare::new();
    bare.project("small", "zig", WIT, &[ZIG]);
    bare.fake("zig", "0.13.0");
    let said = bare.granary(&["build", "small"]).await.fails(1);
    let place = bare.path().join("bin/zig");
    let expected = format!(
        "zig 0.13.0 at {} does not do: 0.17 or later, below 0.18 is needed",
        place.display()
    );
    assert!(said.contains(&expected), "{said}");
    assert!(
        said.contains("try: granary toolchain install zig"),
        "{said}"
    );
    // Installed by an older granary.
    let packages = bare
        .toolchains()
        .join("python/lib/python3.11/site-packages");
    std::fs::create_dir_all(packages.join("ziglang-0.14.1.dist-info")).unwrap();
    let said = bare.granary(&["build", "small"]).await.fails(1);
    assert!(
        said.contains("zig 0.14.1") && said.contains("is not the version that is needed: 0.17.1"),
        "{said}"
    );
}

#[tokio::test]
async fn a_tool_that_takes_its_time_is_named_while_it_runs() {
    let bare = Bare::new();
    bare.project("small", "c", WIT, &[("src/grain.c", "")]);
    // It compiles until the test has written into the pipe; the second time not at all.
    let pipe = bare.path().join("pipe");
    let at = pipe.display();
    let compile = format!("[ ! -e {at} ] && mkfifo {at} && read word < {at}; exit 3");
    bare.script(
        "zig",
        &format!("[ $1 = version ] && echo 0.17.1 && exit; {compile}"),
    );
    let err = bare.path().join("err");
    let mut command = Command::new(PROGRAM);
    without_settings(&mut command)
        .args(["build", "small"])
        .current_dir(bare.path())
        .env("PATH", bare.search_path())
        .env(guests::TOOLCHAINS, bare.toolchains())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&err).unwrap())
        .kill_on_drop(true);
    let mut process = command.spawn().unwrap();
    let said = "small: zig cc is still running; a first build also builds Zig's own libraries";
    until("the tool is named", || async {
        let text = std::fs::read_to_string(&err).unwrap();
        text.contains(said).then_some(())
    })
    .await;
    assert_eq!(process.try_wait().unwrap(), None, "nobody stopped it");
    std::fs::write(&pipe, "go on\n").unwrap();
    let status = within("the build ends", process.wait()).await.unwrap();
    assert_eq!(status.code(), Some(1));
    let again = bare.granary(&["build", "small"]).await.fails(1);
    assert!(!again.contains("still running"), "{again}");
}

#[tokio::test]
async fn toolchain_list_and_doctor_say_what_is_there_and_what_is_not() {
    let bare = Bare::new();
    bare.fake("go", "go version go1.26.2 linux/amd64");
    let list = bare
        .granary(&["toolchain", "list", "-o", "json"])
        .await
        .json();
    let of = |language: &str| {
        let mut states = list.as_array().unwrap().iter();
        states
            .find(|state| state["language"] == language)
            .unwrap()
            .clone()
    };
    assert_eq!(list.as_array().unwrap().len(), 7);
    assert_eq!(of("rust")["ready"], true);
    let place = bare.path().join("bin/go").display().to_string();
    assert_eq!(
        of("go")["found"],
        json!([format!("go 1.26.2 at {place}")]),
        "one on the path does, if it is new enough"
    );
    assert_eq!(of("python")["ready"], false);
    assert_eq!(of("python")["try"], "granary toolchain install python");
    // Looking installs nothing.
    assert!(!bare.toolchains().exists());
    bare.granary(&["toolchain", "doctor"]).await.ok();
    let doctor = bare.granary(&["toolchain", "doctor", "python"]).await;
    assert!(
        doctor
            .out
            .contains("componentize-py 0.25.1 is not installed"),
        "{}",
        doctor.out
    );
    assert!(
        doctor
            .fails(1)
            .contains("try: granary toolchain install python")
    );
    let said = bare
        .granary(&["toolchain", "install", "cobol"])
        .await
        .fails(2);
    assert!(said.contains("cobol") && said.contains("python"), "{said}");
}

#[tokio::test]
async fn without_a_network_nothing_is_installed_and_the_registry_is_named() {
    let bare = Bare::new();
    let closed = Path::new("http://127.0.0.1:1/");
    let pip = [
        ("PIP_INDEX_URL", closed),
        ("PIP_RETRIES", Path::new("0")),
        ("PIP_NO_CACHE_DIR", Path::new("1")),
    ];
    let said = bare
        .granary_with(&["toolchain", "install", "go"], &pip)
        .await
        .fails(7);
    assert!(said.contains("Go: PyPI could not be reached"), "{said}");
    assert!(said.contains("PIP_INDEX_URL"), "{said}");
    let cache = bare.path().join("npm-cache");
    let npm = [
        ("npm_config_registry", closed),
        ("npm_config_cache", cache.as_path()),
    ];
    let said = bare
        .granary_with(&["toolchain", "install", "js"], &npm)
        .await
        .fails(7);
    assert!(
        said.contains("JavaScript: the npm registry could not be reached"),
        "{said}"
    );
    let list = bare
        .granary(&["toolchain", "list", "-o", "json"])
        .await
        .json();
    assert!(
        list.as_array()
            .unwrap()
            .iter()
            .any(|state| state["language"] == "js" && state["ready"] == false)
    );
}

#[tokio::test]
async fn wit_that_does_not_parse_is_shown_with_file_and_line() {
    let bare = Bare::new();
    let cases = [
        (
            "wrong",
            "package app:wrong@0.1.0;\n\ninterface api {\n  get: func() -> u33;\n}\n\nworld grain {\n  export api;\n}\n",
            "wrong/wit/wrong.wit:4",
        ),
        (
            "broken",
            "package app:broken@0.1.0;\n\ninterface api {\n  get func();\n}\n",
            "broken/wit/broken.wit:4",
        ),
    ];
    for (name, wit, place) in cases {
        // The tool chain is not even looked for.
        bare.project(name, "python", wit, &[("app.py", "")]);
        let said = bare.granary(&["build", name]).await.fails(1);
        assert!(said.contains(place), "{said}");
        assert!(
            !said.contains("target/granary"),
            "nobody edits the copy: {said}"
        );
    }
    bare.project(
        "empty",
        "go",
        "package app:empty@0.1.0;\n\ninterface api {}\n",
        &[("grain.go", "")],
    );
    let said = bare.granary(&["build", "empty"]).await.fails(1);
    assert!(said.contains("app:empty@0.1.0 has no world"), "{said}");
    std::fs::remove_dir_all(bare.path().join("empty/wit")).unwrap();
    let said = bare.granary(&["build", "empty"]).await.fails(1);
    assert!(
        said.contains("there is no folder") && said.contains("empty/wit"),
        "{said}"
    );
}

#[tokio::test]
async fn a_newer_contract_and_an_unknown_package_are_named() {
    let bare = Bare::new();
    let world = |line: &str| {
        format!(
            "package app:small@0.1.0;\n\ninterface api {{\n  get: func() -> u32;\n}}\n\nworld grain {{\n  {line}\n  export api;\n}}\n"
        )
    };
    bare.project(
        "newer",
        "python",
        &world("include granary:grain/imports@0.2.0;"),
        &[("app.py", "")],
    );
    let said = bare.granary(&["build", "newer"]).await.fails(1);
    assert!(
        said.contains("newer/wit/newer.wit:8") && said.contains("granary:grain@0.2.0"),
        "{said}"
    );
    assert!(
        said.contains("this granary has granary:grain@0.1.0"),
        "{said}"
    );
    bare.project(
        "unknown",
        "ts",
        &world("import acme:store/table@1.0.0;"),
        &[("grain.ts", "")],
    );
    let said = bare.granary(&["build", "unknown"]).await.fails(1);
    assert!(
        said.contains("unknown/wit/unknown.wit:8") && said.contains("acme:store"),
        "{said}"
    );

    // The same in finished components, as somebody else's newer SDK makes them.
    let component = |import: &str| {
        let text = format!(
            "(component (import \"{import}\" (instance (export \"version\" (func (result u64))))))"
        );
        wat::parse_str(text).unwrap()
    };
    let cases = [
        (
            "granary:grain/state@0.2.0",
            "built against granary:grain@0.2.0",
        ),
        (
            "acme:store/table@1.0.0",
            "imports `acme:store/table@1.0.0`, which this host does not have",
        ),
    ];
    for (at, (import, named)) in cases.into_iter().enumerate() {
        let folder = bare.path().join(format!("built{at}"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("x.wasm"), component(import)).unwrap();
        std::fs::write(
            folder.join("granary.toml"),
            "[kinds.x]\ncomponent = \"x.wasm\"\n",
        )
        .unwrap();
        let said = bare
            .granary(&["build", folder.to_str().unwrap()])
            .await
            .fails(1);
        assert!(said.contains(named), "{said}");
    }
}

#[tokio::test]
async fn what_did_not_change_is_not_built_again() {
    let bare = Bare::new();
    bare.granary(&["new", "untouched"]).await.ok();
    let target = guests::cargo_target();
    let build = async |more: &[&str]| {
        let arguments = [&["build", "untouched", "-o", "json"], more].concat();
        let built = bare
            .granary_with(&arguments, &[("CARGO_TARGET_DIR", &target)])
            .await
            .json();
        (built[0]["skipped"].clone(), built[0]["digest"].clone())
    };
    let (skipped, digest) = build(&[]).await;
    assert_eq!(skipped, false);
    assert_eq!(build(&[]).await, (json!(true), digest.clone()));
    assert_eq!(build(&["--force"]).await.0, false);
    let source = bare.path().join("untouched/src/lib.rs");
    let text = std::fs::read_to_string(&source).unwrap();
    std::fs::write(&source, text.replace("1000", "2000")).unwrap();
    let (skipped, changed) = build(&[]).await;
    assert_eq!(skipped, false);
    assert_ne!(changed, digest);
    // A component that somebody has put in its place is not taken for what was built.
    std::fs::write(
        bare.path().join("untouched/target/granary/untouched.wasm"),
        "x",
    )
    .unwrap();
    assert_eq!(build(&[]).await, (json!(false), changed));
}

#[tokio::test]
async fn a_projects_tests_pass_and_a_failing_one_says_what_it_got() {
    let bare = Bare::new();
    bare.granary(&["new", "chores"]).await.ok();
    let target = guests::cargo_target();
    let test = async |more: &[&str]| {
        let arguments = [&["test", "chores"], more].concat();
        bare.granary_with(&arguments, &[("CARGO_TARGET_DIR", &target)])
            .await
    };
    let said = test(&[]).await.ok();
    assert!(
        said.contains("pass  what is added is listed, oldest first")
            && said.contains("2 passed, 0 failed"),
        "{said}"
    );
    let file = bare.path().join("chores/tests/chores.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("ok = 2", "ok = 3")).unwrap();
    let failed = test(&[]).await;
    assert!(
        failed
            .out
            .contains("call 2: chores/mine add [\"bread\"]: expected 3, got 2"),
        "{}",
        failed.out
    );
    assert!(failed.out.contains("1 passed, 1 failed"), "{}", failed.out);
    assert!(failed.fails(1).contains("1 of 2 tests failed"));
    let outcomes = test(&["--filter", "leaves no trace", "-o", "json"])
        .await
        .json();
    assert_eq!(outcomes.as_array().unwrap().len(), 1);
    assert_eq!(outcomes[0]["passed"], true);
    assert!(
        test(&["--filter", "no such"])
            .await
            .fails(4)
            .contains("no test's name contains 'no such'")
    );
    std::fs::write(&file, "[[test]]\nname = \"a\"\n[[test.call]]\ngrain = \"chores/a\"\nmethod = \"add\"\nanswers = 1\n").unwrap();
    let said = test(&[]).await.fails(2);
    assert!(
        said.contains("chores.toml:6") && said.contains("answers"),
        "{said}"
    );
    std::fs::remove_file(&file).unwrap();
    assert!(test(&[]).await.fails(4).contains("there are no tests"));
}

#[tokio::test]
async fn every_language_has_a_project_to_start_from_and_words_that_it_keeps() {
    let bare = Bare::new();
    let list = bare.granary(&["new", "--list", "-o", "json"]).await.json();
    let languages: Vec<&str> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["language"].as_str().unwrap())
        .collect();
    assert_eq!(languages, ["rust", "c", "zig", "go", "js", "ts", "python"]);
    for language in languages {
        let name = format!("my-{language}");
        let written = bare
            .granary(&["new", &name, "--lang", language, "-o", "json"])
            .await
            .json();
        let files: Vec<&str> = written["files"]
            .as_array()
            .unwrap()
            .iter()
            .map(|file| file.as_str().unwrap())
            .collect();
        for needed in [
            "README.md",
            "granary.toml",
            &format!("wit/{name}.wit"),
            &format!("tests/{name}.toml"),
        ] {
            assert!(
                files.contains(&needed),
                "{language}: {needed} is not in {files:?}"
            );
        }
    }
    for (name, language) in [
        ("chan", "go"),
        ("lambda", "python"),
        ("comptime", "zig"),
        ("world", "c"),
    ] {
        let said = bare
            .granary(&["new", name, "--lang", language])
            .await
            .fails(2);
        assert!(said.contains(&format!("'{name}' is a word of ")), "{said}");
    }
    bare.granary(&["new", "shop", "--lang", "cobol"])
        .await
        .fails(2);
}

#[tokio::test]
async fn dev_goes_on_without_a_language_that_cannot_be_built_here() {
    let bare = Bare::new();
    bare.fake("zig", "0.13.0");
    let kinds = bare.path().join("kinds");
    std::fs::create_dir_all(kinds.join("counter")).unwrap();
    std::fs::write(kinds.join("counter/x.wasm"), guests::component("counter")).unwrap();
    std::fs::write(
        kinds.join("counter/granary.toml"),
        "[kinds.counter]\ncomponent = \"x.wasm\"\n",
    )
    .unwrap();
    bare.project("kinds/small", "zig", WIT, &[ZIG]);

    let (out, err) = (bare.path().join("out"), bare.path().join("err"));
    let mut command = Command::new(PROGRAM);
    command.args([
        "dev",
        "kinds",
        "--no-watch",
        "--listen",
        "127.0.0.1:0",
        "--data",
        "data",
    ]);
    without_settings(&mut command)
        .current_dir(bare.path())
        .env("NO_COLOR", "1")
        .env("PATH", bare.search_path())
        .env(guests::TOOLCHAINS, bare.toolchains())
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&out).unwrap())
        .stderr(std::fs::File::create(&err).unwrap())
        .kill_on_drop(true);
    let _process = command.spawn().unwrap();
    let read = |file: &Path| std::fs::read_to_string(file).unwrap();
    let said = until("dev is ready", || async {
        Some(read(&out)).filter(|text| text.contains("/g/counter/"))
    })
    .await;
    assert!(!said.contains("/g/small/"), "{said}");
    let warned = read(&err);
    let line = warned
        .lines()
        .find(|line| line.contains("small is left out"))
        .unwrap_or_else(|| panic!("{warned}"));
    assert!(
        line.contains("zig 0.13.0") && line.contains("granary toolchain install zig"),
        "{line}"
    );

    // `build` builds what it can and then fails.
    let built = bare.granary(&["build", "kinds"]).await;
    assert!(built.out.contains("counter"), "{}", built.out);
    assert!(built.fails(1).contains("small: zig 0.13.0"));
}

#[tokio::test]
async fn a_projects_own_tests_run_first_and_a_missing_tool_is_named() {
    let bare = Bare::new();
    let project = bare.path().join("counting");
    std::fs::create_dir(&project).unwrap();
    std::fs::write(project.join("x.wasm"), guests::component("counter")).unwrap();
    let test = async |command: &str, more: &[&str]| {
        let kind = "[kinds.counter]\ncomponent = \"x.wasm\"\n";
        let manifest = format!("[test]\ncommand = \"{command}\"\n\n{kind}");
        std::fs::write(project.join("granary.toml"), manifest).unwrap();
        bare.granary(&[&["test", "counting"], more].concat()).await
    };
    let said = test("test -e x.wasm", &[]).await.ok();
    assert!(
        said.contains("pass  test -e x.wasm") && said.contains("1 passed, 0 failed"),
        "in the folder of the project: {said}"
    );
    let failed = test("echo one is wrong; exit 3", &[]).await;
    assert!(
        failed.out.contains("exit status: 3") && failed.out.contains("one is wrong"),
        "{}",
        failed.out
    );
    failed.fails(1);
    let outcomes = test("no-such-tool --all", &["-o", "json"]).await;
    let outcome = &serde_json::from_str::<Value>(&outcomes.out).unwrap()[0];
    assert_eq!(outcome["name"], "no-such-tool --all");
    let failure = outcome["failure"].as_str().unwrap();
    assert!(
        failure.contains("no-such-tool") && failure.contains("granary.toml"),
        "{failure}"
    );
    let said = test("true", &["--filter", "no such"]).await.fails(4);
    assert!(said.contains("no test's name contains 'no such'"), "{said}");
}

#[tokio::test]
async fn typescript_is_held_to_its_wit_and_told_of_wide_integers() {
    guests::toolchains();
    let bare = Bare::new();
    let wit = "package app:small@0.1.0;\n\ninterface api {\n  get: func() -> u32;\n  add: func(by: u64, item: string) -> u64;\n}\n\nworld grain {\n  export api;\n  export look-up: func(word: string) -> u32;\n}\n";
    let build = async |source: &str| {
        bare.project("small", "ts", wit, &[("grain.ts", source)]);
        Cli::run(bare.path(), None, &["build", "small"]).await
    };
    let said = build(
        "export const api = { get: () => \"one\", add: (by: number, item: number) => by };\nexport const lookUp = (word: number) => word;\n",
    )
    .await
    .fails(1);
    for words in [
        "api.get is not as the WIT says",
        "api.add is not as the WIT says",
        "lookUp is not as the WIT says",
        "'string' is not assignable to type 'number'",
    ] {
        assert!(said.contains(words), "{said}");
    }
    let said = build("export const other = {};\n").await.fails(1);
    assert!(said.contains("Property 'api' does not exist"), "{said}");
    let built = build(
        "import type { Exports } from \"app:small/api@0.1.0\";\nexport const api: Exports = { get: () => 1, add: (by, item) => by + item.length };\nexport const lookUp = (word: string) => word.length;\n",
    )
    .await;
    assert!(
        built.err.contains("api.add (by: u64, result: u64)") && built.err.contains("2^53"),
        "{}",
        built.err
    );
    built.ok();
}
