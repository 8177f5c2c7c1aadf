//! What a turn sees and leaves.

use std::sync::atomic::Ordering;

use granary_core::kind::Mode;
use granary_core::limits::Limits;

use crate::bench::{Grain, grain, runtime};

/// Has one key, `k`: `put` writes the byte given, `look` reads it (-1: absent, -2: error), `drop` removes it, and `version`.
const KEEPER: &str = r#"(component
    (import "granary:grain/state@0.1.0" (instance $state
        (type $c' (enum "bad-key" "too-large" "read-only" "unavailable"))
        (export "state-error-code" (type $c (eq $c')))
        (type $e' (record (field "code" $c) (field "text" string)))
        (export "state-error" (type $e (eq $e')))
        (export "get" (func (param "key" string) (result (result (option (list u8)) (error $e)))))
        (export "set" (func (param "key" string) (param "value" (list u8)) (result (result (error $e)))))
        (export "delete" (func (param "key" string) (result (result (error $e)))))
        (export "version" (func (result u64)))))
    (core module $libc
        (memory (export "memory") 1)
        (global $next (mut i32) (i32.const 4096))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local i32)
            (local.set 4 (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
            (global.set $next (i32.add (local.get 4) (local.get 3)))
            (local.get 4)))
    (core instance $libc (instantiate $libc))
    (alias core export $libc "memory" (core memory $memory))
    (alias core export $libc "realloc" (core func $realloc))
    (core func $get (canon lower (func $state "get") (memory $memory) (realloc $realloc)))
    (core func $set (canon lower (func $state "set") (memory $memory) (realloc $realloc)))
    (core func $delete (canon lower (func $state "delete") (memory $memory) (realloc $realloc)))
    (core func $version (canon lower (func $state "version")))
    (core module $m
        (import "libc" "memory" (memory 1))
        (import "state" "get" (func $get (param i32 i32 i32)))
        (import "state" "set" (func $set (param i32 i32 i32 i32 i32)))
        (import "state" "delete" (func $delete (param i32 i32 i32)))
        (import "state" "version" (func $version (result i64)))
        (data (i32.const 0) "k")
        ;; 0: done, 1 + code: refused
        (func $answer (result i32)
            (if (result i32) (i32.load8_u (i32.const 64)) (then (i32.add (i32.load8_u (i32.const 68)) (i32.const 1))) (else (i32.const 0))))
        (func (export "put") (param i32) (result i32)
            (i32.store8 (i32.const 8) (local.get 0))
            (call $set (i32.const 0) (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 64))
            (call $answer))
        (func (export "drop") (result i32) (call $delete (i32.const 0) (i32.const 1) (i32.const 64)) (call $answer))
        (func $look (export "look") (result i32)
            (call $get (i32.const 0) (i32.const 1) (i32.const 64))
            (if (result i32) (i32.load8_u (i32.const 64))
                (then (i32.const -2))
                (else (if (result i32) (i32.load8_u (i32.const 68))
                    (then (i32.load8_u (i32.load (i32.const 72))))
                    (else (i32.const -1))))))
        (func (export "put-and-look") (param i32) (result i32)
            (i32.store8 (i32.const 8) (local.get 0))
            (call $set (i32.const 0) (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 64))
            (call $look))
        (func (export "version") (result i64) (call $version)))
    (core instance $i (instantiate $m
        (with "libc" (instance $libc))
        (with "state" (instance
            (export "get" (func $get)) (export "set" (func $set)) (export "delete" (func $delete)) (export "version" (func $version))))))
    (func $put (param "byte" u8) (result u32) (canon lift (core func $i "put")))
    (func $put-and-look (param "byte" u8) (result s32) (canon lift (core func $i "put-and-look")))
    (func $drop (result u32) (canon lift (core func $i "drop")))
    (func $look (result s32) (canon lift (core func $i "look")))
    (func $version (result u64) (canon lift (core func $i "version")))
    (instance $api (export "put" (func $put)) (export "put-and-look" (func $put-and-look)) (export "drop" (func $drop))
        (export "look" (func $look)) (export "version" (func $version)))
    (export "t:t/api" (instance $api)))"#;

async fn keeper() -> Grain {
    grain(&runtime(), KEEPER, Limits::DEFAULT).await
}

#[tokio::test]
async fn a_turn_reads_what_is_committed_and_its_own_writes() {
    let grain = keeper().await;
    assert_eq!(grain.call("look", "").await.unwrap(), "-1");
    grain.node.state.lock().insert("k".to_owned(), vec![5]);
    assert_eq!(grain.call("look", "").await.unwrap(), "5");
    assert_eq!(grain.call("put-and-look", "[9]").await.unwrap(), "9");
    assert_eq!(grain.call("version", "").await.unwrap(), "4");
    // Nothing was committed: that is the node's business.
    assert_eq!(grain.call("look", "").await.unwrap(), "5");
}

#[tokio::test]
async fn a_read_that_waits_for_the_store_works_like_one_that_does_not() {
    let grain = keeper().await;
    grain.node.slow.store(true, Ordering::Relaxed);
    grain.node.state.lock().insert("k".to_owned(), vec![5]);
    assert_eq!(grain.call("look", "").await.unwrap(), "5");
    assert_eq!(grain.call("put-and-look", "[6]").await.unwrap(), "6");
}

#[tokio::test]
async fn writes_come_back_as_wishes() {
    let grain = keeper().await;
    let ended = grain.turn(Mode::Exclusive, "put", "[7]").await;
    assert_eq!(
        (ended.wishes.writes().len(), ended.wishes.written("k")),
        (1, Some(Some(&[7][..])))
    );
    assert_eq!(ended.wishes.state_bytes(), 2);
    let ended = grain.turn(Mode::Exclusive, "drop", "").await;
    assert_eq!(ended.wishes.written("k"), Some(None));
}

#[tokio::test]
async fn a_read_turn_may_not_write() {
    let grain = keeper().await;
    let ended = grain.turn(Mode::Read, "put", "[7]").await;
    assert!(ended.wishes.is_empty());
    assert_eq!(grain.json("put", ended).unwrap(), "3");
}
