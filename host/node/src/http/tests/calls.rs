//! Calls to methods.

use serde_json::json;

use super::*;

#[tokio::test]
async fn a_call_answers_its_value_and_where_its_time_went() {
    let house = House::with_guest().await;
    let reply = house.post("/g/guest/a%2Fb/add", &json!([1, 2])).await;
    assert_eq!((reply.status, reply.json()), (200, json!(3)));
    assert_eq!(reply.header("grain-activation"), "cold");
    assert_eq!(reply.header("grain-node"), "test-node");
    assert_eq!(reply.header("grain-revision"), "1");
    assert_eq!(reply.header("grain-state-version"), "0");
    assert!(reply.header("server-timing").starts_with("queue;dur="));
    let named = house
        .post("/g/guest/a%2Fb/add", &json!({ "b": 5, "a": 2 }))
        .await;
    assert_eq!(
        (named.json(), named.header("grain-activation")),
        (json!(7), "warm")
    );
    let unit = house.text(Method::POST, "/g/guest/x/nothing", "").await;
    assert_eq!((unit.status, unit.body.len()), (204, 0));
    let traced = house
        .request(Method::POST, "/g/guest/x/nothing")
        .header("traceparent", "00-aa-bb-01")
        .header("x-request-id", "r7");
    let traced = house.send(traced).await;
    assert_eq!(
        (traced.header("traceparent"), traced.header("x-request-id")),
        ("00-aa-bb-01", "r7")
    );
    house.close().await;
}

#[tokio::test]
async fn failures_are_problems_that_name_grain_method_and_revision() {
    let house = House::with_guest().await;
    let problem = house
        .post("/g/guest/x/boom", &json!([]))
        .await
        .problem(500, "guest-trap");
    assert_eq!(
        (&problem["kind"], &problem["key"], &problem["method"]),
        (&json!("guest"), &json!("x"), &json!("boom"))
    );
    assert_eq!(
        (
            &problem["revision"],
            &problem["node"],
            &problem["call-chain"]
        ),
        (&json!(1), &json!("test-node"), &json!(["guest/x"]))
    );
    assert_eq!(
        (&problem["instance"], &problem["outcome"]),
        (&json!("/g/guest/x/boom"), &json!("no-effect"))
    );
    let problem = house
        .post("/g/guest/x/fail", &json!([7]))
        .await
        .problem(418, "app-error");
    assert_eq!(problem["error"], 7);
    assert_eq!(house.post("/g/guest/x/fail", &json!([0])).await.json(), 0);
    let problem = house
        .post("/g/guest/x/add", &json!([1, "two"]))
        .await
        .problem(422, "invalid");
    assert_eq!(problem["pointer"], "/1");
    let problem = house
        .post("/g/guest/x/ad", &json!([]))
        .await
        .problem(404, "not-found");
    assert!(
        problem["detail"].as_str().unwrap().contains("'add'"),
        "{problem}"
    );
    let problem = house
        .post("/g/gest/x/add", &json!([]))
        .await
        .problem(404, "not-found");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("did you mean 'guest'"),
        "{problem}"
    );
    house
        .post("/g/guest//add", &json!([]))
        .await
        .problem(400, "bad-path");
    house
        .post("/g/guest/x/add?by=1", &json!([]))
        .await
        .problem(400, "bad-request");
    let large = house
        .text(Method::POST, "/g/guest/x/echo", vec![b'['; (4 << 20) + 1])
        .await;
    assert_eq!(large.problem(413, "limit-exceeded")["limit"], "arguments");
    house.close().await;
}

