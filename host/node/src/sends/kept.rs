//! Answers as the store keeps them: for repeated idempotency keys and for asynchronous calls.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use granary_core::error::{CallError, Failure};
use granary_core::id::{Epoch, Revision};
use serde::{Deserialize, Serialize};

use crate::grains::{Answer, AnswerBody, Timing};

/// A format of its own: [`Answer`] may change without making kept answers unreadable.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kept {
    Answer {
        body: Body,
        revision: Revision,
        version: u64,
        epoch: Epoch,
        cpu_us: u64,
    },
    Failure(Failure),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Body {
    Json(String),
    Cbor(String),
    Raw(String),
    Unit,
}

/// What the store is to keep of a call's end.
pub(crate) fn encode(result: &Result<Answer, Failure>) -> Vec<u8> {
    let kept = match result {
        Ok(answer) => Kept::Answer {
            body: match &answer.body {
                AnswerBody::Json(text) => Body::Json(String::from_utf8_lossy(text).into_owned()),
                AnswerBody::Cbor(bytes) => Body::Cbor(STANDARD.encode(bytes)),
                AnswerBody::Raw(bytes) => Body::Raw(STANDARD.encode(bytes)),
                AnswerBody::Unit => Body::Unit,
                AnswerBody::Typed(_) => unreachable!("a call whose answer is kept asks for text"),
            },
            revision: answer.grain_revision,
            version: answer.state_version,
            epoch: answer.epoch,
            cpu_us: u64::try_from(answer.cpu.as_micros()).unwrap_or(u64::MAX),
        },
        Err(failure) => Kept::Failure(failure.clone()),
    };
    serde_json::to_vec(&kept).expect("plain data with text keys is always JSON")
}

/// The end of a call as it was kept, marked as replayed. Errors: `Unavailable`, when the record does not decode.
pub(crate) fn decode(bytes: &[u8]) -> Result<Result<Answer, Failure>, CallError> {
    let damaged = |why: String| CallError::Unavailable {
        detail: format!("the kept answer is damaged: {why}"),
    };
    let binary = |text: String| {
        STANDARD
            .decode(text)
            .map_err(|error| damaged(error.to_string()))
    };
    match serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))? {
        Kept::Failure(failure) => Ok(Err(failure)),
        Kept::Answer {
            body,
            revision,
            version,
            epoch,
            cpu_us,
        } => Ok(Ok(Answer {
            body: match body {
                Body::Json(text) => AnswerBody::Json(text.into_bytes()),
                Body::Cbor(text) => AnswerBody::Cbor(binary(text)?),
                Body::Raw(text) => AnswerBody::Raw(binary(text)?),
                Body::Unit => AnswerBody::Unit,
            },
            grain_revision: revision,
            state_version: version,
            cpu: Duration::from_micros(cpu_us),
            cold: false,
            epoch,
            replayed: true,
            timing: Timing::default(),
        })),
    }
}

/// Why a message was given up, as the store keeps it.
pub(crate) fn encode_failure(failure: &Failure) -> Vec<u8> {
    serde_json::to_vec(failure).expect("plain data with text keys is always JSON")
}

/// The reverse; a record that does not decode becomes a failure that says so.
pub(crate) fn decode_failure(bytes: &[u8]) -> Failure {
    serde_json::from_slice(bytes).unwrap_or_else(|error| {
        CallError::UnknownOutcome {
            detail: format!("the kept failure is damaged: {error}"),
        }
        .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_answer_survives_being_kept() {
        let bodies = [
            AnswerBody::Json(b"{\"a\":\"\xc3\xbc\"}".to_vec()),
            AnswerBody::Cbor(vec![0, 255]),
            AnswerBody::Raw(vec![1, 2, 3]),
            AnswerBody::Unit,
        ];
        for body in bodies {
            let answer = Answer {
                body,
                grain_revision: Revision(3),
                state_version: 7,
                cpu: Duration::from_micros(12),
                cold: false,
                epoch: Epoch(9),
                replayed: true,
                timing: Timing::default(),
            };
            assert_eq!(decode(&encode(&Ok(answer.clone()))).unwrap(), Ok(answer));
        }
    }

    #[test]
    fn failures_survive_and_damage_is_told() {
        let failure: Failure = CallError::App {
            value: "{\"no\":1}".into(),
            rolled_back: true,
        }
        .into();
        assert_eq!(
            decode(&encode(&Err(failure.clone()))).unwrap(),
            Err(failure.clone())
        );
        assert_eq!(decode_failure(&encode_failure(&failure)), failure);
        assert!(matches!(decode(b"{"), Err(CallError::Unavailable { .. })));
        assert!(matches!(
            decode_failure(b"x").error,
            CallError::UnknownOutcome { .. }
        ));
    }
}
