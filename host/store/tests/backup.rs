//! Export and import: what went out comes back, and a bad file changes nothing.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on ends in a panic"
)]

use std::collections::BTreeMap;
use std::io::Cursor;

use granary_core::id::{CallId, Digest, GrainId, KindName, Revision};
use granary_core::kind::{KindRecord, KindSpec, RevisionRecord, Rollout};
use granary_store::transfer::{Existing, ExportOptions, Imported, TransferError, export, import};
use granary_store::{Commit, Memory, PageSize, ReplyRecord, SendRecord, Store};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

const ALL: PageSize = PageSize {
    entries: 1000,
    bytes: 1 << 24,
};

fn grain(text: &str) -> GrainId {
    GrainId::parse(text).unwrap()
}

async fn put(store: &dyn Store, id: &str, entries: &[(&str, &[u8])], replies: &[&str]) {
    let id = grain(id);
    let epoch = store.load(&id).await.unwrap().epoch;
    let turn = Commit {
        grain: id.clone(),
        epoch,
        revision: Revision(1),
        now_ms: 50,
        writes: BTreeMap::new(),
        sends: Vec::new(),
        reply: None,
        settles: None,
    };
    let writes = entries
        .iter()
        .map(|(key, value)| ((*key).to_owned(), Some(value.to_vec())))
        .collect();
    store
        .commit(Commit {
            writes,
            ..turn.clone()
        })
        .await
        .unwrap();
    for key in replies {
        let reply = ReplyRecord {
            key: (*key).to_owned(),
            fingerprint: u64::MAX,
            answer: b"{}".to_vec(),
            expires_at_ms: 1000,
        };
        store
            .commit(Commit {
                reply: Some(reply),
                ..turn.clone()
            })
            .await
            .unwrap();
    }
}

fn send(id: u128, target: &str) -> SendRecord {
    SendRecord {
        id: CallId(id),
        from: Some(grain("cart/7")),
        target: grain(target),
        method: "take".to_owned(),
        arguments: b"[1]".to_vec(),
        baggage: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        principal: None,
        idempotency_key: Some("k".to_owned()),
        due_at_ms: u64::MAX,
        sent_at_ms: 7,
        attempts: 3,
        keep_result: false,
        given_up: Some(b"why".to_vec()),
    }
}

/// A store with a bit of everything.
async fn full_store() -> Memory {
    let store = Memory::new();
    let component = b"\0asm component".to_vec();
    let digest = Digest(Sha256::digest(&component).into());
    store.put_artifact(digest, component).await.unwrap();
    let name = KindName::parse("cart").unwrap();
    let revision = RevisionRecord {
        revision: Revision(1),
        component: digest,
        spec: KindSpec::bare(name.clone()),
        deployed_at_ms: 5,
        verdict: "first".to_owned(),
    };
    let kind = KindRecord {
        name,
        current: Revision(1),
        before: None,
        rollout: Rollout::Done,
        revisions: vec![revision],
    };
    store.put_kind(None, kind).await.unwrap();
    for at in 0..100 {
        put(
            &store,
            &format!("cart/{at}"),
            &[("n", &[at]), ("\u{0}ü", b"")],
            &["order-1", "order-2"],
        )
        .await;
    }
    put(&store, "mail/box", &[("long", &vec![9; 100_000])], &[]).await;
    store.put_send(send(1, "mail/box")).await.unwrap();
    store.put_send(send(2, "cart/7")).await.unwrap();
    store
}

async fn exported(store: &dyn Store, options: ExportOptions) -> Vec<u8> {
    let mut file = Vec::new();
    let done = export(store, &options, &mut file).await.unwrap();
    assert_eq!(done.bytes, file.len() as u64);
    file
}

fn with_catalogue() -> ExportOptions {
    ExportOptions {
        catalogue: true,
        now_ms: 100,
        kind: None,
    }
}

async fn imported(
    store: &dyn Store,
    file: &[u8],
    existing: Existing,
) -> Result<Imported, TransferError> {
    import(store, &mut Cursor::new(file), existing).await
}

async fn is_empty(store: &dyn Store) -> bool {
    let nothing = store.grains(None, None, 1).await.unwrap().items.is_empty();
    nothing
        && store.kinds().await.unwrap().is_empty()
        && store.artifacts().await.unwrap().is_empty()
}

/// The lines of a store, but for what an import does not keep: a state's version, and the end that hashes it.
async fn lines_without_versions(store: &dyn Store) -> Vec<serde_json::Value> {
    let file = exported(store, with_catalogue()).await;
    let lines = file
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    let mut lines: Vec<serde_json::Value> = lines
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    lines.pop();
    for line in &mut lines {
        if let Some(head) = line.pointer_mut("/grain/head/version") {
            *head = serde_json::Value::Null;
        }
    }
    lines
}

#[tokio::test]
async fn what_went_out_comes_back() {
    let store = full_store().await;
    let file = exported(&store, with_catalogue()).await;
    let copy = Memory::new();
    let done = imported(&copy, &file, Existing::Refuse).await.unwrap();
    assert_eq!(
        done,
        Imported {
            grains: 101,
            sends: 2,
            kinds: 1,
            artifacts: 1,
            skipped: 0
        }
    );
    assert_eq!(
        lines_without_versions(&copy).await,
        lines_without_versions(&store).await
    );
    assert_eq!(
        copy.send(CallId(1)).await.unwrap(),
        Some(send(1, "mail/box"))
    );
}

