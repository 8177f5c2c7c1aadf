//! Futures of a type of the guest's own, whose memory is not what the type says.

use granary_core::error::CallError;
use granary_core::limits::Limits;

use crate::bench::{grain, runtime};

/// `give` puts an item at 64 (the number 7, a list at `list` of `count` elements, case `case` of an option) and writes the future from `at`.
const GIVER: &str = r#"(component
    (core module $libc (memory (export "memory") 1))
    (core instance $libc (instantiate $libc))
    (alias core export $libc "memory" (core memory $memory))
    (type $item (tuple u64 (list u32) (option u8)))
    (type $future (future $item))
    (core func $new (canon future.new $future))
    (core func $write (canon future.write $future async (memory $memory)))
    (core module $m
        (import "libc" "memory" (memory 1))
        (import "future" "new" (func $new (result i64)))
        (import "future" "write" (func $write (param i32 i32) (result i32)))
        (func (export "give") (param $at i32) (param $list i32) (param $count i32) (param $case i32) (result i32) (local $ends i64)
            (i64.store (i32.const 64) (i64.const 7))
            (i32.store (i32.const 72) (local.get $list))
            (i32.store (i32.const 76) (local.get $count))
            (i32.store8 (i32.const 80) (local.get $case))
            (i32.store (i32.const 1024) (i32.const 11))
            (i32.store (i32.const 1028) (i32.const 12))
            (local.set $ends (call $new))
            (drop (call $write (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))) (local.get $at)))
            (i32.wrap_i64 (local.get $ends))))
    (core instance $i (instantiate $m
        (with "libc" (instance $libc))
        (with "future" (instance (export "new" (func $new)) (export "write" (func $write))))))
    (func $give (param "at" u32) (param "list" u32) (param "count" u32) (param "case" u8) (result (future $item))
        (canon lift (core func $i "give")))
    (instance $api (export "give" (func $give)))
    (export "t:t/api" (instance $api)))"#;

async fn give(arguments: &str) -> Result<String, CallError> {
    let giver = grain(&runtime(), GIVER, Limits::DEFAULT).await;
    giver.call("give", arguments).await
}

#[tokio::test]
async fn an_item_is_read_where_the_guest_says() {
    assert_eq!(give("[64, 1024, 2, 1]").await.unwrap(), "[7,[11,12],0]");
    // An empty list may point anywhere that is aligned.
    let empty = give("[64, 0, 0, 0]").await.unwrap();
    assert_eq!(empty, "[7,[],null]");
}

#[tokio::test]
async fn memory_that_does_not_fit_its_type_is_a_trap() {
    for (arguments, why) in [
        ("[65, 1024, 2, 1]", "not aligned"),
        ("[65520, 1024, 2, 1]", "out of bounds"),
        ("[4294967288, 1024, 2, 1]", "out of bounds"),
        ("[64, 1025, 1, 1]", "not aligned"),
        ("[64, 65532, 2, 1]", "outside of the memory"),
        ("[64, 4294967292, 1, 1]", "outside of the memory"),
        ("[64, 1024, 4294967295, 1]", "outside of the memory"),
        ("[64, 1024, 2, 2]", "names case 2"),
    ] {
        let error = give(arguments).await.unwrap_err();
        assert!(
            matches!(error, CallError::GuestTrap { .. }),
            "{arguments}: {error:?}"
        );
        assert!(error.to_string().contains(why), "{arguments}: {error}");
    }
}

#[tokio::test]
async fn what_is_read_costs_of_what_a_guest_may_hand_over() {
    let limits = Limits {
        host_memory: 1 << 16,
        state_value: 1 << 15,
        ..Limits::DEFAULT
    };
    let giver = grain(&runtime(), GIVER, limits).await;
    assert!(giver.call("give", "[64, 1024, 1000, 0]").await.is_ok());
    let giver = grain(&runtime(), GIVER, limits).await;
    let error = giver
        .call("give", "[64, 1024, 16000, 0]")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("host-memory"), "{error}");
}
