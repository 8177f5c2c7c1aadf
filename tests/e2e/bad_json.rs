//! Bad arguments: refused before the guest is entered, with a JSON pointer to what does not fit.

use serde_json::{Value, json};

use crate::harness::{Node, Reply, client};

/// An item that fits.
fn item() -> Value {
    json!({
        "sku": "tea", "title": "Tea", "count": 1, "price": { "amount": 250, "currency": "eur" }, "weight-kg": 0.1,
        "size-mm": [10, 20, 30], "monogram": null, "dedication": "For Bob", "wishes": ["insured"],
    })
}

/// The same with one member replaced (or removed, for `None`).
fn item_with(member: &str, value: Option<Value>) -> Value {
    let mut item = item();
    match value {
        Some(value) => item[member] = value,
        None => drop(item.as_object_mut().unwrap().remove(member)),
    }
    item
}

/// The call is refused as `invalid`, pointing there.
#[track_caller]
fn points_to(reply: &Reply, pointer: &str, words: &[&str]) {
    let problem = reply.problem(422);
    problem.is("invalid", words);
    assert_eq!(problem.outcome(), "not-started");
    assert_eq!(problem.0["pointer"], pointer, "{reply}");
    for member in ["kind", "key", "method", "revision"] {
        assert!(
            !problem.0[member].is_null(),
            "'{member}' is missing: {reply}"
        );
    }
}

#[tokio::test]
async fn malformed_json_is_refused_with_its_place() {
    let node = Node::serving(&["counter"]).await;
    for text in [
        "[1",
        "{",
        "[1,]",
        "nul",
        "[1] x",
        "\"\u{1}\"",
        "[01]",
        "[1e]",
        "\"\\ud800\"",
    ] {
        let reply = node
            .client()
            .post_text("/g/counter/a/increment", text)
            .await;
        assert!(
            reply.status == 400 || reply.status == 422,
            "{text}: {reply}"
        );
        reply.problem(reply.status);
    }
    let reply = node
        .client()
        .post_text("/g/counter/a/increment", vec![b'[', b'"', 0xff, b'"', b']'])
        .await;
    reply.problem(reply.status);
    assert_eq!(node.client().get("/g/counter/a/get").await.ok(), 0);
}

#[tokio::test]
async fn json_that_is_too_deep_or_too_large_is_refused_and_not_built() {
    let node = Node::serving(&["counter", "cart"]).await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let reply = node
        .client()
        .post_text("/g/counter/a/increment", deep)
        .await;
    assert!(reply.status == 400 || reply.status == 422, "{reply}");
    reply.problem(reply.status);
    // Refused by its announced length, before a byte of it has come.
    let address = node.url().trim_start_matches("http://").to_owned();
    let head = "POST /g/counter/a/increment HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5242880\r\n\r\n";
    let refused = client::raw(&address, head.as_bytes()).await;
    assert!(refused.starts_with("HTTP/1.1 413"), "{refused}");
    // Few bytes that would become many: empty lists of items, and more nodes than a value may have.
    let wide = format!("[[{}]]", vec!["[]"; 1_100_000].join(","));
    let reply = node.client().post_text("/g/cart/a/add", wide).await;
    reply.problem(reply.status);
    assert!(
        (400..500).contains(&reply.status) || reply.status == 507,
        "{reply}"
    );
    assert_eq!(node.client().get("/g/counter/a/get").await.ok(), 0);
}

#[tokio::test]
async fn a_wrong_type_is_pointed_to() {
    let node = Node::serving(&["cart"]).await;
    let add = |item: Value| {
        let client = node.client().clone();
        async move { client.call("cart/a", "add", json!([[item]])).await }
    };
    points_to(
        &add(item_with("count", Some(json!("one")))).await,
        "/0/0/count",
        &[],
    );
    points_to(
        &add(item_with("count", Some(json!(-1)))).await,
        "/0/0/count",
        &[],
    );
    points_to(
        &add(item_with("count", Some(json!(4_294_967_296_u64)))).await,
        "/0/0/count",
        &[],
    );
    points_to(
        &add(item_with("count", Some(json!(1.5)))).await,
        "/0/0/count",
        &[],
    );
    points_to(
        &add(item_with("size-mm", Some(json!([1, 2])))).await,
        "/0/0/size-mm",
        &[],
    );
    points_to(
        &add(item_with("size-mm", Some(json!([1, 2, 70_000])))).await,
        "/0/0/size-mm/2",
        &[],
    );
    points_to(
        &add(item_with("monogram", Some(json!("ab")))).await,
        "/0/0/monogram",
        &[],
    );
    points_to(
        &add(item_with("wishes", Some(json!(["insurd"])))).await,
        "/0/0/wishes/0",
        &["insured"],
    );
    points_to(
        &add(item_with(
            "price",
            Some(json!({ "amount": 1, "currency": "eurr" })),
        ))
        .await,
        "/0/0/price/currency",
        &["eur"],
    );
    assert_eq!(add(item()).await.ok(), 1);
}

