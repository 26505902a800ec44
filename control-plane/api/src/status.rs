//! `Status`: every answer of the server that is not an object, in upstream's exact words.
//!
//! Clients branch on `code`, `reason` and `details.causes`, and people read `message`, so each
//! constructor is one of the forms a real API server gives. What is chosen when belongs to the
//! server; here is only how it is said.

mod errors;
mod field;
mod forms;
mod requests;
mod shown;

use serde_json::{Map, Value, json};

pub(crate) use errors::Errors;
pub use errors::MAX_ERRORS;
pub(crate) use field::quote;
pub use field::{FieldError, FieldErrorKind};
pub use shown::Shown;
pub(crate) use shown::{MAX_KEY, MAX_PATH, MAX_SHOWN, shorten};

/// Media types the server can write and read, as its refusals list them.
pub const MEDIA_TYPES: &str =
    "application/json, application/yaml, application/vnd.kubernetes.protobuf";

/// Media types of watches, as refusals list them.
pub const STREAM_MEDIA_TYPES: &str =
    "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";

/// An answer of the server about a request: a failure, or a success without an object.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Status {
    /// The HTTP status.
    pub code: u16,
    /// Upstream's machine-readable reason; empty for a success.
    pub reason: &'static str,
    /// For people; empty for a success.
    pub message: String,
    /// What the answer is about. Boxed because a `Status` is the error of nearly every function.
    pub details: Option<Box<Details>>,
    /// For an expired list: a token with which to go on from the present state.
    pub continue_token: Option<String>,
}

/// What a [`Status`] is about.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Details {
    /// Name of the object.
    pub name: String,
    /// Its API group.
    pub group: String,
    /// The plural resource for most answers, the kind for `Invalid` and failed preconditions.
    pub kind: String,
    /// Uid of the object.
    pub uid: String,
    /// One per thing that is wrong.
    pub causes: Vec<Cause>,
    /// After how many seconds to try again; 0 means not said.
    pub retry_after_seconds: u32,
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Cause {
    /// Machine-readable: `FieldValueInvalid`, `ResourceVersionTooLarge`.
    pub reason: String,
    /// For people.
    pub message: String,
    /// Path of the field, when it is about one.
    pub field: String,
}

impl Status {
    /// Whether it says that the request did what it should.
    pub fn is_success(&self) -> bool {
        self.code < 400
    }

    /// After how many seconds the client should try again, for the `Retry-After` header.
    pub fn retry_after_seconds(&self) -> Option<u32> {
        let seconds = self.details.as_ref()?.retry_after_seconds;
        (seconds > 0).then_some(seconds)
    }

    /// The `Status` object.
    pub fn to_value(&self) -> Value {
        let mut metadata = Map::new();
        put(
            &mut metadata,
            "continue",
            self.continue_token.as_deref().unwrap_or(""),
        );
        let mut status = Map::new();
        status.insert("kind".into(), "Status".into());
        status.insert("apiVersion".into(), "v1".into());
        status.insert("metadata".into(), Value::Object(metadata));
        let outcome = if self.is_success() {
            "Success"
        } else {
            "Failure"
        };
        status.insert("status".into(), outcome.into());
        put(&mut status, "message", &self.message);
        put(&mut status, "reason", self.reason);
        if let Some(details) = &self.details {
            status.insert("details".into(), details.to_value());
        }
        // A plain success has no code in the body.
        if self.code != 200 {
            status.insert("code".into(), self.code.into());
        }
        Value::Object(status)
    }

    /// The `Status` object as JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_value().to_string().into_bytes()
    }
}

impl Details {
    fn to_value(&self) -> Value {
        let mut details = Map::new();
        put(&mut details, "name", &self.name);
        put(&mut details, "group", &self.group);
        put(&mut details, "kind", &self.kind);
        put(&mut details, "uid", &self.uid);
        if !self.causes.is_empty() {
            let causes = self.causes.iter().map(Cause::to_value).collect();
            details.insert("causes".into(), Value::Array(causes));
        }
        if self.retry_after_seconds > 0 {
            details.insert("retryAfterSeconds".into(), json!(self.retry_after_seconds));
        }
        Value::Object(details)
    }
}

impl Cause {
    fn to_value(&self) -> Value {
        let mut cause = Map::new();
        put(&mut cause, "reason", &self.reason);
        put(&mut cause, "message", &self.message);
        put(&mut cause, "field", &self.field);
        Value::Object(cause)
    }
}

fn put(map: &mut Map<String, Value>, key: &str, text: &str) {
    if !text.is_empty() {
        map.insert(key.to_owned(), text.into());
    }
}
