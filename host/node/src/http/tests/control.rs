//! The control plane.

use super::*;

#[tokio::test]
async fn a_kind_shows_its_interface_in_every_form() {
    let house = House::with_guest().await;
    let shown = house.get("/v1/kinds/guest").await.json();
    assert_eq!(
        (&shown["current"], &shown["revisions"][0]["verdict"]),
        (&json!(1), &json!("first")),
        "{shown}"
    );
    let add = shown["methods"]
        .as_array()
        .unwrap()
        .iter()
        .find(|method| method["name"] == "add")
        .unwrap();
    assert_eq!(
        (&add["mode"], &add["params"][0]["name"], &add["result"]),
        (&json!("read"), &json!("a"), &json!("u32"))
    );
    assert_eq!(
        house.get("/v1/kinds").await.json()["kinds"][0]["name"],
        "guest"
    );
    let wit = house.get("/v1/kinds/guest/revisions/1/wit").await;
    assert!(String::from_utf8(wit.body).unwrap().contains("add"));
    assert_eq!(
        house
            .get("/v1/kinds/guest/revisions/current/openapi.json")
            .await
            .json()["openapi"],
        "3.1.0"
    );
    assert!(
        house
            .get("/v1/kinds/guest/revisions/1/schema.json")
            .await
            .json()
            .is_object()
    );
    assert_eq!(
        house.get("/v1/kinds/guest/revisions/1").await.json()["current"],
        true
    );
    house
        .get("/v1/kinds/guest/revisions/9")
        .await
        .problem(404, "no-revision");
    house
        .get("/v1/kinds/guest/revisions/x")
        .await
        .problem(400, "bad-path");
    let problem = house.get("/v1/kinds/gues").await.problem(404, "not-found");
    assert!(problem["detail"].as_str().unwrap().contains("'guest'"));
    house.close().await;
}

#[tokio::test]
async fn a_breaking_revision_needs_the_word_and_a_rollback_moves_the_pointer() {
    let house = House::with_guest().await;
    let smaller = wat::parse_str(GUEST.replace(
        "(func (export \"large\") (result u64) (canon lift (core func $i \"large\")))",
        "",
    ))
    .unwrap();
    let digest = sha256(&smaller);
    house
        .text(Method::PUT, &format!("/v1/artifacts/{digest}"), smaller)
        .await;
    let body = json!({ "component": digest, "manifest": {} });
    let plan = house
        .post("/v1/kinds/guest/revisions?dry-run=true", &body)
        .await
        .json();
    assert_eq!(
        (&plan["verdict"], &plan["to"]),
        (&json!("breaking"), &json!(2)),
        "{plan}"
    );
    let refused = house
        .post("/v1/kinds/guest/revisions", &body)
        .await
        .problem(409, "breaking");
    assert_eq!(
        (&refused["kind"], &refused["plan"]["verdict"]),
        (&json!("guest"), &json!("breaking"))
    );
    let deployed = house
        .post("/v1/kinds/guest/revisions?breaking=true", &body)
        .await;
    assert_eq!(
        (deployed.status, deployed.header("location")),
        (201, "/v1/kinds/guest/revisions/2")
    );
    assert_eq!(
        house.get("/v1/kinds/guest/diff").await.json()["verdict"],
        "breaking"
    );
    let back = house
        .post("/v1/kinds/guest/rollback", &json!(null))
        .await
        .json();
    assert_eq!(back["revision"], 1, "{back}");
    house
        .post("/v1/kinds/guest/rollback?to=7", &json!(null))
        .await
        .problem(404, "no-revision");
    house
        .post("/v1/kinds/guest/rollback?too=7", &json!(null))
        .await
        .problem(400, "bad-request");
    let path = format!("/v1/artifacts/{digest}");
    house.delete(&path).await.problem(409, "in-use");
    assert_eq!(house.delete("/v1/kinds/guest").await.status, 200);
    house.get("/v1/kinds/guest").await.problem(404, "not-found");
    // The last kind that used it took it along.
    house.delete(&path).await.problem(404, "not-kept");
    house.close().await;
}

