//! What of WIT a language's tools build: a small project each, from its template.

use std::path::Path;

use serde_json::json;

use super::Language;
use crate::harness::{Cli, Node, guests};

/// The line of the table.
pub(super) const ASYNC: &str = "`async func`";

const WIT: &str = "package app:twice@0.1.0;\n\ninterface api {\n  double: async func(n: u32) -> u32;\n}\n\nworld grain {\n  export api;\n}\n";

/// The name that the command line has for a language, with the source that implements [`WIT`] where there is a way to.
fn source(language: Language) -> (&'static str, Option<(&'static str, &'static str)>) {
    match language.name {
        "Rust" => (
            "rust",
            Some((
                "src/lib.rs",
                "wit_bindgen::generate!({ path: \"wit\", world: \"grain\", generate_all });\n\nstruct Grain;\n\nimpl exports::app::twice::api::Guest for Grain {\n    async fn double(n: u32) -> u32 {\n        n * 2\n    }\n}\n\nexport!(Grain);\n",
            )),
        ),
        "TypeScript" => (
            "ts",
            Some((
                "grain.ts",
                "export const api = { double: async (n: number) => n * 2 };\n",
            )),
        ),
        "Python" => (
            "python",
            Some((
                "app.py",
                "from wit_world import exports\n\n\nclass Api(exports.Api):\n    async def double(self, n: int) -> int:\n        return n * 2\n",
            )),
        ),
        "C" => ("c", None),
        "Zig" => ("zig", None),
        "Go" => ("go", None),
        other => panic!("nobody has said how {other} is built"),
    }
}

/// Builds a component with an `async func` and calls it.
pub(super) async fn has_async_func(node: &Node, language: Language) -> Result<(), String> {
    guests::toolchains();
    let (name, source) = source(language);
    let place = tempfile::tempdir().unwrap();
    let new = ["new", "twice", "--lang", name];
    Cli::run(place.path(), None, &new).await.ok();
    let folder = place.path().join("twice");
    let write = |file: &str, text: &str| std::fs::write(folder.join(file), text).unwrap();
    write("wit/twice.wit", WIT);
    write(
        "granary.toml",
        &format!("[kinds.twice-{name}]\nbuild = \".\"\nlanguage = \"{name}\"\n"),
    );
    if let Some((file, text)) = source {
        write(file, text);
    }
    let target = guests::cargo_target();
    let more: [(&str, &Path); 1] = [("CARGO_TARGET_DIR", &target)];
    let deployed = Cli::run_with(&folder, Some(node), &["deploy"], &more).await;
    if deployed.code != 0 {
        return Err(deployed.err);
    }
    let grain = format!("twice-{name}/a");
    let answer = node.client().call(&grain, "double", json!([21])).await;
    if answer.status != 200 {
        return Err(answer.to_string());
    }
    assert_eq!(answer.ok(), 42);
    Ok(())
}
