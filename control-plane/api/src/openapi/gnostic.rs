//! Version 2 as the message `openapi.v2.Document` of gnostic, which older clients read instead of
//! JSON. A table per message says under which tag each member of the JSON form goes.

use serde_json::Value;

/// How a member is encoded.
#[derive(Clone, Copy)]
enum Form {
    Text,
    Flag,
    Integer,
    Number,
    Texts,
    /// A message.
    One(&'static Message),
    /// An object with free keys: a message that holds its members in a list.
    Named(&'static Message),
    /// Any value, as text.
    Any,
    Anys,
    /// A schema inside a message of one field.
    Items,
    /// A schema or a boolean.
    Additional,
    /// `type`, which may be a list.
    Types,
    Parameters,
    Responses,
}

struct Message {
    members: &'static [(&'static str, u32, Form)],
    /// The tag of what starts with `x-`.
    extensions: u32,
}

static SCHEMA: Message = Message {
    members: &[
        ("$ref", 1, Form::Text),
        ("format", 2, Form::Text),
        ("title", 3, Form::Text),
        ("description", 4, Form::Text),
        ("default", 5, Form::Any),
        ("multipleOf", 6, Form::Number),
        ("maximum", 7, Form::Number),
        ("exclusiveMaximum", 8, Form::Flag),
        ("minimum", 9, Form::Number),
        ("exclusiveMinimum", 10, Form::Flag),
        ("maxLength", 11, Form::Integer),
        ("minLength", 12, Form::Integer),
        ("pattern", 13, Form::Text),
        ("maxItems", 14, Form::Integer),
        ("minItems", 15, Form::Integer),
        ("uniqueItems", 16, Form::Flag),
        ("maxProperties", 17, Form::Integer),
        ("minProperties", 18, Form::Integer),
        ("required", 19, Form::Texts),
        ("enum", 20, Form::Anys),
        ("additionalProperties", 21, Form::Additional),
        ("type", 22, Form::Types),
        ("items", 23, Form::Items),
        ("properties", 25, Form::Named(&SCHEMA)),
        ("example", 30, Form::Any),
    ],
    extensions: 31,
};

static BODY: Message = Message {
    members: &[
        ("description", 1, Form::Text),
        ("name", 2, Form::Text),
        ("in", 3, Form::Text),
        ("required", 4, Form::Flag),
        ("schema", 5, Form::One(&SCHEMA)),
    ],
    extensions: 6,
};

static QUERY: Message = Message {
    members: &[
        ("required", 1, Form::Flag),
        ("in", 2, Form::Text),
        ("description", 3, Form::Text),
        ("name", 4, Form::Text),
        ("type", 6, Form::Text),
        ("uniqueItems", 20, Form::Flag),
    ],
    extensions: 23,
};

static PATH: Message = Message {
    members: &[
        ("required", 1, Form::Flag),
        ("in", 2, Form::Text),
        ("description", 3, Form::Text),
        ("name", 4, Form::Text),
        ("type", 5, Form::Text),
        ("uniqueItems", 19, Form::Flag),
    ],
    extensions: 22,
};

static RESPONSE: Message = Message {
    members: &[
        ("description", 1, Form::Text),
        // Inside a message that could also hold the schema of a file.
        ("schema", 2, Form::Items),
    ],
    extensions: 5,
};

static OPERATION: Message = Message {
    members: &[
        ("tags", 1, Form::Texts),
        ("description", 3, Form::Text),
        ("operationId", 5, Form::Text),
        ("produces", 6, Form::Texts),
        ("consumes", 7, Form::Texts),
        ("parameters", 8, Form::Parameters),
        ("responses", 9, Form::Responses),
        ("schemes", 10, Form::Texts),
    ],
    extensions: 13,
};

static PATH_ITEM: Message = Message {
    members: &[
        ("get", 2, Form::One(&OPERATION)),
        ("put", 3, Form::One(&OPERATION)),
        ("post", 4, Form::One(&OPERATION)),
        ("delete", 5, Form::One(&OPERATION)),
        ("options", 6, Form::One(&OPERATION)),
        ("head", 7, Form::One(&OPERATION)),
        ("patch", 8, Form::One(&OPERATION)),
        ("parameters", 9, Form::Parameters),
    ],
    extensions: 10,
};

static INFO: Message = Message {
    members: &[("title", 1, Form::Text), ("version", 2, Form::Text)],
    extensions: 7,
};

static API_KEY: Message = Message {
    members: &[
        ("type", 1, Form::Text),
        ("name", 2, Form::Text),
        ("in", 3, Form::Text),
        ("description", 4, Form::Text),
    ],
    extensions: 5,
};

/// Tags of the document.
const SWAGGER: u32 = 1;
const INFO_TAG: u32 = 2;
const PATHS: u32 = 8;
const DEFINITIONS: u32 = 9;
const SECURITY: u32 = 12;
const SECURITY_DEFINITIONS: u32 = 13;