#[tokio::test]
async fn a_get_of_a_read_method_is_answered_304_without_activating() {
    let house = House::with_guest().await;
    let first = house.get("/g/guest/x/large").await;
    assert_eq!(
        (first.json(), first.header("etag")),
        (json!("9007199254740993"), "\"1-0\"")
    );
    let tag = async |query: &str| {
        house
            .get(&format!("/g/guest/y/add{query}"))
            .await
            .header("etag")
            .to_owned()
    };
    assert_ne!(tag("?a=1&b=2").await, tag("?a=1&b=3").await);
    assert_eq!(tag("?a=1&b=2").await, tag("?a=1&b=2").await);
    house.delete("/g/guest/y").await;
    assert_eq!(first.header("cache-control"), "max-age=60");
    assert!(
        house.delete("/g/guest/x").await.json()["deactivated"]
            .as_bool()
            .unwrap()
    );
    let again = house
        .send(
            house
                .request(Method::GET, "/g/guest/x/large")
                .header("if-none-match", "\"0-0\", \"1-0\""),
        )
        .await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(house.node.grains.activations().len(), 0);
    // A write gives the state a new version, and the copy is old.
    assert_eq!(
        house
            .text(Method::PUT, "/v1/state/guest/x/k", "v")
            .await
            .status,
        204
    );
    let changed = house
        .send(
            house
                .request(Method::GET, "/g/guest/x/large")
                .header("if-none-match", "\"1-0\""),
        )
        .await;
    assert_eq!((changed.status, changed.header("etag")), (200, "\"1-1\""));
    let head = house
        .send(house.request(Method::HEAD, "/g/guest/x/large"))
        .await;
    assert_eq!(
        (head.status, head.header("content-length"), head.body.len()),
        (200, "18", 0)
    );
    let refused = house.get("/g/guest/x/count").await;
    refused.problem(405, "method-not-allowed");
    assert_eq!(refused.header("allow"), "POST");
    let options = house
        .send(house.request(Method::OPTIONS, "/g/guest/x/add"))
        .await;
    assert_eq!(
        (options.status, options.header("allow")),
        (204, "GET, HEAD, POST")
    );
    house.close().await;
}

#[tokio::test]
async fn bytes_cbor_and_large_integers_come_as_they_were_asked_for() {
    let house = House::with_guest().await;
    let raw = house
        .request(Method::POST, "/g/guest/x/echo")
        .header("content-type", "application/octet-stream");
    let raw = house
        .send(
            raw.header("accept", "application/octet-stream")
                .body(vec![0, 255, 7]),
        )
        .await;
    assert_eq!(
        (raw.status, raw.header("content-type"), raw.body.clone()),
        (200, "application/octet-stream", vec![0, 255, 7])
    );
    let cbor = house
        .request(Method::POST, "/g/guest/x/add")
        .header("content-type", "application/cbor");
    let cbor = house
        .send(
            cbor.header("accept", "application/cbor")
                .body(vec![0x82, 0x01, 0x02]),
        )
        .await;
    assert_eq!(
        (cbor.header("content-type"), cbor.body.clone()),
        ("application/cbor", vec![3])
    );
    assert_eq!(
        house.get("/g/guest/x/large").await.json(),
        "9007199254740993"
    );
    assert_eq!(
        house
            .get("/g/guest/x/large?int64=string&timeout=5s")
            .await
            .json(),
        "9007199254740993"
    );
    let odd = house
        .request(Method::POST, "/g/guest/x/add")
        .header("content-type", "image/png");
    house
        .send(odd.body("x"))
        .await
        .problem(415, "unsupported-media-type");
    let odd = house
        .request(Method::POST, "/g/guest/x/add")
        .header("accept", "image/png");
    house
        .send(odd.body("[1,2]"))
        .await
        .problem(406, "not-acceptable");
    house.close().await;
}

#[tokio::test]
async fn an_idempotency_key_runs_a_call_once() {
    let house = House::with_guest().await;
    let call = || {
        house.send(
            house
                .request(Method::POST, "/g/guest/x/count")
                .header("idempotency-key", "k1")
                .body("[]"),
        )
    };
    let (first, second) = (call().await, call().await);
    assert_eq!((first.json(), second.json()), (json!(1), json!(1)));
    assert_eq!(
        (
            first.header("idempotency-replayed"),
            second.header("idempotency-replayed")
        ),
        ("", "true")
    );
    assert_eq!(house.post("/g/guest/x/count", &json!([])).await.json(), 2);
    house.close().await;
}

