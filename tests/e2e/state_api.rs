//! State from outside: read, write under a precondition, export, import, describe, purge.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Node, granary};

#[tokio::test]
async fn state_is_listed_read_and_written_under_if_match() {
    let node = Node::serving(&["counter"]).await;
    let client = node.client();
    client.call("counter/a", "increment", json!([5])).await.ok();
    let listed = client.get("/v1/state/counter/a").await;
    let tag = listed.header("etag");
    assert!(
        listed.ok().to_string().contains("count") && !tag.is_empty(),
        "{listed}"
    );
    let value = client.get("/v1/state/counter/a/count").await;
    assert_eq!(value.status, 200, "{value}");
    let put = |tag: &str, body: Vec<u8>| {
        let request = client
            .request(Method::PUT, "/v1/state/counter/a/count")
            .header("if-match", tag);
        client.send(
            request
                .header("content-type", "application/octet-stream")
                .body(body),
        )
    };
    let stale = put("\"999\"", value.body.clone()).await;
    assert!(stale.status == 412 || stale.status == 409, "{stale}");
    stale.problem(stale.status);
    assert_eq!(client.get("/g/counter/a/get").await.ok(), 5);
    let written = put(&tag, value.body.clone()).await;
    assert!(written.status < 300, "{written}");
    assert_ne!(written.header("etag"), tag);
    let again = put(&tag, value.body).await;
    again.problem(again.status);
}

#[tokio::test]
async fn an_edit_is_seen_by_the_next_turn() {
    let node = Node::serving(&["counter"]).await;
    let client = node.client();
    client.call("counter/a", "increment", json!([5])).await.ok();
    client
        .call("counter/b", "increment", json!([70]))
        .await
        .ok();
    let seventy = client.get("/v1/state/counter/b/count").await.body;
    let request = client
        .request(Method::PUT, "/v1/state/counter/a/count")
        .header("content-type", "application/octet-stream");
    assert!(client.send(request.body(seventy)).await.status < 300);
    assert_eq!(
        client.call("counter/a", "increment", json!([1])).await.ok(),
        71
    );
    assert!(client.delete("/v1/state/counter/a/count").await.status < 300);
    assert_eq!(
        client.call("counter/a", "increment", json!([1])).await.ok(),
        1
    );
    client.get("/v1/state/counter/a/nothing").await.problem(404);
}

#[tokio::test]
async fn a_grain_is_described_deactivated_and_purged() {
    let node = Node::serving(&["counter"]).await;
    let client = node.client();
    client.call("counter/a", "increment", json!([5])).await.ok();
    let described = client.get("/g/counter/a").await.ok();
    assert_eq!(
        (&described["kind"], &described["key"]),
        (&json!("counter"), &json!("a")),
        "{described}"
    );
    assert!(client.delete("/g/counter/a").await.status < 300);
    assert_eq!(client.get("/g/counter/a/get").await.ok(), 5);
    assert!(client.delete("/g/counter/a?purge=true").await.status < 300);
    assert_eq!(client.get("/g/counter/a/get").await.ok(), 0);
}

#[tokio::test]
async fn an_export_is_a_backup_that_another_node_takes_in() {
    let node = Node::serving(&["counter"]).await;
    for key in ["a", "b/c", "ü"] {
        let path = format!("/g/counter/{}/increment", key.replace('/', "%2F"));
        node.client().post(&path, json!([7])).await.ok();
    }
    let file = node.folder().join("backup.granary");
    granary(&node, &["state", "export", "--to", file.to_str().unwrap()])
        .await
        .ok();
    let other = Node::serving(&["counter"]).await;
    granary(&other, &["state", "import", file.to_str().unwrap()])
        .await
        .ok();
    for key in ["a", "b%2Fc", "%C3%BC"] {
        assert_eq!(
            other
                .client()
                .get(&format!("/g/counter/{key}/get"))
                .await
                .ok(),
            7,
            "{key}"
        );
    }
    // A node that has never seen the kind gets it from a backup of everything, and serves it at once.
    let whole = node.folder().join("whole.granary");
    let to = whole.to_str().unwrap();
    granary(&node, &["state", "export", "--all", "--to", to])
        .await
        .ok();
    let empty = Node::start().await;
    granary(&empty, &["state", "import", to]).await.ok();
    assert_eq!(empty.client().get("/g/counter/a/get").await.ok(), 7);
    assert_eq!(
        empty.client().get("/v1/kinds/counter").await.ok()["current"],
        1
    );
    // A damaged backup is refused as a whole.
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    std::fs::write(&file, &bytes[..bytes.len() - 3]).unwrap();
    let third = Node::serving(&["counter"]).await;
    granary(&third, &["state", "import", file.to_str().unwrap()])
        .await
        .fails(1);
    assert_eq!(third.client().get("/g/counter/a/get").await.ok(), 0);
}
