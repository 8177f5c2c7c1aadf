//! `POST /g/{kind}/$batch`: many calls of one kind in one request. Calls of the same key run in the order of the list, others side by side.

use std::collections::HashMap;
use std::sync::Arc;

use futures::{StreamExt, stream};
use granary_core::id::{GrainId, Key, KindName};
use granary_core::kind::KindRecord;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::body::{self, Bounds};
use super::catalogue as types;
use super::data;
use super::face::Shared;
use super::path;
use super::problem::Problem;
use super::reply::{self, Reply};
use super::request::{Content, Wishes};
use crate::grains::{AnswerBody, Call, Encoding};

/// Keys whose calls run at the same time.
const KEYS_AT_ONCE: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Item {
    key: String,
    method: String,
    args: Option<Box<RawValue>>,
    idempotency_key: Option<String>,
}

/// One item's answer: its status, and a value or a problem.
#[derive(Serialize, Default)]
struct Done {
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Value>,
}

pub(super) async fn serve(
    shared: &Arc<Shared>,
    kind: KindName,
    request: Request<Incoming>,
    principal: Option<Arc<str>>,
) -> Result<Reply, Box<Problem>> {
    let record = shared.kind(&kind)?;
    let query = request.uri().query().map(str::to_owned);
    let (parts, incoming) = request.into_parts();
    let mut wishes = Wishes::from_headers(&parts.headers)?;
    wishes.add_query(query.as_deref().unwrap_or_default())?;
    if wishes.content != Content::Json {
        return Err(
            Problem::new(&types::UNSUPPORTED_MEDIA_TYPE, "a batch is a JSON list")
                .about_kind(kind.as_str()),
        );
    }
    let settings = &shared.settings;
    let bounds = Bounds {
        bytes: settings.batch_bytes_max as u64,
        limit: "http.batch-bytes-max",
        patience: settings.body_timeout,
    };
    let bytes = body::whole(incoming, bounds).await?;
    let items: Vec<Item> = serde_json::from_slice(&bytes).map_err(|error| {
        Problem::new(
            &types::BAD_BODY,
            format!("a batch is a list of {{key, method, args}}: {error}"),
        )
        .about_kind(kind.as_str())
    })?;
    if settings.batch_calls_max < items.len() {
        let detail = format!(
            "the batch has {} calls; 'http.batch-calls-max' allows {}",
            items.len(),
            settings.batch_calls_max
        );
        return Err(Problem::new(&types::BODY_TOO_LARGE, detail).over("http.batch-calls-max"));
    }
    let batch = Batch {
        shared,
        kind: &record,
        name: &kind,
        wishes: &wishes,
        principal: principal.as_deref(),
    };
    Ok(reply::json(StatusCode::OK, &batch.run(items).await))
}

struct Batch<'a> {
    shared: &'a Shared,
    kind: &'a KindRecord,
    name: &'a KindName,
    wishes: &'a Wishes,
    principal: Option<&'a str>,
}

impl Batch<'_> {
    async fn run(&self, items: Vec<Item>) -> Vec<Done> {
        let count = items.len();
        let mut lanes: Vec<Vec<(usize, Item)>> = Vec::new();
        let mut lane_of = HashMap::new();
        for (at, item) in items.into_iter().enumerate() {
            let lane = *lane_of.entry(item.key.clone()).or_insert(lanes.len());
            if lane == lanes.len() {
                lanes.push(Vec::new());
            }
            lanes[lane].push((at, item));
        }
        let lanes = stream::iter(lanes).map(|lane| async move {
            let mut done = Vec::with_capacity(lane.len());
            for (at, item) in lane {
                done.push((at, self.one(item).await));
            }
            done
        });
        let mut all: Vec<Done> = Vec::new();
        all.resize_with(count, Done::default);
        let mut lanes = lanes.buffer_unordered(KEYS_AT_ONCE);
        while let Some(lane) = lanes.next().await {
            for (at, done) in lane {
                all[at] = done;
            }
        }
        all
    }

    async fn one(&self, item: Item) -> Done {
        let instance = format!(
            "/g/{}/{}/{}",
            self.name,
            path::encode(&item.key),
            path::encode(&item.method)
        );
        match self.called(item).await {
            Ok(AnswerBody::Json(json)) => Done {
                status: 200,
                value: raw(json),
                problem: None,
            },
            Ok(AnswerBody::Unit) => Done {
                status: 204,
                ..Done::default()
            },
            // Only JSON was asked for.
            Ok(AnswerBody::Cbor(_) | AnswerBody::Raw(_) | AnswerBody::Typed(_)) => Done {
                status: 200,
                ..Done::default()
            },
            Err(problem) => {
                let status = problem.status();
                Done {
                    status,
                    value: None,
                    problem: Some(problem.to_value(&self.shared.node.name, &instance)),
                }
            }
        }
    }

    async fn called(&self, item: Item) -> Result<AnswerBody, Box<Problem>> {
        let key = Key::parse(&item.key).map_err(|error| {
            Problem::new(&types::BAD_PATH, error.to_string()).about_kind(self.name.as_str())
        })?;
        let arguments = item
            .args
            .map(|args| args.get().as_bytes().to_vec())
            .unwrap_or_default();
        let accept = if self.wishes.accept == Encoding::JsonInt64Strings {
            Encoding::JsonInt64Strings
        } else {
            Encoding::Json
        };
        let call = Call {
            accept,
            timeout: self.wishes.timeout,
            idempotency_key: item.idempotency_key,
            principal: self.principal.map(str::to_owned),
            baggage: self.wishes.baggage.clone(),
            ..Call::new(GrainId::new(self.name.clone(), key), item.method, arguments)
        };
        match self.shared.node.grains.call(call).await {
            Ok(answer) => Ok(answer.body),
            Err(failure) => Err(data::call_problem(failure, self.kind)),
        }
    }
}

fn raw(json: Vec<u8>) -> Option<Box<RawValue>> {
    String::from_utf8(json)
        .ok()
        .and_then(|text| RawValue::from_string(text).ok())
}