/// What stands before paths and definitions.
pub(super) fn head(info: &Value, token: &Value) -> Vec<u8> {
    const NAME: &str = "BearerToken";
    let mut out = Vec::new();
    text(&mut out, SWAGGER, "2.0");
    nested(&mut out, INFO_TAG, &INFO.encode(info));
    nested(&mut out, SECURITY, &within(1, &named(NAME, &[])));
    let key = within(2, &API_KEY.encode(token));
    nested(
        &mut out,
        SECURITY_DEFINITIONS,
        &within(1, &named(NAME, &key)),
    );
    out
}

/// One path. Messages of one field that come in pieces are merged by every reader, so paths and
/// definitions are written one by one.
pub(super) fn path(path: &str, item: &Value) -> Vec<u8> {
    within(PATHS, &within(2, &named(path, &PATH_ITEM.encode(item))))
}

/// One definition.
pub(super) fn definition(name: &str, schema: &Value) -> Vec<u8> {
    within(
        DEFINITIONS,
        &within(1, &named(name, &SCHEMA.encode(schema))),
    )
}

impl Message {
    fn encode(&self, value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, member) in value.as_object().into_iter().flatten() {
            if name.starts_with("x-") {
                nested(&mut out, self.extensions, &named(name, &any(member)));
            } else if let Some((_, tag, form)) = self.members.iter().find(|(it, _, _)| it == name) {
                form.write(&mut out, *tag, member);
            }
        }
        out
    }
}

impl Form {
    fn write(self, out: &mut Vec<u8>, tag: u32, value: &Value) {
        let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
        match self {
            Form::Text => text(out, tag, value.as_str().unwrap_or_default()),
            Form::Flag => integer(out, tag, u64::from(value.as_bool().unwrap_or_default())),
            Form::Integer => integer(out, tag, value.as_u64().unwrap_or_default()),
            Form::Number => number(out, tag, value.as_f64().unwrap_or_default()),
            Form::Texts => texts(out, tag, list),
            Form::One(message) => nested(out, tag, &message.encode(value)),
            Form::Named(message) => {
                let members = value.as_object().into_iter().flatten();
                let mut all = Vec::new();
                for (name, member) in members {
                    nested(&mut all, 1, &named(name, &message.encode(member)));
                }
                nested(out, tag, &all);
            }
            Form::Any => nested(out, tag, &any(value)),
            Form::Anys => {
                for item in list {
                    nested(out, tag, &any(item));
                }
            }
            Form::Items => nested(out, tag, &within(1, &SCHEMA.encode(value))),
            Form::Additional => {
                let mut item = Vec::new();
                match value.as_bool() {
                    Some(flag) => integer(&mut item, 2, u64::from(flag)),
                    None => nested(&mut item, 1, &SCHEMA.encode(value)),
                }
                nested(out, tag, &item);
            }
            Form::Types => {
                let mut types = Vec::new();
                match value.as_str() {
                    Some(one) => text(&mut types, 1, one),
                    None => texts(&mut types, 1, list),
                }
                nested(out, tag, &types);
            }
            Form::Parameters => {
                for item in list {
                    nested(out, tag, &within(1, &parameter(item)));
                }
            }
            Form::Responses => {
                let members = value.as_object().into_iter().flatten();
                let mut all = Vec::new();
                for (code, response) in members {
                    let response = within(1, &RESPONSE.encode(response));
                    nested(&mut all, 1, &named(code, &response));
                }
                nested(out, tag, &all);
            }
        }
    }
}

/// Body parameters are one message, the others another that holds one more.
fn parameter(value: &Value) -> Vec<u8> {
    match value["in"].as_str() {
        Some("body") => within(1, &BODY.encode(value)),
        Some("path") => within(2, &within(4, &PATH.encode(value))),
        _ => within(2, &within(3, &QUERY.encode(value))),
    }
}

/// A value as text: JSON is YAML.
fn any(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    text(&mut out, 2, &value.to_string());
    out
}

fn named(name: &str, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    text(&mut out, 1, name);
    nested(&mut out, 2, value);
    out
}

fn within(tag: u32, message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 8);
    nested(&mut out, tag, message);
    out
}

fn texts(out: &mut Vec<u8>, tag: u32, list: &[Value]) {
    for item in list {
        text(out, tag, item.as_str().unwrap_or_default());
    }
}

fn text(out: &mut Vec<u8>, tag: u32, text: &str) {
    nested(out, tag, text.as_bytes());
}

fn nested(out: &mut Vec<u8>, tag: u32, bytes: &[u8]) {
    varint(out, u64::from(tag << 3 | 2));
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn integer(out: &mut Vec<u8>, tag: u32, value: u64) {
    varint(out, u64::from(tag << 3));
    varint(out, value);
}

fn number(out: &mut Vec<u8>, tag: u32, value: f64) {
    varint(out, u64::from(tag << 3 | 1));
    out.extend_from_slice(&value.to_le_bytes());
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
