//! Uploads.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;

#[tokio::test]
async fn an_upload_in_pieces_is_resumed_where_it_stopped() {
    let house = House::open(|_| {}).await;
    let component = guest();
    let (path, total) = (
        format!("/v1/artifacts/{}", sha256(&component)),
        component.len(),
    );
    let piece = |first: usize, last: usize| {
        let request = house
            .request(Method::PUT, &path)
            .header("content-range", format!("bytes {first}-{last}/{total}"));
        house.send(request.body(component[first..=last].to_vec()))
    };
    let kept = piece(0, 99).await;
    assert_eq!((kept.status, kept.header("upload-offset")), (202, "100"));
    let head = house.send(house.request(Method::HEAD, &path)).await;
    assert_eq!(
        (
            head.status,
            head.header("upload-offset"),
            head.header("upload-complete")
        ),
        (404, "100", "?0")
    );
    let hole = piece(200, 299).await;
    assert_eq!(
        (
            hole.problem(409, "upload-offset")["offset"].as_u64(),
            hole.header("upload-offset")
        ),
        (Some(100), "100")
    );
    let whole = piece(100, total - 1).await;
    assert_eq!(whole.status, 201, "{whole:?}");
    assert!(
        whole.json()["methods"]
            .as_array()
            .unwrap()
            .contains(&json!("add"))
    );
    let head = house.send(house.request(Method::HEAD, &path)).await;
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, total.to_string().as_str())
    );
    assert_eq!(house.get(&path).await.body, component);
    assert_eq!(
        house
            .text(Method::PUT, &path, component.clone())
            .await
            .status,
        200
    );
    assert_eq!(
        house.get("/v1/artifacts").await.json()["artifacts"][0]["bytes"],
        total
    );
    assert_eq!(house.delete(&path).await.status, 204);
    house.delete(&path).await.problem(404, "not-kept");
    house.close().await;
}

/// Puts a component without waiting for the compiler: the answer, and where to ask for its state.
async fn put_async(house: &House, component: &[u8]) -> (Reply, String) {
    let path = format!("/v1/artifacts/{}", sha256(component));
    let request = house
        .request(Method::PUT, &path)
        .header("prefer", "respond-async")
        .body(component.to_vec());
    (house.send(request).await, format!("{path}/status"))
}

#[tokio::test]
async fn an_upload_need_not_wait_for_the_compiler() {
    let house = House::open(|_| {}).await;
    let component = guest();
    house
        .get(&format!("/v1/artifacts/{}/status", sha256(&component)))
        .await
        .problem(404, "not-kept");
    let (put, path) = put_async(&house, &component).await;
    assert_eq!((put.status, put.header("location")), (202, path.as_str()));
    assert_eq!(put.json()["state"], "compiling");
    let digest = sha256(&component);
    let deployed = house
        .post("/v1/kinds/early/revisions", &json!({ "component": digest }))
        .await;
    assert_eq!(
        deployed.status, 201,
        "it waits for the compiler: {deployed:?}"
    );
    let status = house.get(&format!("{path}?wait=60")).await;
    assert_eq!(status.json(), json!({ "digest": digest, "state": "ready" }));
    house
        .get(&format!("{path}?wait=soon"))
        .await
        .problem(400, "bad-request");
    house.close().await;
}

#[tokio::test]
async fn what_does_not_compile_is_told_later_and_not_kept() {
    let house = House::open(|_| {}).await;
    let component = wat::parse_str(
        r#"(component
            (core module $m (memory i64 1) (func (export "one") (result i32) i32.const 1))
            (core instance $i (instantiate $m))
            (func (export "one") (result u32) (canon lift (core func $i "one"))))"#,
    )
    .unwrap();
    let (put, path) = put_async(&house, &component).await;
    assert_eq!(put.status, 202, "{put:?}");
    let status = house.get(&format!("{path}?wait=60")).await.json();
    assert_eq!(status["state"], "failed");
    assert_eq!(status["problem"]["type"], "/problems/compile-failed");
    let list = house.get("/v1/artifacts").await.json();
    assert_eq!(list["artifacts"], json!([]));
    house
        .text(Method::PUT, path.trim_end_matches("/status"), component)
        .await
        .problem(422, "compile-failed");
    house.close().await;
}

#[tokio::test]
async fn an_upload_whose_client_vanishes_can_be_continued() {
    let house = House::open(|_| {}).await;
    let component = guest();
    let path = format!("/v1/artifacts/{}", sha256(&component));
    let address = house.url.trim_start_matches("http://").to_owned();
    let mut socket = TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\n\r\n",
        component.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(&component[..300]).await.unwrap();
    drop(socket);
    let offset = timeout(Duration::from_secs(20), async {
        loop {
            let head = house.send(house.request(Method::HEAD, &path)).await;
            if head.header("upload-offset") == "300" {
                break 300;
            }
            tokio::task::yield_now().await;
        }
    });
    let offset: usize = offset.await.unwrap();
    let range = format!("bytes {offset}-{}/{}", component.len() - 1, component.len());
    let rest = house
        .request(Method::PUT, &path)
        .header("content-range", range)
        .body(component[offset..].to_vec());
    assert_eq!(house.send(rest).await.status, 201);
    house.close().await;
}

#[tokio::test]
async fn what_is_no_component_is_refused_by_name_and_not_kept() {
    let house = House::open(|_| {}).await;
    let module =
        wat::parse_str("(module (func (export \"one\") (result i32) i32.const 1))").unwrap();
    for (bytes, slug) in [
        (b"#!/bin/sh\n".to_vec(), "not-wasm"),
        (module, "core-module"),
        (wat::parse_str("(component)").unwrap(), "no-exports"),
    ] {
        let path = format!("/v1/artifacts/{}", sha256(&bytes));
        house
            .text(Method::PUT, &path, bytes)
            .await
            .problem(422, slug);
        assert_eq!(
            house.send(house.request(Method::HEAD, &path)).await.status,
            404
        );
    }
    let path = format!("/v1/artifacts/{}", "00".repeat(32));
    house
        .text(Method::PUT, &path, guest())
        .await
        .problem(422, "wrong-digest");
    assert_eq!(
        house
            .send(house.request(Method::HEAD, &path))
            .await
            .header("upload-offset"),
        ""
    );
    house
        .text(Method::PUT, "/v1/artifacts/nothing", guest())
        .await
        .problem(400, "bad-path");
    let huge = house
        .request(Method::PUT, &path)
        .header("content-range", "bytes 0-3/99999999999")
        .body("four");
    house.send(huge).await.problem(413, "component-too-large");
    house.close().await;
}
