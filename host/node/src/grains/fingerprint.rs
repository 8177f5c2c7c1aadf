//! What tells a repeated call from another one under the same idempotency key.

use granary_runtime::Payload;
use sha2::{Digest, Sha256};

use super::call::{Call, CallArguments};

/// A hash of method and arguments that every run of every version computes alike.
pub(crate) fn fingerprint(call: &Call) -> u64 {
    let mut hash = Sha256::new();
    hash.update(call.method.as_bytes());
    let written;
    let (tag, bytes): (u8, &[u8]) = match &call.arguments {
        CallArguments::Payload(Payload::Json(bytes)) => (1, bytes),
        CallArguments::Payload(Payload::Cbor(bytes)) => (2, bytes),
        CallArguments::Payload(Payload::Raw(bytes)) => (3, bytes),
        // The same call, whether it comes as values or as text.
        CallArguments::Payload(Payload::Typed(typed)) => {
            written = typed.to_json();
            (1, &written)
        }
        CallArguments::Query(query) => (4, query.as_bytes()),
    };
    hash.update([0, tag]);
    hash.update(bytes);
    let digest: [u8; 32] = hash.finalize().into();
    u64::from_le_bytes(digest[..8].try_into().expect("a digest has eight bytes"))
}

#[cfg(test)]
mod tests {
    use granary_core::id::GrainId;

    use super::*;

    #[test]
    fn a_fingerprint_tells_methods_arguments_and_encodings_apart() {
        let grain = GrainId::parse("a/b").unwrap();
        let call = |method: &str, json: &str| Call::new(grain.clone(), method, json);
        let of = |method, json| fingerprint(&call(method, json));
        assert_eq!(of("add", "[1]"), of("add", "[1]"));
        assert_ne!(of("add", "[1]"), of("add", "[2]"));
        assert_ne!(of("add", "[1]"), of("ad", "d[1]"));
        let query = Call {
            arguments: CallArguments::Query("[1]".into()),
            ..call("add", "")
        };
        assert_ne!(fingerprint(&query), of("add", "[1]"));
    }
}
