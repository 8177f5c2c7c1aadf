use super::*;
use proptest::prelude::*;

fn read(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::read(
        &Document::new("node.toml", text),
        Path::new("/etc/granary"),
        environment,
    )
    .map_err(|e| e.to_string())
}

fn wrong(text: &str, environment: &[(&str, &str)]) -> String {
    read(text, environment).expect_err("wrong")
}

#[test]
fn an_empty_file_gives_every_default() {
    let config = read("", &[]).unwrap();
    assert_eq!(config.file.http.listen.to_string(), "127.0.0.1:7420");
    assert_eq!(config.file.store.path, Path::new("/etc/granary/.granary"));
    assert!(
        config
            .explain()
            .iter()
            .all(|key| key.origin == Origin::Default && !key.doc.is_empty())
    );
}

#[test]
fn each_value_knows_where_it_comes_from() {
    let text = "[http]\nlisten = \"127.0.0.1:1\"\n[engine]\nslots = 7\n[log]\nfilter = \"warn\"\n";
    let config = read(
        text,
        &[
            ("GRANARY_ENGINE__SLOTS", "9"),
            ("GRANARY_NODE__NAME", "7"),
            ("HOME", "/"),
            ("GRANARY_URL", "x"),
        ],
    )
    .unwrap();
    assert_eq!(config.file.engine.slots, Some(9));
    assert_eq!(config.file.node.name.as_deref(), Some("7"));
    let origins: Vec<(String, String)> = config
        .explain()
        .into_iter()
        .filter(|key| key.origin != Origin::Default)
        .map(|key| (key.key, key.origin.to_string()))
        .collect();
    let expected = [
        ("node.name", "GRANARY_NODE__NAME"),
        ("http.listen", "node.toml:2"),
        ("engine.slots", "GRANARY_ENGINE__SLOTS"),
        ("log.filter", "node.toml:6"),
    ];
    assert_eq!(
        origins,
        expected.map(|(key, origin)| (key.to_owned(), origin.to_owned()))
    );
}

#[test]
fn every_wrong_value_names_its_place() {
    let cases = [
        (
            wrong("[htp]\n", &[]),
            "node.toml:1:2: htp: unknown key; did you mean 'http'?",
        ),
        (
            wrong("[http]\nlisten = \"here\"", &[]),
            "node.toml:2:10: http.listen: 'here' is no address; write an address and a port, such as \"127.0.0.1:7420\" or \"[::1]:7420\"",
        ),
        (
            wrong("[http]\nlisten = \"0.0.0.0:80\"", &[]),
            "node.toml:2:10: http.listen: 0.0.0.0:80 can be reached from other machines, but 'auth.tokens' names no token; add one, or say auth.mode = \"off-for-everyone\"",
        ),
        (
            wrong("[tls]\nkey = \"k\"", &[]),
            "node.toml:2:7: tls.key: needs 'tls.certificate' too",
        ),
        (
            wrong(
                "[auth]\ntokens = [{ principal = \"a\", token = \"short\" }]",
                &[],
            ),
            "node.toml:2:38: auth.tokens[0].token: is shorter than 16 bytes; a good one is `openssl rand -hex 32`",
        ),
        (
            wrong("[engine]\nslots = -1", &[]),
            "node.toml:2:9: engine.slots: invalid value: integer `-1`, expected u32",
        ),
        (
            wrong("", &[("GRANARY_HTTP__LISTN", "x")]),
            "GRANARY_HTTP__LISTN: unknown setting; did you mean GRANARY_HTTP__LISTEN?",
        ),
        (
            wrong("", &[("GRANARY_ENGINE__SLOTS", "many")]),
            "GRANARY_ENGINE__SLOTS: engine.slots: invalid type: string \"many\", expected u32",
        ),
        (
            wrong("", &[("GRANARY_ENGINE__SLOTS", "0")]),
            "GRANARY_ENGINE__SLOTS: engine.slots: must be at least 1",
        ),
        (
            wrong("", &[("GRANARY_STORE__ENGINE", "redb")]),
            "GRANARY_STORE__ENGINE: store.engine: unknown variant `redb`, expected `sled` or `memory`",
        ),
    ];
    for (actual, expected) in cases {
        assert_eq!(actual, expected);
    }
}

#[test]
fn tokens_are_never_shown() {
    let config = read(
        "[auth]\ntokens = [{ principal = \"a\", token = \"0123456789abcdef\" }]",
        &[],
    )
    .unwrap();
    let shown = config
        .explain()
        .into_iter()
        .find(|key| key.key == "auth.tokens")
        .unwrap();
    assert_eq!(
        shown.value,
        serde_json::json!([{ "principal": "a", "token": "…" }])
    );
}

#[test]
fn a_wider_listener_needs_a_token_or_so_many_words() {
    let open = "[http]\nlisten = \"0.0.0.0:80\"\n[auth]\n";
    assert!(read(&format!("{open}mode = \"off-for-everyone\""), &[]).is_ok());
    assert!(
        read(
            &format!("{open}tokens = [{{ principal = \"a\", token = \"0123456789abcdef\" }}]"),
            &[]
        )
        .is_ok()
    );
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "(\\[(http|engine|auth|store)\\]\n)?([a-z=\\[\\]\\{\\}\"., \n0-9é-]|listen|slots|tokens|mode){0,40}", name in "GRANARY_[A-Z_]{0,20}", value in "\\PC{0,20}") {
        let document = Document::new("f", text);
        if let Err(problems) = Config::read(&document, Path::new("."), []) {
            prop_assert!(problems.0.iter().all(|p| p.position.is_some()));
        }
        drop(Config::read(&document, Path::new("."), [(name, value)]));
    }
}
