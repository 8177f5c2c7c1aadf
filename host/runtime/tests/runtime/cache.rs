//! The cache of compiled components.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use granary_core::limits::Limits;

use crate::bench::{activate, config, digest, everything, linked, spec};
use granary_runtime::{CacheConfig, Runtime, RuntimeConfig};

/// A runtime whose cache lies there.
fn cached(dir: &Path, key: [u8; 32], bytes_max: Option<u64>) -> Arc<Runtime> {
    let dir = dir.to_owned();
    let cache = Some(CacheConfig {
        dir,
        key,
        bytes_max,
    });
    Runtime::new(RuntimeConfig { cache, ..config() }).unwrap()
}

async fn answer(dir: &Path, key: [u8; 32]) -> String {
    let runtime = cached(dir, key, None);
    let linked = linked(&runtime, &everything(), &spec(Limits::DEFAULT)).await;
    activate(&linked)
        .await
        .unwrap()
        .call("add", "[2,3]")
        .await
        .unwrap()
}

fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let engines: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let all = engines.iter().flat_map(|engine| {
        fs::read_dir(engine)
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().path())
    });
    all.filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect()
}

#[tokio::test]
async fn compiled_code_is_mapped_again_and_not_written_again() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(answer(dir.path(), [7; 32]).await, "5");
    let code = files(dir.path(), "cwasm");
    assert_eq!(
        (
            code.len(),
            files(dir.path(), "mac").len(),
            files(dir.path(), "tmp").len()
        ),
        (1, 1, 0)
    );
    let written = fs::metadata(&code[0]).unwrap().modified().unwrap();
    assert_eq!(answer(dir.path(), [7; 32]).await, "5");
    assert_eq!(fs::metadata(&code[0]).unwrap().modified().unwrap(), written);
}

#[tokio::test]
async fn changed_code_a_lost_mac_and_another_key_all_mean_compiling_again() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(answer(dir.path(), [7; 32]).await, "5");
    let code = files(dir.path(), "cwasm").remove(0);
    let mut changed = fs::read(&code).unwrap();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    fs::write(&code, &changed).unwrap();
    assert_eq!(answer(dir.path(), [7; 32]).await, "5");
    assert!(
        fs::read(&code).unwrap() != changed,
        "the changed code lies there still"
    );
    fs::remove_file(files(dir.path(), "mac").remove(0)).unwrap();
    assert_eq!(answer(dir.path(), [7; 32]).await, "5");
    let mac = fs::read(files(dir.path(), "mac").remove(0)).unwrap();
    assert_eq!(answer(dir.path(), [8; 32]).await, "5");
    assert!(fs::read(files(dir.path(), "mac").remove(0)).unwrap() != mac);
}

/// What a runtime that starts on this cache knows of the component without being given its bytes.
async fn known(dir: &Path, key: [u8; 32]) -> Option<String> {
    let runtime = cached(dir, key, None);
    let bytes = wat::parse_str(everything()).unwrap();
    let component = runtime.cached(digest(&bytes)).await?;
    assert_eq!(component.bytes_len, bytes.len() as u64);
    let linked = runtime.link(&component, &spec(Limits::DEFAULT)).unwrap();
    let grain = activate(&linked).await.unwrap();
    Some(grain.call("add", "[2,3]").await.unwrap())
}

#[tokio::test]
async fn a_compiled_component_runs_without_its_bytes() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(known(dir.path(), [7; 32]).await, None);
    assert_eq!(answer(dir.path(), [7; 32]).await, "5");
    assert_eq!(known(dir.path(), [7; 32]).await.as_deref(), Some("5"));
    assert_eq!(known(dir.path(), [8; 32]).await, None, "another node's key");
    // Neither half is of use without the other one, and each comes back.
    for extension in ["world", "mac", "cwasm"] {
        fs::remove_file(files(dir.path(), extension).remove(0)).unwrap();
        assert_eq!(known(dir.path(), [7; 32]).await, None, "no {extension}");
        assert_eq!(answer(dir.path(), [7; 32]).await, "5");
        assert_eq!(known(dir.path(), [7; 32]).await.as_deref(), Some("5"));
    }
    let world = files(dir.path(), "world").remove(0);
    let sound = fs::read(&world).unwrap();
    for at in [0, 32, 40, sound.len() - 1] {
        let mut changed = sound.clone();
        changed[at] ^= 1;
        fs::write(&world, &changed).unwrap();
        assert_eq!(known(dir.path(), [7; 32]).await, None, "byte {at}");
    }
    fs::write(&world, &sound[..20]).unwrap();
    assert_eq!(known(dir.path(), [7; 32]).await, None, "cut short");
    fs::write(&world, &sound).unwrap();
    assert_eq!(known(dir.path(), [7; 32]).await.as_deref(), Some("5"));
    let code = files(dir.path(), "cwasm").remove(0);
    fs::remove_file(&code).unwrap();
    fs::create_dir(&code).unwrap();
    assert_eq!(known(dir.path(), [7; 32]).await, None, "it cannot be read");
}

