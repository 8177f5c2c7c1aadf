//! `granary build` with what a project is really made of: files beside its folder, packages, blanks in paths; and what it refuses before any
//! tool runs.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Cli, Node, guests};

/// A kind in a folder whose path has a blank, with a place beside it.
struct Kind {
    place: TempDir,
    language: &'static str,
}

impl Kind {
    fn new(language: &'static str) -> Self {
        let kind = Self {
            place: tempfile::tempdir().unwrap(),
            language,
        };
        kind.write("granary.toml", &manifest(language));
        kind.write("wit/small.wit", WIT);
        kind
    }

    fn folder(&self) -> PathBuf {
        self.place.path().join("our grains").join("small")
    }

    fn write(&self, path: &str, text: &str) -> &Self {
        let file = self.folder().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
        self
    }

    async fn run(&self, arguments: &[&str], more: &[(&str, &Path)]) -> Cli {
        guests::toolchains();
        Cli::run_with(&self.folder(), None, arguments, more).await
    }

    /// Whether a build found that nothing had changed.
    async fn skips(&self, more: &[(&str, &Path)]) -> bool {
        let built = self.run(&["build", "-o", "json"], more).await.json();
        built[0]["skipped"] == Value::Bool(true)
    }

    /// Builds, and holds each of the files, changed one after the other, to be a reason to build again.
    async fn is_built_anew_for(&self, files: &[&str], more: &[(&str, &Path)]) {
        assert!(
            !self.skips(more).await,
            "{}: nothing was there",
            self.language
        );
        assert!(
            self.skips(more).await,
            "{}: nothing has changed",
            self.language
        );
        for file in files {
            let text = std::fs::read_to_string(self.folder().join(file)).unwrap();
            assert!(text.contains('7'), "{file}: {text}");
            self.write(file, &text.replace('7', "8"));
            assert!(!self.skips(more).await, "{}: {file}", self.language);
        }
        assert!(self.skips(more).await, "{}: that was all", self.language);
    }

    /// What a method of a fresh grain answers.
    async fn answer(&self) -> Value {
        let node = Node::start().await;
        Cli::run(&self.folder(), Some(&node), &["deploy"])
            .await
            .ok();
        node.client().call("small/a", "get", json!([])).await.ok()
    }
}

fn manifest(language: &str) -> String {
    format!("[kinds.small]\nbuild = \".\"\nlanguage = \"{language}\"\n")
}

const WIT: &str = "package app:small@0.1.0;\n\ninterface api {\n  get: func() -> u32;\n  take: func(count: s64) -> s64;\n}\n\nworld grain {\n  export api;\n}\n";

#[tokio::test]
async fn c_keeps_its_assertions_and_is_built_anew_for_a_header_from_elsewhere() {
    let kind = Kind::new("c");
    kind.write("../shared/limits.h", "#define START 7\n")
        .write("src/common.h", "#include \"granary.h\"\n#include \"../../shared/limits.h\"\n")
        .write(
            "src/grain.c",
            "#include \"common.h\"\n#include <assert.h>\n\nuint32_t exports_app_small_api_get(void) {\n  return START;\n}\n\nint64_t exports_app_small_api_take(int64_t count) {\n  int64_t left = 10;\n  granary_status_t found = granary_get_i64(\"left\", &left);\n  (void)found;\n  left -= count;\n  granary_expect(granary_set_i64(\"left\", left));\n  assert(left >= 0);\n  return left;\n}\n",
        );
    kind.is_built_anew_for(&["../shared/limits.h"], &[]).await;
    let node = Node::start().await;
    Cli::run(&kind.folder(), Some(&node), &["deploy"])
        .await
        .ok();
    let take = |count: i64| node.client().call("small/a", "take", json!([count]));
    assert_eq!(take(4).await.ok(), 6);
    let failed = take(25).await;
    failed
        .problem(500)
        .is("guest-trap", &["left >= 0", "grain.c"]);
    assert_eq!(take(1).await.ok(), 5, "the failed turn left nothing");
}

#[tokio::test]
async fn every_file_of_zig_may_import_the_sdk() {
    let kind = Kind::new("zig");
    kind.write(
        "src/lib/left.zig",
        "const granary = @import(\"granary\");\n\npub const start = 7;\n\npub fn note() void {\n    granary.expect(granary.delete(\"noted\"));\n}\n",
    )
    .write(
        "src/grain.zig",
        "const left = @import(\"lib/left.zig\");\n\nexport fn exports_app_small_api_get() u32 {\n    left.note();\n    return left.start;\n}\n\nexport fn exports_app_small_api_take(count: i64) i64 {\n    return count;\n}\n",
    );
    kind.is_built_anew_for(&["src/lib/left.zig"], &[]).await;
    assert_eq!(kind.answer().await, 8);
}