#[tokio::test]
async fn bodies_that_do_not_fit_are_problems_too() {
    let house = House::with_guest().await;
    let post = |body: &'static str| {
        house.send(
            house
                .request(Method::POST, "/v1/kinds/guest/revisions")
                .header("content-type", "application/json")
                .body(body),
        )
    };
    post("{").await.problem(400, "bad-body");
    post("{\"component\":\"7\"}").await.problem(422, "bad-body");
    post("{\"component\":\"0000000000000000000000000000000000000000000000000000000000000000\",\"extra\":1}").await.problem(422, "bad-body");
    let plain = house
        .request(Method::POST, "/v1/kinds/guest/revisions")
        .body("{}");
    house
        .send(plain)
        .await
        .problem(415, "unsupported-media-type");
    let absent = json!({ "component": "00".repeat(32), "manifest": {} });
    house
        .post("/v1/kinds/guest/revisions", &absent)
        .await
        .problem(422, "no-artifact");
    let wrong = json!({ "component": sha256(&guest()), "manifest": { "limits": { "memroy": 1 } } });
    let problem = house
        .post("/v1/kinds/guest/revisions", &wrong)
        .await
        .problem(422, "bad-body");
    assert!(
        problem["detail"].as_str().unwrap().contains("memroy"),
        "{problem}"
    );
    house.close().await;
}

#[tokio::test]
async fn state_is_read_and_written_under_its_version() {
    let house = House::with_guest().await;
    let put = |entry: &str, value: &'static str, version: Option<&str>| {
        let mut request = house.request(Method::PUT, &format!("/v1/state/guest/a%2Fb/{entry}"));
        if let Some(version) = version {
            request = request.header("if-match", version);
        }
        house.send(request.body(value))
    };
    assert_eq!(
        put("cart/1", "{\"n\":1}", None).await.header("etag"),
        "\"1\""
    );
    assert_eq!(
        put("cart%2F2", "two", Some("\"1\"")).await.header("etag"),
        "\"2\""
    );
    put("cart/1", "late", Some("\"1\""))
        .await
        .problem(412, "precondition-failed");
    put("cart/1", "x", Some("what"))
        .await
        .problem(400, "bad-request");
    let value = house.get("/v1/state/guest/a%2Fb/cart/2").await;
    assert_eq!(
        (value.body.as_slice(), value.header("etag")),
        (&b"two"[..], "\"2\"")
    );
    let list = house
        .get("/v1/state/guest/a%2Fb?prefix=cart&limit=1")
        .await
        .json();
    assert_eq!(
        (
            &list["entries"][0]["json"]["n"],
            &list["next"],
            &list["state_version"]
        ),
        (&json!(1), &json!("cart/1"), &json!(2)),
        "{list}"
    );
    assert_eq!(
        house.get("/v1/state/guest").await.json()["grains"][0]["key"],
        "a/b"
    );
    assert_eq!(
        house.delete("/v1/state/guest/a%2Fb/cart/1").await.status,
        204
    );
    house
        .get("/v1/state/guest/a%2Fb/cart/1")
        .await
        .problem(404, "not-kept");
    house.close().await;
}

#[tokio::test]
async fn activations_are_listed_explained_and_dropped() {
    let house = House::with_guest().await;
    for key in ["a", "b", "c"] {
        house
            .post(&format!("/g/guest/{key}/count"), &json!([]))
            .await;
    }
    let page = house.get("/v1/activations?kind=guest&limit=2").await.json();
    assert_eq!(
        (
            &page["total"],
            &page["next"],
            page["activations"].as_array().unwrap().len()
        ),
        (&json!(3), &json!("guest/b"), 2),
        "{page}"
    );
    let rest = house.get("/v1/activations?after=guest/b").await.json();
    assert_eq!(rest["activations"][0]["grain"]["key"], "c");
    assert_eq!(
        house.get("/v1/activations?state=running").await.json()["total"],
        0
    );
    house
        .get("/v1/activations?order=age")
        .await
        .problem(400, "bad-request");
    let explained = house.get("/v1/activations/guest/a/explain").await.json();
    assert!(
        explained["summary"].is_string() && explained["limits"].is_object(),
        "{explained}"
    );
    assert_eq!(
        house
            .post("/v1/activations/guest/a/deactivate", &json!(null))
            .await
            .json()["deactivated"],
        true
    );
    assert!(house.get("/v1/activations/guest/a").await.json()["activation"].is_null());
    house.close().await;
}

