//! JSON ↔ WIT for every type, through a guest that answers its argument.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, Node};

async fn there_and_back(client: &Client, method: &str, value: Value) -> Value {
    client.call("echo/a", method, json!([value])).await.ok()
}

#[tokio::test]
async fn every_type_goes_there_and_back() {
    let node = Node::serving(&["echo"]).await;
    let inner = json!({ "id": 7, "tag": null });
    let tagged = json!({ "id": 7, "tag": "x" });
    let outer = json!({
        "first-name": "Ada", "inner": inner, "more": [tagged, inner], "pair": [tagged, "dark-green"], "maybe": { "some": inner },
    });
    let cases = [
        ("boolean", json!(true)),
        ("unsigned8", json!(255)),
        ("unsigned16", json!(65_535)),
        ("unsigned32", json!(4_294_967_295_u32)),
        ("signed8", json!(-128)),
        ("signed16", json!(-32_768)),
        ("signed32", json!(-2_147_483_648)),
        ("float32", json!(1.5)),
        ("float64", json!(-0.1)),
        ("character", json!("ü")),
        ("echo.text", json!("\"\\\n\u{1F600}")),
        ("bytes", json!("AP8=")),
        ("numbers", json!([1, -1])),
        ("texts", json!(["", "a"])),
        ("lists", json!([[], [1, 2]])),
        ("triple", json!([1, "b", false])),
        ("maybe", json!(null)),
        ("maybe", json!(3)),
        ("maybe-maybe", json!(null)),
        ("maybe-maybe", json!({ "some": null })),
        ("maybe-maybe", json!({ "some": 3 })),
        ("maybe-thrice", json!({ "some": { "some": "x" } })),
        ("maybe-thrice", json!({ "some": { "some": null } })),
        ("a-record", outer),
        ("a-variant", json!("nothing")),
        ("a-variant", json!({ "circle": 1.5 })),
        ("a-variant", json!({ "rectangle": [1.0, 2.5] })),
        ("a-variant", json!({ "named": inner })),
        ("a-variant", json!({ "maybe": null })),
        ("a-variant", json!({ "outcome": { "err": "no" } })),
        ("an-enum", json!("dark-green")),
        ("some-flags", json!(["read", "look-around"])),
        ("many-flags", json!(["f0", "f31"])),
        ("outcomes", json!([{ "ok": 1 }, { "err": "no" }])),
        ("empty-outcomes", json!([{ "ok": null }, { "err": null }])),
        ("half-outcomes", json!([{ "err": "red" }])),
        ("maybe-outcome", json!({ "ok": 3 })),
    ];
    for (method, value) in cases {
        assert_eq!(
            there_and_back(node.client(), method, value.clone()).await,
            value,
            "{method}"
        );
    }
}

#[tokio::test]
async fn numbers_that_a_double_cannot_hold_travel_as_texts() {
    let node = Node::serving(&["echo"]).await;
    let client = node.client();
    let safe = 9_007_199_254_740_991_u64;
    assert_eq!(
        there_and_back(client, "unsigned64", json!(safe)).await,
        json!(safe)
    );
    assert_eq!(
        there_and_back(client, "unsigned64", json!(u64::MAX)).await,
        json!(u64::MAX.to_string())
    );
    assert_eq!(
        there_and_back(client, "unsigned64", json!(u64::MAX.to_string())).await,
        json!(u64::MAX.to_string())
    );
    assert_eq!(
        there_and_back(client, "signed64", json!(i64::MIN)).await,
        json!(i64::MIN.to_string())
    );
    assert_eq!(
        client.call("echo/a", "odd-floats", json!([])).await.ok()[0],
        json!("NaN")
    );
    assert_eq!(
        there_and_back(client, "float64", json!("-Infinity")).await,
        json!("-Infinity")
    );
    assert_eq!(
        there_and_back(client, "bytes", json!([0, 255])).await,
        json!("AP8=")
    );
    for (method, wrong) in [
        ("unsigned8", json!(256)),
        ("unsigned8", json!(-1)),
        ("unsigned64", json!("18446744073709551616")),
        ("signed64", json!("1.5")),
        ("character", json!("")),
        ("bytes", json!("AP8!")),
        ("bytes", json!([256])),
        ("float32", json!("much")),
        ("an-enum", json!("green")),
        ("some-flags", json!(["read", "read", "fly"])),
        ("maybe-maybe", json!({ "none": 1 })),
        ("a-variant", json!({ "circle": 1, "nothing": null })),
        ("a-variant", json!("circle")),
        ("outcomes", json!([{ "ok": 1, "err": "x" }])),
        ("boolean", json!("true")),
        ("echo.text", json!(5)),
    ] {
        let reply = client.call("echo/a", method, json!([wrong])).await;
        assert_eq!(reply.problem(422).case(), "invalid", "{method} {wrong}");
    }
}

#[tokio::test]
async fn a_result_at_the_top_is_an_answer_or_a_problem() {
    let node = Node::serving(&["echo"]).await;
    let client = node.client();
    let good = client
        .call("echo/a", "outcome", json!([{ "ok": { "id": 1 } }]))
        .await;
    assert_eq!(good.ok(), json!({ "id": 1, "tag": null }));
    let bad = client
        .call("echo/a", "outcome", json!([{ "err": { "circle": 2.0 } }]))
        .await
        .problem(400);
    assert_eq!(
        (bad.case(), &bad.0["error"], bad.outcome()),
        ("app-error", &json!({ "circle": 2.0 }), "committed")
    );
    assert_eq!(
        client
            .call("echo/a", "ok-or-color", json!([null]))
            .await
            .status,
        204
    );
    let colour = client
        .call("echo/a", "ok-or-color", json!(["red"]))
        .await
        .problem(400);
    assert_eq!(colour.0["error"], "red");
    assert_eq!(client.call("echo/a", "only-ok", json!([3])).await.ok(), 3);
    client
        .call("echo/a", "only-ok", json!([null]))
        .await
        .problem(400);
    assert_eq!(
        client.call("echo/a", "nothing", json!([])).await.status,
        204
    );
    assert_eq!(
        client
            .send(client.request(Method::POST, "/g/echo/a/nothing"))
            .await
            .status,
        204
    );
}

#[tokio::test]
async fn methods_are_named_by_function_or_interface_and_function() {
    let node = Node::serving(&["echo"]).await;
    let client = node.client();
    assert_eq!(client.call("echo/a", "at-root", json!([3])).await.ok(), 3);
    assert!(
        client
            .call("echo/a", "only-here", json!([]))
            .await
            .ok()
            .is_number()
    );
    assert_eq!(
        client.call("echo/a", "echo.text", json!(["x"])).await.ok(),
        "x"
    );
    client.call("echo/a", "other.text", json!(["x"])).await.ok();
    let several = client
        .post(
            "/g/echo/a/several",
            json!({ "second-name": "L", "first": 1 }),
        )
        .await;
    assert_eq!(several.ok(), json!([1, "L", null]));
    let records = client
        .call("echo/a", "two-records", json!([{ "id": 1 }, { "id": 2 }]))
        .await;
    assert_eq!(records.ok()[1]["id"], 2);
}