const GO: &str = "package export_app_small_api\n\nimport (\n\t_ \"embed\"\n\n\t\"example.org/goal\"\n\n\t\"wit_component/dist\"\n)\n\n//go:embed asset.txt\nvar asset string\n\nfunc Get() uint32 {\n\treturn uint32(len(asset)) + goal.Most + dist.Least + more()\n}\n\nfunc Take(count int64) int64 {\n\treturn count\n}\n";

#[tokio::test]
async fn go_embeds_files_and_takes_modules_from_where_its_go_mod_says_or_from_vendor() {
    let kind = Kind::new("go");
    kind.write("grain.go", GO)
        .write("asset.txt", "1234567")
        .write("dist/least.go", "package dist\n\nconst Least = 700\n")
        .write(
            "deep/grain.go",
            "package export_app_small_api\n\nfunc more() uint32 {\n\treturn 70000\n}\n",
        )
        .write(
            "go.mod",
            "module small\n\ngo 1.25\n\nrequire example.org/goal v1.0.0\n\nreplace example.org/goal => \"../our goal\"\n",
        )
        .write("../our goal/go.mod", "module example.org/goal\n\ngo 1.25\n")
        .write("../our goal/goal.go", "package goal\n\nconst Most = 70\n");
    kind.is_built_anew_for(
        &[
            "../our goal/goal.go",
            "dist/least.go",
            "deep/grain.go",
            "asset.txt",
        ],
        &[],
    )
    .await;
    // The same module of another content, as `go mod vendor` leaves it.
    kind.write(
        "vendor/modules.txt",
        "# example.org/goal v1.0.0 => ../our goal\n## explicit; go 1.25\nexample.org/goal\n",
    )
    .write(
        "vendor/example.org/goal/goal.go",
        "package goal\n\nconst Most = 60\n",
    );
    assert!(!kind.skips(&[]).await);
    assert_eq!(kind.answer().await, 80_000 + 800 + 60 + 7);

    // What cannot be built is told by name.
    kind.write("deep-grain.go", "package export_app_small_api\n");
    let said = kind.run(&["build"], &[]).await.fails(1);
    assert!(said.contains("deep/grain.go and deep-grain.go"), "{said}");
    std::fs::remove_file(kind.folder().join("deep-grain.go")).unwrap();
    std::fs::remove_dir_all(kind.folder().join("vendor")).unwrap();
    kind.write("go.mod", "module small\n\ngo 1.25\n");
    let said = kind.run(&["build"], &[]).await.fails(1);
    assert!(
        said.contains("example.org/goal") && said.contains("go mod vendor"),
        "{said}"
    );
}

#[tokio::test]
async fn typescript_is_built_anew_for_every_module_that_is_bundled() {
    let kind = Kind::new("ts");
    kind.write("lib/dist/min.ts", "export const min = 7;\n")
        .write("../shared/max.ts", "export const max = 70;\n")
        .write("node_modules/tiny/package.json", "{\"name\":\"tiny\",\"version\":\"1.0.0\",\"main\":\"index.js\",\"types\":\"index.d.ts\"}\n")
        .write("node_modules/tiny/index.js", "export const tiny = 700;\n")
        .write("node_modules/tiny/index.d.ts", "export declare const tiny: number;\n")
        .write(
            "grain.ts",
            "import { max } from \"../shared/max\";\nimport { min } from \"./lib/dist/min\";\nimport { tiny } from \"tiny\";\n\nexport const api = { get: () => min + max + tiny, take: (count: number) => count };\n",
        );
    kind.is_built_anew_for(
        &[
            "lib/dist/min.ts",
            "../shared/max.ts",
            "node_modules/tiny/index.js",
        ],
        &[],
    )
    .await;
    assert_eq!(kind.answer().await, 888);
}

#[tokio::test]
async fn javascript_without_a_function_of_its_wit_is_not_built() {
    let kind = Kind::new("js");
    kind.write("grain.js", "export const api = { get: () => 1 };\n");
    let said = kind.run(&["build"], &[]).await.fails(1);
    assert!(
        said.contains("the WIT says api.take, but the module exports no such function"),
        "{said}"
    );
}

