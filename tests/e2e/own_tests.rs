//! The unit tests of a project's own, as `granary test` runs them.

use std::path::Path;

use crate::harness::{Cli, guests};

/// A kind in Python whose interface is called like it, with a unit test.
fn kind(project: &Path, name: &str, class: &str) {
    let folder = project.join(name);
    let write = |file: &str, text: String| {
        let file = folder.join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    };
    write(
        "wit/world.wit",
        format!(
            "package app:{name}@0.1.0;\ninterface {name} {{ name: func() -> string; }}\nworld grain {{ include granary:grain/imports@0.1.0; export {name}; }}\n"
        ),
    );
    write(
        "app.py",
        format!(
            "from wit_world import exports\n\n\nclass {class}(exports.{class}):\n    def name(self) -> str:\n        return '{name}'\n"
        ),
    );
    write(
        &format!("test_{name}.py"),
        format!(
            "import unittest\n\nfrom granary import testing\n\nimport app\n\n\nclass T(unittest.TestCase):\n    def test_its_name(self):\n        with testing.Host():\n            self.assertEqual(app.{class}().name(), '{name}')\n"
        ),
    );
}

#[tokio::test]
async fn unit_tests_of_several_kinds_in_python_find_the_bindings_of_their_own() {
    guests::toolchains();
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path();
    kind(project, "cart", "Cart");
    kind(project, "shop", "Shop");
    let test = async |command: &str| {
        let kinds = ["cart", "shop"]
            .map(|name| format!("[kinds.{name}]\nbuild = \"{name}\"\nlanguage = \"python\"\n"));
        let manifest = format!("[test]\ncommand = \"{command}\"\n\n{}", kinds.concat());
        std::fs::write(project.join("granary.toml"), manifest).unwrap();
        Cli::run(project, None, &["test"]).await
    };
    let run = "python3 -m unittest discover -s";
    let said = test(&format!("{run} cart && {run} shop")).await.ok();
    assert!(said.contains("1 passed, 0 failed"), "{said}");
    // A module that belongs to none of them.
    let failed = test("python3 -c 'from granary import testing; import wit_world'").await;
    assert!(
        failed.out.contains("wit_world of which kind?") && failed.out.contains("cart, shop"),
        "{}",
        failed.out
    );
    failed.fails(1);
}
