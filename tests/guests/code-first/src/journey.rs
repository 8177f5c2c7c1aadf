//! What a grain sees of its call.

use granary_sdk::{calls, context, interface};

struct Journey;

/// What a grain sees of its call, and calls that it makes.
#[interface(package = "test:torture@0.1.0")]
impl Journey {
    fn call(kind: String, key: String, text: String) -> Result<String, String> {
        let other = calls::grain(kind, key);
        other
            .call("text", &(text,))
            .map_err(|error| error.to_string())
    }

    fn who() -> (String, Option<String>, u32) {
        let caller = context::caller().map(|id| id.to_string());
        let waiting = context::call_chain().len();
        let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        (context::self_id().to_string(), caller, waiting)
    }

    fn time_left() -> u64 {
        let left = context::deadline_remaining().as_millis();
        u64::try_from(left).unwrap_or(u64::MAX)
    }

    fn baggage(name: String) -> Option<String> {
        context::baggage(&name)
    }
}

granary_sdk::grain!(Journey);