#[tokio::test]
async fn unknown_and_missing_fields_are_named() {
    let node = Node::serving(&["cart"]).await;
    let add = |item: Value| {
        let client = node.client().clone();
        async move { client.call("cart/a", "add", json!([[item]])).await }
    };
    points_to(
        &add(item_with("titel", Some(json!("x")))).await,
        "/0/0/titel",
        &["titel", "title"],
    );
    points_to(
        &add(item_with("title", None)).await,
        "/0/0/title",
        &["missing"],
    );
    // An option may be left out.
    assert_eq!(add(item_with("dedication", None)).await.ok(), 1);
}

#[tokio::test]
async fn the_arguments_as_a_whole_have_their_rules_too() {
    let node = Node::serving(&["cart", "counter"]).await;
    let client = node.client();
    client
        .call("counter/a", "increment", json!([]))
        .await
        .problem(422)
        .is("invalid", &["by"]);
    client
        .call("counter/a", "increment", json!([1, 2]))
        .await
        .problem(422)
        .is("invalid", &[]);
    client
        .post("/g/counter/a/increment", json!({ "bye": 1 }))
        .await
        .problem(422)
        .is("invalid", &["bye"]);
    client
        .post("/g/counter/a/increment", json!({ "by": 1, "more": 1 }))
        .await
        .problem(422)
        .is("invalid", &["more"]);
    client
        .call("cart/a", "reduce", json!([{ "percnt": 5 }]))
        .await
        .problem(422)
        .is("invalid", &["percent"]);
    client
        .call("cart/a", "reduce", json!([{ "percent": 5, "none": null }]))
        .await
        .problem(422)
        .is("invalid", &[]);
    assert_eq!(
        client
            .post("/g/counter/a/increment", json!({ "by": 1 }))
            .await
            .ok(),
        1
    );
    assert_eq!(
        client.post("/g/counter/a/increment", json!(1)).await.ok(),
        2
    );
    assert_eq!(
        client
            .post("/g/counter/a/increment", json!("18446744073709551000"))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn values_survive_the_way_in_and_out() {
    let node = Node::serving(&["cart"]).await;
    let client = node.client();
    assert_eq!(
        client.call("cart/a", "add", json!([[item()]])).await.ok(),
        1
    );
    client
        .call(
            "cart/a",
            "reduce",
            json!([{ "voucher": ["SPRING", -9_007_199_254_740_993_i64] }]),
        )
        .await
        .ok();
    let contents = client.get("/g/cart/a/contents").await.ok();
    assert_eq!(contents["items"], json!([item()]));
    assert_eq!(
        contents["discount"],
        json!({ "voucher": ["SPRING", "-9007199254740993"] })
    );
    assert_eq!(contents["paid"], Value::Null);
    // A nested option: left out, none, some.
    let change = |changes: Value| {
        let client = client.clone();
        async move {
            client
                .call("cart/a", "change", json!(["tea", changes]))
                .await
                .ok()["dedication"]
                .clone()
        }
    };
    assert_eq!(change(json!({})).await, json!("For Bob"));
    assert_eq!(
        change(json!({ "dedication": { "some": "For Eve" } })).await,
        json!("For Eve")
    );
    assert_eq!(
        change(json!({ "dedication": { "some": null } })).await,
        Value::Null
    );
    // Bytes are base64, and a list of results is a list of ok and err.
    assert_eq!(
        client
            .call("cart/a", "set-picture", json!(["AAECAw=="]))
            .await
            .ok(),
        4
    );
    assert_eq!(
        client.get("/g/cart/a/picture").await.ok(),
        json!("AAECAw==")
    );
    let found = client
        .post("/g/cart/a/find", json!([["tea", "gold"]]))
        .await
        .ok();
    assert_eq!(found[0]["ok"]["sku"], "tea");
    assert_eq!(found[1], json!({ "err": { "unknown-item": "gold" } }));
}
