//! `/g/{kind}/{key}`: what is known of a grain, and dropping it.

use granary_core::id::GrainId;
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use super::catalogue as types;
use super::face::Shared;
use super::problem::Problem;
use super::reply::{self, Reply};

/// Describes a grain without activating it.
pub(super) async fn show(shared: &Shared, grain: &GrainId) -> Result<Reply, Box<Problem>> {
    shared.kind(&grain.kind)?;
    let info = shared.node.grains.describe(grain).await?;
    Ok(reply::json(StatusCode::OK, &named(grain, &info)))
}

/// What is known of a grain, with its kind and key beside the rest.
pub(super) fn named(grain: &GrainId, info: &impl Serialize) -> Value {
    let mut shown = json!({ "kind": grain.kind, "key": grain.key });
    if let (Value::Object(shown), Ok(Value::Object(info))) =
        (&mut shown, serde_json::to_value(info))
    {
        shown.extend(info);
        shown.shift_remove("grain");
    }
    shown
}

/// Drops a grain's activation and, with `?purge=true`, its state.
pub(super) async fn drop_grain(
    shared: &Shared,
    grain: &GrainId,
    query: Option<&str>,
) -> Result<Reply, Box<Problem>> {
    let purge = match query {
        None | Some("" | "purge=false") => false,
        Some("purge=true") => true,
        Some(other) => {
            let detail = format!("'?{other}' is not understood; DELETE knows ?purge=true");
            return Err(Problem::new(&types::BAD_REQUEST, detail).about(grain, None));
        }
    };
    if !purge {
        shared.kind(&grain.kind)?;
    }
    let deactivated = shared.node.grains.deactivate(grain).await;
    if purge {
        // State of a removed kind can be erased, too.
        shared.node.grains.purge(grain).await?;
    }
    Ok(reply::json(
        StatusCode::OK,
        &json!({ "grain": grain, "deactivated": deactivated, "purged": purge }),
    ))
}
