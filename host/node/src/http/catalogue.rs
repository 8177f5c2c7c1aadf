//! Every type of problem that the faces answer with: the page behind its URI, its status, and what to do.

/// A type of problem.
#[derive(Debug)]
pub(super) struct Type {
    /// The last part of its URI `/problems/…`.
    pub slug: &'static str,
    /// Its HTTP status, where nothing else is said.
    pub status: u16,
    /// A line for people.
    pub title: &'static str,
    /// What to do.
    pub hint: &'static str,
}

macro_rules! catalogue {
    ($($name:ident $slug:literal $status:literal $title:literal $hint:literal)*) => {
        $(pub(super) static $name: Type = Type { slug: $slug, status: $status, title: $title, hint: $hint };)*
        /// All of them.
        pub(super) static ALL: &[&Type] = &[$(&$name),*];
    };
}

catalogue! {
    // The cases of a call's error, by the same names as in WIT.
    OVERLOADED "overloaded" 429 "A queue or the node is full" "Wait as long as Retry-After says, then repeat."
    DEADLOCK "deadlock" 508 "The calls would have waited in a circle" "Break the circle that call-chain shows: send one-way, or make one of the methods not call back."
    TIMEOUT "timeout" 504 "The deadline passed" "Give more time with ?timeout= or the grain-timeout header; look at /v1/activations/KIND/KEY/explain. Repeat with an Idempotency-Key."
    CANCELLED "cancelled" 499 "The call was given up" "Nothing was changed; repeat it if it is still wanted."
    DENIED "denied" 403 "Not allowed" "The detail names what is missing."
    NOT_FOUND "not-found" 404 "No such kind or method" "Look at /v1/kinds, and at a kind's /v1/kinds/KIND/revisions/REVISION/wit."
    INVALID "invalid" 422 "The arguments do not fit the method" "The pointer shows the place; /v1/kinds/KIND/revisions/REVISION/openapi.json has the shapes."
    GUEST_TRAP "guest-trap" 500 "The grain's code trapped" "Look at the backtrace and at /v1/logs?kind=KIND&key=KEY. The turn left no trace."
    LIMIT_EXCEEDED "limit-exceeded" 507 "A limit was exceeded" "The turn left no trace. Use less, or raise the limit in the manifest and deploy."
    CONFLICT "conflict" 409 "Another commit came first" "Nothing was changed; repeat."
    UNAVAILABLE "unavailable" 503 "The node cannot serve just now" "Wait as long as Retry-After says, then repeat; /readyz has the reasons."
    UNKNOWN_OUTCOME "unknown-outcome" 502 "The answer was lost on its way" "Ask the grain whether it happened, or use an Idempotency-Key and repeat."
    APP_ERROR "app-error" 400 "The method answered err" "The member error holds the method's own value."

    // Requests that never became a call.
    BAD_PATH "bad-path" 400 "The path names no grain" "Percent-encode the key: '/' is %2F, '%' is %25."
    BAD_REQUEST "bad-request" 400 "The request cannot be read" "The detail says what does not fit."
    BAD_BODY "bad-body" 422 "The body does not fit" "The detail says what does not fit; /v1/openapi.json has the shapes."
    UNAUTHORIZED "unauthorized" 401 "A token is needed" "Send the header Authorization: Bearer TOKEN."
    CROSS_ORIGIN "cross-origin" 403 "A page of another origin sent this" "Call from the node's own origin, or list the page's origin in the node's settings."
    MISDIRECTED "misdirected" 421 "This node does not answer under that name" "Use localhost or a loopback address, or list the name in the node's settings."
    UNKNOWN_ROUTE "unknown-route" 404 "There is nothing under this path" "/v1/openapi.json lists every route."
    METHOD_NOT_ALLOWED "method-not-allowed" 405 "This path does not know that HTTP method" "The Allow header lists those that it knows."
    NOT_ACCEPTABLE "not-acceptable" 406 "No encoding that the client accepts" "Accept application/json, application/cbor or application/octet-stream."
    UNSUPPORTED_MEDIA_TYPE "unsupported-media-type" 415 "The body's encoding is not understood" "Send application/json, application/cbor or application/octet-stream."
    BODY_TOO_LARGE "body-too-large" 413 "The body is too large" "Send less, or raise the limit that the detail names."
    SLOW_BODY "slow-body" 408 "The body came too slowly" "Send it again over a better line; an upload can be resumed."
    BODY_CUT_OFF "body-cut-off" 400 "The body ended before it was whole" "Send it again; an upload can be resumed."
    PRECONDITION_FAILED "precondition-failed" 412 "The state has another version" "Read it again, look at what changed, and repeat with the new ETag."
    NOT_KEPT "not-kept" 404 "There is no such thing" "List what there is."
    STORE "store" 500 "The store failed" "Look at the node's log."
    INTERNAL "internal" 500 "A mistake in Granary itself" "Please report it with the node's log."

    // Artifacts.
    WRONG_DIGEST "wrong-digest" 422 "The bytes have another digest" "Compute the SHA-256 of the file again and upload it whole; nothing was kept."
    UPLOAD_OFFSET "upload-offset" 409 "The upload goes on at another place" "Continue at Upload-Offset."
    NOT_WASM "not-wasm" 422 "Not WebAssembly" "Upload the .wasm file that the tool chain built."
    CORE_MODULE "core-module" 422 "A core module, not a component" "Build for wasm32-wasip2, or wrap it with `wasm-tools component new`."
    TRUNCATED "truncated-component" 422 "The component ends too soon" "Build or upload it again."
    INVALID_COMPONENT "invalid-component" 422 "The component is not valid" "Build it again with a current tool chain."
    COMPONENT_TOO_LARGE "component-too-large" 413 "The component is too large" "Strip its debug sections or split the kind."
    UNKNOWN_IMPORT "unknown-import" 422 "The component imports what this host does not have" "Build against the interfaces that the host serves; the detail has the nearest one."
    OTHER_VERSION "other-version" 422 "The component was built against another version of an interface" "Build it against the version that the detail names, or run a node that has the other one."
    BAD_CLIENT "bad-client" 422 "The component imports a client package that is none" "Make it with `granary wit client KIND`, or call the package something that does not end in -client."
    NO_EXPORTS "no-exports" 422 "The component exports nothing to call" "Export an interface with at least one function, or wasi:http/incoming-handler."
    RESOURCE "resource-in-signature" 422 "A method has a resource in its signature" "Pass an id or the data itself."
    UNSUPPORTED_COMPONENT "unsupported-component" 422 "The component uses something that is not supported" "The detail says what."
    COMPILE_FAILED "compile-failed" 422 "The component does not compile" "Build it again with a current tool chain."
    IN_USE "in-use" 409 "A kept revision needs it" "Remove the kinds that use it first."

    // Backups.
    BAD_BACKUP "bad-backup" 422 "This is no whole backup" "Take a complete copy of the export; nothing was changed."
    ALREADY_THERE "already-there" 409 "The store has it already" "Say ?existing=replace or ?existing=skip; nothing was changed."

    // Kinds and revisions.
    NO_REVISION "no-revision" 404 "No such revision" "GET /v1/kinds/KIND/revisions lists those that are kept."
    NOTHING_BEFORE "nothing-before" 409 "Nothing to roll back to" "Deploy a new revision instead."
    NO_ARTIFACT "no-artifact" 422 "The component has not been uploaded" "PUT it to /v1/artifacts/SHA256 first."
    BAD_GRANTS "bad-grants" 422 "The component and its manifest do not fit" "The detail has the manifest lines that would fit."
    NO_METHOD "no-method" 422 "The manifest names a method that there is not" "Correct the name in the manifest."
    NOT_ASYNC "not-async" 422 "A method that cannot wait is to run beside others" "Declare it `async func`, or remove `mode = \"interleave\"`."
    START_FAILED "start-failed" 422 "The component fails while it starts" "Look at the backtrace; start code may not need more than the kind's limits."
    BREAKING "breaking" 409 "The new interface breaks callers" "Look at the plan; deploy with ?breaking=true if that is meant."
    CLIENT_MISFIT "client-misfit" 409 "The component was built with a client that does not fit the kind that it calls" "Make the client anew and rebuild; deploy with ?breaking=true if the other kind is to follow."
    NO_CLIENT "no-client" 422 "No client package can be made of the kind" "The detail says why; call it by name through granary:grain/calls."
    DEPLOY_CONFLICT "deploy-conflict" 409 "Somebody else deployed at the same time" "Look at the kind and repeat."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_unique_and_every_hint_is_a_sentence() {
        let mut slugs: Vec<_> = ALL.iter().map(|ty| ty.slug).collect();
        slugs.sort_unstable();
        slugs.dedup();
        assert_eq!(slugs.len(), ALL.len());
        assert!(
            ALL.iter()
                .all(|ty| ty.hint.ends_with('.') && (400..600).contains(&ty.status))
        );
    }
}