#[tokio::test]
async fn one_kind_is_exported_alone() {
    let store = full_store().await;
    let kind = KindName::parse("mail").ok();
    let file = exported(
        &store,
        ExportOptions {
            kind,
            ..with_catalogue()
        },
    )
    .await;
    let copy = Memory::new();
    let done = imported(&copy, &file, Existing::Refuse).await.unwrap();
    assert_eq!(
        done,
        Imported {
            grains: 1,
            sends: 1,
            ..Imported::default()
        }
    );
}

#[tokio::test]
async fn what_exists_is_refused_replaced_or_left() {
    let file = exported(&full_store().await, with_catalogue()).await;
    let prepared = async || {
        let store = Memory::new();
        put(
            &store,
            "cart/7",
            &[("n", b"old"), ("extra", b"old")],
            &["order-0"],
        )
        .await;
        store
    };
    let store = prepared().await;
    let refused = imported(&store, &file, Existing::Refuse).await.unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("grain cart/7 is already in the store"),
        "{refused}"
    );
    assert_eq!(
        store.grains(None, None, 9).await.unwrap().items.len(),
        1,
        "nothing was imported"
    );

    let store = prepared().await;
    let active = store.load(&grain("cart/7")).await.unwrap().epoch;
    imported(&store, &file, Existing::Replace).await.unwrap();
    let state = store
        .list(&grain("cart/7"), "", None, ALL)
        .await
        .unwrap()
        .items;
    assert_eq!(
        state,
        [("\u{0}ü".to_owned(), Vec::new()), ("n".to_owned(), vec![7])]
    );
    assert_eq!(
        store.reply(&grain("cart/7"), "order-0", 1).await.unwrap(),
        None
    );
    assert!(
        store
            .reply(&grain("cart/7"), "order-1", 1)
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        store.purge(&grain("cart/7"), active).await.is_err(),
        "the activation was fenced"
    );

    let store = prepared().await;
    let done = imported(&store, &file, Existing::Skip).await.unwrap();
    assert_eq!((done.grains, done.skipped), (100, 1));
    assert_eq!(
        store.read(&grain("cart/7"), "n").await.unwrap(),
        Some(b"old".to_vec())
    );
}

#[tokio::test]
async fn a_file_that_is_cut_off_anywhere_changes_nothing() {
    let store = full_store().await;
    let kind = KindName::parse("mail").ok();
    let file = exported(
        &store,
        ExportOptions {
            kind,
            catalogue: false,
            now_ms: 0,
        },
    )
    .await;
    for length in (0..file.len())
        .step_by(997)
        .chain(file.len() - 300..file.len())
    {
        let copy = Memory::new();
        let error = imported(&copy, &file[..length], Existing::Replace)
            .await
            .unwrap_err();
        let expected = matches!(
            error,
            TransferError::Truncated { .. } | TransferError::NotAnExport { .. }
        );
        assert!(
            expected && is_empty(&copy).await,
            "cut at {length}: {error:?}"
        );
    }
}

#[tokio::test]
async fn bad_files_are_named_by_line_and_change_nothing() {
    let file = String::from_utf8(exported(&full_store().await, with_catalogue()).await).unwrap();
    let replaced = |from: &str, to: &str| {
        assert!(file.contains(from), "{from}");
        file.replacen(from, to, 1)
    };
    let cases = [
        ("PK\u{3}\u{4}".to_owned(), "not an export of Granary"),
        (String::new(), "it is empty"),
        (
            replaced("\"format\":1", "\"format\":2"),
            "format 2; this program reads up to 1",
        ),
        (
            replaced("{\"kind\":", "{\"sort\":"),
            "line 3: unknown variant `sort`",
        ),
        (
            replaced("AGFzbSBj", "AGFzbSBk"),
            "line 2: the bytes of component",
        ),
        (
            replaced("\"value\":\"", "\"value\":\"*"),
            "line 5: no base64",
        ),
        (
            replaced("\"entries\":2", "\"entries\":3"),
            "cart/0 should have 3 entries",
        ),
        (
            replaced("\"key\":\"1\"", "\"key\":\"0\""),
            "grain cart/0 is out of order",
        ),
        (
            replaced("\"kind\":\"cart\"", "\"kind\":\"Cart\""),
            "a kind is made of a-z",
        ),
        (
            replaced("\"value\":\"Bw==\"", "\"value\":\"CA==\""),
            "its checksum does not match",
        ),
        (
            replaced("\"attempts\":3", "\"attempts\":3,\"more\":1"),
            "unknown field `more`",
        ),
        (format!("{file}{{}}\n"), "something follows the end"),
    ];
    for (file, expected) in cases {
        let copy = Memory::new();
        let error = imported(&copy, file.as_bytes(), Existing::Replace)
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains(expected),
            "{error} instead of {expected}"
        );
        assert!(is_empty(&copy).await, "{expected}");
    }
}

proptest! {
    #[test]
    fn arbitrary_files_never_panic_and_change_nothing(bytes: Vec<u8>, at: prop::sample::Index) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = Memory::new();
            put(&store, "cart/7", &[("n", b"1")], &["order-1"]).await;
            let mut file = exported(&store, ExportOptions::default()).await;
            let at = at.index(file.len());
            let changed = bytes.first().is_some_and(|byte| file[at] != *byte);
            file.splice(at..=at, bytes);
            let copy = Memory::new();
            let imported = imported(&copy, &file, Existing::Refuse).await;
            assert!(!changed || imported.is_err());
            assert!(imported.is_ok() || is_empty(&copy).await);
        });
    }
}
