//! The items of streams, and the values of futures, of every type.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, Flow, Node};

/// Calls a method of `streams/a`; its items.
async fn lines(client: &Client, method: &str, arguments: Value) -> Vec<String> {
    let request = client.request(Method::POST, &format!("/g/streams/a/{method}"));
    let request = request.header("accept", "application/x-ndjson");
    Flow::send(request.json(&arguments)).await.lines().await
}

#[tokio::test]
async fn every_type_of_item_is_written_as_json() {
    let node = Node::serving(&["streams"]).await;
    let lines = async |method: &str, arguments| lines(node.client(), method, arguments).await;
    let numbers = lines("numbers", json!([1000])).await;
    let expected: Vec<_> = (0..1000).map(|number: u64| number.to_string()).collect();
    assert_eq!(numbers, expected);
    assert_eq!(
        lines("halves", json!([1.0, 3])).await,
        ["0.5", "0.25", "0.125"]
    );
    assert_eq!(lines("blob", json!([3])).await, ["\"BwcH\""]);
    assert_eq!(lines("numbers", json!([0])).await, [""; 0]);
    assert_eq!(
        lines("nested", json!([])).await,
        ["null", r#"{"some":null}"#, r#"{"some":7}"#]
    );
    // Items are never written as CBOR, and a client that takes nothing else is told.
    let client = node.client();
    let asking = client
        .request(Method::POST, "/g/streams/a/numbers")
        .header("accept", "application/cbor");
    let refused = client.send(asking.json(&json!([2]))).await;
    assert_eq!(refused.status, 406, "{refused}");
    assert!(
        refused.to_string().contains("accept application/x-ndjson"),
        "{refused}"
    );
    // Wishes hold for items as for results.
    let request = node
        .client()
        .request(Method::GET, "/g/streams/a/numbers?below=2&int64=string");
    let flow = Flow::send(request).await;
    assert_eq!(flow.lines().await, ["\"0\"", "\"1\""]);
}

#[tokio::test]
async fn items_of_a_type_of_the_grains_own_keep_all_their_parts() {
    let node = Node::serving(&["streams"]).await;
    let client = node.client();
    let lines = lines(client, "readings", json!([200])).await;
    let readings: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // More than are taken of one write at a time: the guest has gone on where the host stopped.
    assert_eq!(readings.len(), 200);
    for (at, reading) in readings.iter().enumerate() {
        assert_eq!(reading["at"], (u64::MAX - at as u64).to_string());
    }
    assert_eq!(
        readings[0],
        json!({
            "at": u64::MAX.to_string(), "place": null, "marks": [], "weather": "dry", "samples": [], "outcome": { "ok": 300 },
            "from": "sensor", "raw": "AAAA", "good": true,
        })
    );
    assert_eq!(
        readings[5],
        json!({
            "at": (u64::MAX - 5).to_string(), "place": "room 5", "marks": ["checked", "late"], "weather": { "both": [-7, "ß"] },
            "samples": [[0, "0"]], "outcome": { "err": "lost" }, "from": "person", "raw": "BQUF", "good": false,
        })
    );
    let later = client.call("streams/a", "reading-later", json!([])).await;
    assert_eq!(later.ok()["weather"], json!({ "wet": 0.5 }));
    let schema = client
        .get("/v1/kinds/streams/revisions/1/schema.json")
        .await;
    let items = &schema.ok()["methods"]["readings"]["items"];
    assert!(items.to_string().contains("reading"), "{items}");
}