#[tokio::test]
async fn who_asks_for_a_component_that_is_being_mapped_waits_for_the_same_one() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(answer(dir.path(), [7; 32]).await, "5");
    let runtime = cached(dir.path(), [7; 32], None);
    let of = digest(&wat::parse_str(everything()).unwrap());
    let (one, other) = futures::future::join(runtime.cached(of), runtime.cached(of)).await;
    assert!(Arc::ptr_eq(&one.unwrap(), &other.unwrap()));
}

#[tokio::test]
async fn what_is_forgotten_is_gone_from_disk_and_what_runs_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a-file"), "").unwrap();
    let runtime = cached(dir.path(), [7; 32], None);
    let linked = linked(&runtime, &everything(), &spec(Limits::DEFAULT)).await;
    let grain = activate(&linked).await.unwrap();
    let of = digest(&wat::parse_str(everything()).unwrap());
    for _ in 0..2 {
        runtime.forget(of).await.unwrap();
        assert!(runtime.loaded(of).is_none());
        for extension in ["cwasm", "mac", "world"] {
            assert_eq!(files(dir.path(), extension), [] as [PathBuf; 0]);
        }
    }
    assert!(runtime.cached(of).await.is_none());
    assert_eq!(grain.call("add", "[2,3]").await.unwrap(), "5");
    drop((grain, linked, runtime));
    assert_eq!(answer(dir.path(), [7; 32]).await, "5");
}

#[tokio::test]
async fn what_an_older_engine_left_is_removed_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("sync-0123456789abcdef");
    let foreign = dir.path().join("precious");
    fs::create_dir_all(&old).unwrap();
    fs::create_dir_all(&foreign).unwrap();
    assert_eq!(answer(dir.path(), [7; 32]).await, "5");
    assert!(!old.exists());
    assert!(foreign.exists());
}

#[tokio::test]
async fn a_bounded_cache_keeps_what_was_used_last() {
    let dir = tempfile::tempdir().unwrap();
    let others = dir.path().join("sync-0123456789abcdef");
    fs::create_dir_all(&others).unwrap();
    let wats: Vec<_> = (0..3)
        .map(|n| {
            everything().replacen(
                "(component",
                &format!("(component (@custom \"n\" \"{n}\")"),
                1,
            )
        })
        .collect();
    let load = async |bytes_max, n: usize| {
        let runtime = cached(dir.path(), [7; 32], Some(bytes_max));
        crate::bench::load(&runtime, &wats[n]).await.unwrap();
    };
    let there = || {
        let stems = files(dir.path(), "cwasm").into_iter();
        let stems: Vec<_> = stems.map(|it| it.file_stem().unwrap().to_owned()).collect();
        let digests = wats.iter().map(|wat| digest(&wat::parse_str(wat).unwrap()));
        let there = digests.map(|it| stems.contains(&it.to_string().into()));
        there.collect::<Vec<_>>()
    };
    load(u64::MAX, 0).await;
    let one = fs::metadata(&files(dir.path(), "cwasm")[0]).unwrap().len();
    load(u64::MAX, 1).await;
    load(u64::MAX, 0).await;
    assert_eq!(there(), [true, true, false]);
    // There is room for two and a half.
    load(one * 5 / 2, 2).await;
    assert_eq!(there(), [true, false, true]);
    load(0, 1).await;
    assert_eq!(there(), [false, true, false], "the newest one stays");
    for extension in ["mac", "world"] {
        assert_eq!(files(dir.path(), extension).len(), 1, "{extension}");
    }
    assert!(others.exists(), "another version of the engine may use it");
}

#[tokio::test]
async fn requests_at_the_same_time_share_one_component() {
    let runtime = crate::bench::runtime();
    let wat = everything();
    let (one, other) = tokio::join!(
        crate::bench::load(&runtime, &wat),
        crate::bench::load(&runtime, &wat)
    );
    assert!(Arc::ptr_eq(&one.unwrap(), &other.unwrap()));
}