#[tokio::test]
async fn an_asynchronous_call_tells_where_to_ask() {
    let house = House::with_guest().await;
    let reply = house
        .send(
            house
                .request(Method::POST, "/g/guest/x/add")
                .header("prefer", "respond-async")
                .body("[1,2]"),
        )
        .await;
    assert_eq!(reply.status, 202);
    let place = reply.header("location").to_owned();
    let done = house.get(&format!("{place}?wait=20s")).await.json();
    assert_eq!(
        (&done["status"], &done["value"], &done["grain"]["key"]),
        (&json!("done"), &json!(3), &json!("x")),
        "{done}"
    );
    let later = house.post("/g/guest/x/add?delay=1h", &json!([1, 2])).await;
    let place = later.header("location").to_owned();
    assert_eq!(house.get(&place).await.json()["status"], "waiting");
    assert_eq!(house.delete(&place).await.status, 202);
    house
        .get("/v1/calls/00000000000000000000000000000001")
        .await
        .problem(404, "not-kept");
    house.get("/v1/calls/7").await.problem(400, "bad-path");
    house
        .post("/g/guest/x/add?wait=0", &json!(["x"]))
        .await
        .problem(422, "invalid");
    assert_eq!(house.get("/v1/sends").await.json()["sends"], json!([]));
    house.close().await;
}

#[tokio::test]
async fn a_batch_answers_each_item_by_itself_and_keeps_a_keys_order() {
    let house = House::with_guest().await;
    let mut items = vec![
        json!({ "key": "a", "method": "add", "args": [1, 2] }),
        json!({ "key": "a", "method": "fail", "args": [3] }),
    ];
    items.extend((0..20).map(|_| json!({ "key": "b", "method": "count" })));
    items.push(json!({ "key": "", "method": "count" }));
    items.push(json!({ "key": "a", "method": "nothing" }));
    let reply = house.post("/g/guest/$batch", &json!(items)).await;
    let done = reply.json();
    assert_eq!(
        (reply.status, done.as_array().unwrap().len()),
        (200, items.len()),
        "{done}"
    );
    assert_eq!(
        (&done[0]["status"], &done[0]["value"]),
        (&json!(200), &json!(3))
    );
    assert_eq!(
        (&done[1]["status"], &done[1]["problem"]["error"]),
        (&json!(418), &json!(3))
    );
    let counted: Vec<_> = done.as_array().unwrap()[2..22]
        .iter()
        .map(|item| item["value"].as_u64().unwrap())
        .collect();
    assert_eq!(counted, (1..=20).collect::<Vec<_>>());
    assert_eq!(
        (&done[22]["status"], &done[22]["problem"]["type"]),
        (&json!(400), &json!("/problems/bad-path"))
    );
    assert_eq!(done[23]["status"], 204);
    house
        .post("/g/guest/$batch", &json!({ "key": "a" }))
        .await
        .problem(422, "bad-body");
    house
        .post(
            "/g/guest/$batch",
            &json!([{ "key": "a", "method": "count", "argz": [] }]),
        )
        .await
        .problem(422, "bad-body");
    house
        .get("/g/guest/$batch")
        .await
        .problem(405, "method-not-allowed");
    house.close().await;
}

#[tokio::test]
async fn a_grain_can_be_described_dropped_and_erased() {
    let house = House::with_guest().await;
    assert_eq!(
        house
            .text(Method::PUT, "/v1/state/guest/x/name", "\"ada\"")
            .await
            .status,
        204
    );
    let shown = house.get("/g/guest/x").await.json();
    assert_eq!(
        (&shown["state_version"], &shown["state_keys"]),
        (&json!(1), &json!(1)),
        "{shown}"
    );
    assert_eq!(
        house.delete("/g/guest/x?purge=true").await.json()["purged"],
        true
    );
    assert_eq!(house.get("/g/guest/x").await.json()["state_keys"], 0);
    house
        .delete("/g/guest/x?purge=yes")
        .await
        .problem(400, "bad-request");
    house
        .post("/g/guest/x", &json!([]))
        .await
        .problem(405, "method-not-allowed");
    house.get("/g/nobody/x").await.problem(404, "not-found");
    house.close().await;
}