#[tokio::test]
async fn the_node_tells_what_it_is_and_how_it_does() {
    let house = House::with_guest().await;
    house.post("/g/guest/a/count", &json!([])).await;
    let node = house.get("/v1/node").await.json();
    assert_eq!(
        (&node["name"], &node["store"], &node["kinds"]),
        (&json!("test-node"), &json!("memory"), &json!(1))
    );
    assert!(node["capacity"]["slots"].as_u64().unwrap() > 0);
    assert_eq!(house.get("/healthz").await.json()["status"], "ok");
    let ready = house.get("/readyz").await;
    assert_eq!((ready.status, &ready.json()["ready"]), (200, &json!(true)));
    let page = String::from_utf8(house.get("/metrics").await.body).unwrap();
    assert!(
        page.contains("granary_calls_total{node=\"test-node\",kind=\"guest\",outcome=\"ok\"} 1"),
        "{page}"
    );
    assert!(page.contains("granary_http_answers_total{node=\"test-node\",class=\"2xx\"}"));
    assert_eq!(house.get("/problems/deadlock").await.json()["status"], 508);
    assert_eq!(house.get("/v1/config").await.status, 200);
    house.close().await;
}

#[tokio::test]
async fn a_wrong_route_names_the_nearest_and_a_wrong_method_those_that_fit() {
    let house = House::open(|_| {}).await;
    let problem = house.get("/v1/kind").await.problem(404, "unknown-route");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("did you mean /v1/kinds?"),
        "{problem}"
    );
    let refused = house.post("/v1/kinds", &json!(null)).await;
    refused.problem(405, "method-not-allowed");
    assert!(refused.header("allow").contains("GET"), "{refused:?}");
    let options = house
        .send(house.request(Method::OPTIONS, "/v1/kinds"))
        .await;
    assert_eq!(options.status, 204);
    assert!(options.header("allow").contains("GET"), "{options:?}");
    house.get("/g/guest").await.problem(404, "unknown-route");
    house
        .get("/nowhere/at/all")
        .await
        .problem(404, "unknown-route");
    house.close().await;
}

#[tokio::test]
async fn every_documented_route_is_served() {
    let house = House::with_guest().await;
    let document = house.get("/v1/openapi.json").await.json();
    let mut asked = 0;
    for (pattern, item) in document["paths"].as_object().unwrap() {
        let path: Vec<_> = pattern
            .split('/')
            .map(|part| if part.starts_with('{') { "x" } else { part })
            .collect();
        for method in item.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let request = house.request(method.clone(), &path.join("/"));
            let reply = house.send(request).await;
            let slug = if reply.body.is_empty() {
                Value::Null
            } else {
                serde_json::from_slice(&reply.body).unwrap_or(Value::Null)["type"].take()
            };
            assert!(
                slug != "/problems/unknown-route"
                    && slug != "/problems/internal"
                    && reply.status != 405,
                "{method} {pattern}: {reply:?}"
            );
            asked += 1;
        }
    }
    assert!(30 < asked, "{asked}");
    house.close().await;
}

#[tokio::test]
async fn a_backup_is_taken_in_by_another_node_or_refused_as_a_whole() {
    let house = House::with_guest().await;
    for key in ["a", "b%2Fc"] {
        assert_eq!(
            house
                .text(Method::PUT, &format!("/v1/state/guest/{key}/k"), "v")
                .await
                .status,
            204
        );
    }
    let backup = house.get("/v1/state-export?kind=guest").await;
    assert_eq!(
        (backup.status, backup.header("content-type")),
        (200, "application/x-ndjson")
    );
    let other = House::with_guest().await;
    let cut = backup.body[..backup.body.len() - 20].to_vec();
    other
        .text(Method::POST, "/v1/state-import", cut)
        .await
        .problem(422, "bad-backup");
    other
        .text(Method::POST, "/v1/state-import", "hello")
        .await
        .problem(422, "bad-backup");
    assert_eq!(
        other.get("/v1/state/guest").await.json()["grains"],
        json!([])
    );
    let done = other
        .text(Method::POST, "/v1/state-import", backup.body.clone())
        .await
        .json();
    assert_eq!(
        done,
        json!({ "grains": 2, "sends": 0, "kinds": 0, "artifacts": 0, "skipped": 0 })
    );
    assert_eq!(other.get("/v1/state/guest/b%2Fc/k").await.body, b"v");
    other
        .text(Method::POST, "/v1/state-import", backup.body.clone())
        .await
        .problem(409, "already-there");
    let skipped = other
        .text(Method::POST, "/v1/state-import?existing=skip", backup.body)
        .await
        .json();
    assert_eq!(skipped["skipped"], 2);
    house.close().await;
    other.close().await;
}
