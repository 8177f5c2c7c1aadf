//! Imports and grants.

use std::collections::BTreeMap;

use granary_core::kind::{DirectoryGrant, Grants, HttpGrant, KindSpec};
use granary_core::limits::Limits;

use crate::bench::{activate, everything, load, runtime, spec};
use granary_runtime::LinkError;

/// Imports what every program of Rust's standard library imports, and `wasi:config`.
const CONFIG: &str = r#"(component
    (import "wasi:config/store@0.2.0-rc.1" (instance
        (type $e' (variant (case "upstream" string) (case "io" string)))
        (export "error" (type $e (eq $e')))
        (export "get" (func (param "key" string) (result (result (option string) (error $e)))))))
    (core module $m (func (export "f")))
    (core instance $i (instantiate $m))
    (func $f (canon lift (core func $i "f")))
    (instance $api (export "f" (func $f)))
    (export "t:t/api" (instance $api)))"#;

fn with_grants(grants: Grants) -> KindSpec {
    KindSpec {
        grants,
        ..spec(Limits::DEFAULT)
    }
}

#[tokio::test]
async fn wasi_config_is_only_there_by_grant_and_the_error_shows_the_lines() {
    let runtime = runtime();
    let component = load(&runtime, CONFIG).await.unwrap();
    let error = runtime
        .link(&component, &spec(Limits::DEFAULT))
        .unwrap_err();
    let LinkError::Ungranted { import, grant } = error else {
        panic!("{error}")
    };
    assert!(
        import.starts_with("wasi:config/store") && grant.contains("config = {"),
        "{import}: {grant}"
    );
    let granted = with_grants(Grants {
        config: Some(BTreeMap::new()),
        ..Grants::default()
    });
    let linked = runtime.link(&component, &granted).unwrap();
    assert_eq!(
        activate(&linked)
            .await
            .unwrap()
            .call("f", "")
            .await
            .unwrap(),
        ""
    );
}

#[tokio::test]
async fn a_directory_must_exist_and_lie_within_the_grants_root() {
    let runtime = runtime();
    let component = load(&runtime, &everything()).await.unwrap();
    let inside = tempfile::tempdir().unwrap();
    let name = inside
        .path()
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    let link = |host: &str, guest: &str| {
        let directory = DirectoryGrant {
            host: host.to_owned(),
            guest: guest.to_owned(),
            writable: false,
        };
        runtime.link(
            &component,
            &with_grants(Grants {
                directories: vec![directory],
                ..Grants::default()
            }),
        )
    };
    let linked = link(&name, "/data").unwrap();
    assert!(activate(&linked).await.is_ok());
    for (host, guest, why) in [
        (name.as_str(), "data", "absolute"),
        ("no-such-directory", "/data", "o such file"),
        ("/etc", "/data", "outside"),
        ("..", "/data", "outside"),
    ] {
        let error = link(host, guest).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[tokio::test]
async fn a_bad_http_rule_and_too_little_memory_are_found_when_linking() {
    let runtime = runtime();
    let component = load(&runtime, &everything()).await.unwrap();
    let rule = HttpGrant {
        scheme: None,
        host: "http://x".to_owned(),
        port: None,
        methods: Vec::new(),
        private: false,
    };
    let error = runtime
        .link(
            &component,
            &with_grants(Grants {
                http: vec![rule],
                ..Grants::default()
            }),
        )
        .unwrap_err();
    assert!(matches!(error, LinkError::Http { .. }), "{error}");
    let big = crate::bench::guest("(memory 64) (func (export \"f\"))", &[("f", "")]);
    let component = load(&runtime, &big).await.unwrap();
    let error = runtime
        .link(
            &component,
            &spec(Limits {
                memory: 1 << 20,
                ..Limits::DEFAULT
            }),
        )
        .unwrap_err();
    assert!(
        matches!(
            error,
            LinkError::Limit {
                limit: "memory",
                ..
            }
        ),
        "{error}"
    );
}