#[tokio::test]
async fn python_is_built_anew_for_what_it_imports() {
    let kind = Kind::new("python");
    kind.write("prices/target/goal.py", "GOAL = 7\n")
        .write("prices/target/__init__.py", "")
        .write("prices/__init__.py", "")
        .write(
            "app.py",
            "import wit_world.exports\nfrom prices.target.goal import GOAL\nfrom tiny import TINY\n\n\nclass Api(wit_world.exports.Api):\n    def get(self) -> int:\n        return GOAL + TINY\n\n    def take(self, count: int) -> int:\n        return count\n",
        );
    // A package that somebody has installed for their own Python.
    let user = kind.place.path().join("user");
    let python = std::process::Command::new("python3")
        .args(["-c", "import site; print(site.getusersitepackages())"])
        .env("PYTHONUSERBASE", &user)
        .output()
        .unwrap();
    let packages = String::from_utf8(python.stdout).unwrap();
    let packages = Path::new(packages.trim());
    std::fs::create_dir_all(packages).unwrap();
    std::fs::write(packages.join("tiny.py"), "TINY = 70\n").unwrap();
    let more = [("PYTHONUSERBASE", user.as_path())];
    let tiny = format!(
        "../../user/{}/tiny.py",
        packages.strip_prefix(&user).unwrap().display()
    );
    kind.is_built_anew_for(&["prices/target/goal.py", &tiny], &more)
        .await;
    assert_eq!(kind.answer().await, 88);
}

#[tokio::test]
async fn an_async_func_is_refused_before_the_tools_that_cannot_build_it() {
    let wit = |import: &str, how: &str| {
        format!(
            "package app:small@0.1.0;\n\ninterface api {{\n  wait: {how} func(ms: u32) -> u32;\n}}\n\nworld grain {{\n  {import}\n  export api;\n}}\n"
        )
    };
    for language in ["c", "zig", "go"] {
        let kind = Kind::new(language);
        let said = kind
            .write("wit/small.wit", &wit("", "async"))
            .run(&["build"], &[])
            .await
            .fails(1);
        assert!(
            said.contains("`api.wait: async func`") && said.contains("Rust, Python or TypeScript"),
            "{said}"
        );
    }
    let import = "include granary:grain/async-imports@0.1.0;";
    let kind = Kind::new("ts");
    let said = kind
        .write("wit/small.wit", &wit(import, ""))
        .run(&["build"], &[])
        .await
        .fails(1);
    assert!(
        said.contains("TypeScript can offer an async func but not use one")
            && said.contains("granary:grain/imports"),
        "{said}"
    );
}

#[tokio::test]
async fn rust_stops_at_wit_that_does_not_parse() {
    let kind = Kind::new("rust");
    kind.write("Cargo.toml", "no manifest: cargo is not even asked\n");
    for (wit, words) in [
        (WIT.replace("u32", "u33"), ["small.wit:4", "u33"]),
        (
            WIT.replace(
                "world grain {",
                "world grain {\n  import granary:grain/state@0.2.0;",
            ),
            ["small.wit:9", "this granary has granary:grain@0.1.0"],
        ),
    ] {
        let said = kind
            .write("wit/small.wit", &wit)
            .run(&["build", "-q"], &[])
            .await;
        let said = said.fails(1);
        assert!(words.iter().all(|words| said.contains(words)), "{said}");
    }
    // A folder with the WIT of others only says nothing: the interface may be derived from code.
    std::fs::remove_file(kind.folder().join("wit/small.wit")).unwrap();
    kind.write("wit/deps/other.wit", "package app:other@0.1.0;\n");
    let said = kind.run(&["build", "-q"], &[]).await.fails(1);
    assert!(said.contains("cargo build failed"), "{said}");
}

#[tokio::test]
async fn an_old_node_is_named_wherever_it_is_looked_for() {
    let kind = Kind::new("js");
    kind.write("grain.js", "")
        .write("bin/node", "#!/bin/sh\necho v12.22.9\n");
    let program = kind.folder().join("bin/node");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let system = std::env::var("PATH").unwrap();
    let path = PathBuf::from(format!("{}:{system}", kind.folder().join("bin").display()));
    let why = format!(
        "node 12.22.9 at {} does not do: Node.js 20 or later is needed",
        program.display()
    );
    let none = kind.place.path().join("toolchains");
    let more = [
        ("PATH", path.as_path()),
        (guests::TOOLCHAINS, none.as_path()),
    ];
    let calls: [(&[&str], i32); 4] = [
        (&["build"], 1),
        (&["toolchain", "doctor", "js"], 1),
        (&["toolchain", "install", "js"], 4),
        (&["toolchain", "list"], 0),
    ];
    for (call, code) in calls {
        let said = kind.run(call, &more).await;
        assert_eq!(said.code, code, "{}", said.err);
        let said = said.out + &said.err;
        assert!(said.contains(&why), "{said}");
    }
}
