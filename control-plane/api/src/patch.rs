//! Patches: JSON Patch (RFC 6902), JSON merge patch (RFC 7396) and strategic merge patch.
//!
//! Each takes the object as it is and gives the object as it shall be. Whether the result is a
//! valid object of its kind is for decoding and validation to say.

mod lenient;
mod strategic;

use json_patch::{MoveOperation, PatchError as OperationError, PatchOperation};
use serde_json::Value;

use crate::object::{MAX_NESTING, nests_deeper};
use crate::status::Status;

pub use strategic::strategic;

/// Most operations in one JSON patch, as upstream.
pub const MAX_JSON_PATCH_OPERATIONS: usize = 10_000;
/// Most bytes that `copy` operations of one JSON patch may add together: without this limit a few
/// of them could double the object until memory ends.
pub const MAX_COPIED_BYTES: usize = 3 * 1024 * 1024;

/// How many items of lists all its operations together may push along, and values they may move deeper: some tenths of
/// a second's work.
const MAX_MOVED_ITEMS: usize = 10_000_000;

/// Why a patch gives no object.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// It is not a patch of this type, or breaks one of its rules. For some of the rules of strategic merge patches
    /// upstream has no class of errors and answers 500; the fault is the client's all the same.
    #[error("{0}")]
    Malformed(String),
    /// It has more operations, or copies more, than allowed.
    #[error("{0}")]
    TooLarge(String),
    /// An operation failed: a `test` did not hold, or a path leads nowhere.
    #[error("the patch does not apply")]
    Operation(#[source] OperationError),
    /// A strategic merge patch that is well-formed does not fit the lists it speaks of.
    #[error("{0}")]
    NotApplicable(String),
}

/// The answer upstream gives for each.
impl From<PatchError> for Status {
    fn from(error: PatchError) -> Status {
        match error {
            PatchError::Malformed(why) => Status::bad_request(why),
            PatchError::TooLarge(why) => Status::too_large(&why),
            PatchError::Operation(_) | PatchError::NotApplicable(_) => Status::unprocessable(),
        }
    }
}

/// Applies the operations of a JSON patch in order; all or none.
pub fn json_patch(original: &Value, operations: &[u8]) -> Result<Value, PatchError> {
    let operations = read_operations(operations)?;
    let count = operations.len();
    if count > MAX_JSON_PATCH_OPERATIONS {
        return Err(PatchError::TooLarge(format!(
            "The allowed maximum operations in a JSON patch is {MAX_JSON_PATCH_OPERATIONS}, got \
             {count}"
        )));
    }
    let mut patched = original.clone();
    let (mut copied, mut moved) = (0, 0);
    for operation in operations.0 {
        let Some(operation) = lenient::resolve(operation, &patched) else {
            continue;
        };
        if let PatchOperation::Copy(copy) = &operation {
            copied += patched
                .pointer(copy.from.as_str())
                .map_or(0, |from| from.to_string().len());
            if copied > MAX_COPIED_BYTES {
                return Err(PatchError::TooLarge(format!(
                    "the copies of a JSON patch may add {MAX_COPIED_BYTES} bytes"
                )));
            }
        }
        moved += moved_items(&operation, &patched);
        if moved > MAX_MOVED_ITEMS {
            return Err(PatchError::TooLarge(format!(
                "the operations of a JSON patch may move {MAX_MOVED_ITEMS} items of lists"
            )));
        }
        if too_deep(&operation, &patched) {
            return Err(PatchError::Malformed(format!(
                "the operations of a JSON patch may nest an object {MAX_NESTING} levels deep"
            )));
        }
        json_patch::patch_unsafe(&mut patched, &[operation]).map_err(PatchError::Operation)?;
    }
    Ok(patched)
}

/// What is no list of objects is no JSON patch; an object that is no operation is one that does not apply.
fn read_operations(bytes: &[u8]) -> Result<json_patch::Patch, PatchError> {
    let malformed = |why: String| PatchError::Malformed(format!("error decoding patch: {why}"));
    let mut given: Value =
        serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
    let mismatch = |value: &Value, wanted: &str| {
        let found = json_type(value);
        malformed(format!(
            "json: cannot unmarshal {found} into Go value of type {wanted}"
        ))
    };
    match &mut given {
        Value::Null => return Ok(json_patch::Patch(Vec::new())),
        Value::Array(all) => {
            for one in all {
                match one {
                    Value::Object(operation) => lenient::complete(operation),
                    // No operation, which does not apply.
                    Value::Null => {}
                    wrong => return Err(mismatch(wrong, "handlers.jsonPatchOp")),
                }
            }
        }
        other => return Err(mismatch(other, "[]handlers.jsonPatchOp")),
    }
    serde_json::from_value(given).map_err(|error| PatchError::NotApplicable(error.to_string()))
}

/// Reads a merge patch.
pub fn read_merge(bytes: &[u8]) -> Result<Value, PatchError> {
    let malformed = |why| PatchError::Malformed(format!("error decoding patch: {why}"));
    let map = read_map(bytes).map_err(malformed)?;
    map.ok_or_else(|| PatchError::Malformed("Invalid JSON Patch".to_owned()))
}

/// Reads a strategic merge patch. `null` is Go's nil map: nothing to merge.
pub fn read_strategic(bytes: &[u8]) -> Result<Value, PatchError> {
    let map = read_map(bytes).map_err(PatchError::Malformed)?;
    Ok(map.unwrap_or_else(|| Value::Object(serde_json::Map::new())))
}

/// An object, or nothing.
fn read_map(bytes: &[u8]) -> Result<Option<Value>, String> {
    match serde_json::from_slice(bytes) {
        Ok(map @ Value::Object(_)) => Ok(Some(map)),
        Ok(Value::Null) => Ok(None),
        Ok(other) => Err(format!(
            "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            json_type(&other)
        )),
        Err(error) => Err(error.to_string()),
    }
}

/// As Go's decoder calls it.
fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Whether an operation would nest the object deeper than it may ever be. It is asked before each, since copies double the
/// depth and everything that walks over a value, its end included, takes stack for each level.
fn too_deep(operation: &PatchOperation, patched: &Value) -> bool {
    let value = match operation {
        PatchOperation::Add(add) => Some(&add.value),
        PatchOperation::Replace(replace) => Some(&replace.value),
        PatchOperation::Copy(copy) => patched.pointer(copy.from.as_str()),
        PatchOperation::Move(from_to) => deepened(from_to, patched),
        PatchOperation::Remove(_) | PatchOperation::Test(_) => None,
    };
    let above = operation.path().count();
    value.is_some_and(|value| nests_deeper(value, MAX_NESTING.saturating_sub(above)))
}

/// What an operation moves to a place deeper than where it is.
fn deepened<'v>(from_to: &MoveOperation, patched: &'v Value) -> Option<&'v Value> {
    let deeper = from_to.path.count() > from_to.from.count();
    patched.pointer(from_to.from.as_str()).filter(|_| deeper)
}

/// How many values there are in one, itself included.
fn values_in(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(values_in).sum::<usize>(),
        Value::Object(fields) => 1 + fields.values().map(values_in).sum::<usize>(),
        _ => 1,
    }
}

/// How many items of lists an operation pushes along or pulls up, and how many values it moves deeper.
fn moved_items(operation: &PatchOperation, patched: &Value) -> usize {
    let behind = |path: &str| {
        let (list, at) = path.rsplit_once('/')?;
        let length = patched.pointer(list)?.as_array()?.len();
        // `-` is behind the last.
        Some(at.parse().map_or(0, |at: usize| length.saturating_sub(at)))
    };
    let behind = |path: &str| behind(path).unwrap_or(0);
    match operation {
        PatchOperation::Add(add) => behind(add.path.as_str()),
        PatchOperation::Remove(remove) => behind(remove.path.as_str()),
        PatchOperation::Copy(copy) => behind(copy.path.as_str()),
        PatchOperation::Move(from_to) => {
            let deeper = deepened(from_to, patched).map_or(0, values_in);
            behind(from_to.from.as_str()) + behind(from_to.path.as_str()) + deeper
        }
        PatchOperation::Replace(_) | PatchOperation::Test(_) => 0,
    }
}

/// Merges a JSON merge patch: maps merge, null deletes, everything else replaces.
pub fn merge_patch(original: &Value, patch: &Value) -> Value {
    let mut merged = original.clone();
    json_patch::merge(&mut merged, patch);
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn json_patches() {
        let check = |operations: Value, expect: Value| {
            let original = json!({"a": {"b": 1}, "l": [1, 2]});
            let patched = json_patch(&original, operations.to_string().as_bytes());
            assert_eq!(patched.expect("applies"), expect);
        };
        check(json!([]), json!({"a": {"b": 1}, "l": [1, 2]}));
        check(
            json!([{"op": "test", "path": "/a/b", "value": 1},
                {"op": "replace", "path": "/a/b", "value": 2}]),
            json!({"a": {"b": 2}, "l": [1, 2]}),
        );
        check(
            json!([{"op": "replace", "path": "/a/new", "value": 2}]),
            json!({"a": {"b": 1, "new": 2}, "l": [1, 2]}),
        );
        check(
            json!([{"op": "add", "path": "/l/-", "value": 3}, {"op": "remove", "path": "/a"}]),
            json!({"l": [1, 2, 3]}),
        );
        check(
            json!([{"op": "move", "from": "/a/b", "path": "/c"},
                {"op": "copy", "from": "/c", "path": "/d"}]),
            json!({"a": {}, "l": [1, 2], "c": 1, "d": 1}),
        );
    }

    #[test]
    fn a_patch_that_moves_too_much() {
        let original = json!({"l": vec![0; 200_000]});
        let operation = r#"{"op": "add", "path": "/l/0", "value": 0}"#;
        let many = format!("[{}]", vec![operation; 100].join(","));
        let refused = json_patch(&original, many.as_bytes());
        assert!(
            matches!(refused, Err(PatchError::TooLarge(_))),
            "{refused:?}"
        );
        let few = format!("[{}]", [operation; 10].join(","));
        assert!(json_patch(&original, few.as_bytes()).is_ok());
        let at_the_end = many.replace("/l/0", "/l/-");
        assert!(json_patch(&original, at_the_end.as_bytes()).is_ok());
    }

    /// A few copies, each of the whole into its own deepest place, double the depth with each step. Even to drop what
    /// comes of it would overflow the stack, and that ends the process.
    #[test]
    fn a_patch_that_nests_too_deep() {
        let check = |operations: &[Value], applies: bool| {
            let operations = Value::from(operations).to_string();
            match json_patch(&json!({}), operations.as_bytes()) {
                Ok(_) => assert!(applies, "{operations}"),
                Err(error) => {
                    assert!(!applies, "{operations}: {error}");
                    assert_eq!(Status::from(error).code, 400);
                }
            }
        };
        let mut double = vec![json!({"op": "add", "path": "/x", "value": {}})];
        double.extend(
            (0..16).map(
                |step| json!({"op": "copy", "from": "/x", "path": "/x".repeat((1 << step) + 1)}),
            ),
        );
        check(&double, false);
        // 64 levels below the object, and one more inside the last.
        check(&double[..7], true);
        check(&double[..8], false);
        let nested = |levels: usize| (1..levels).fold(json!({}), |inner, _| json!({"x": inner}));
        let (path, value) = ("/x".repeat(61), nested(60));
        let start = json!({"op": "add", "path": "/x", "value": nested(60)});
        let y = json!({"op": "add", "path": "/y", "value": nested(60)});
        for (operation, fits) in [
            (
                json!({"op": "add", "path": "/x".repeat(60), "value": nested(60)}),
                true,
            ),
            (json!({"op": "add", "path": path, "value": value}), false),
            (
                json!({"op": "replace", "path": path, "value": value}),
                false,
            ),
            (json!({"op": "move", "from": "/y", "path": path}), false),
            (
                json!({"op": "move", "from": "/y", "path": "/x".repeat(60)}),
                true,
            ),
        ] {
            check(&[start.clone(), y.clone(), operation], fits);
        }
    }

    /// To see how deep a value is that moves takes a look at all of it.
    #[test]
    fn a_patch_that_moves_a_large_value_deeper_and_back() {
        let original = json!({"a": vec![0; 200_000], "b": {}});
        let there = r#"{"op": "move", "from": "/a", "path": "/b/a"}"#;
        let back = r#"{"op": "move", "from": "/b/a", "path": "/a"}"#;
        let moves =
            |count: usize| format!("[{}]", vec![format!("{there},{back}"); count].join(","));
        assert!(json_patch(&original, moves(10).as_bytes()).is_ok());
        let refused = json_patch(&original, moves(100).as_bytes());
        assert!(matches!(refused, Err(PatchError::TooLarge(_))));
    }

    #[test]
    fn json_patch_refusals() {
        let check = |operations: Value, code: u16| {
            let original = json!({"a": {"b": "0123456789"}});
            let error = json_patch(&original, operations.to_string().as_bytes()).expect_err("bad");
            assert_eq!(Status::from(error).code, code, "{operations}");
        };
        check(json!({"a": 1}), 400);
        check(json!([1]), 400);
        check(json!([null]), 422);
        check(json!([{"op": "frobnicate", "path": "/a"}]), 422);
        check(json!([{"op": "test", "path": "/a", "value": 2}]), 422);
        check(json!([{"op": "remove", "path": "/nope"}]), 422);
        check(json!([{"op": "add", "path": "/x/y", "value": 1}]), 422);
        check(json!([{"op": "replace", "path": "/x/y", "value": 1}]), 422);
        check(
            json!([{"op": "replace", "path": "/a/b/c", "value": 1}]),
            422,
        );
        let many = vec![json!({"op": "test", "path": "/a", "value": 1}); 10_001];
        check(Value::Array(many), 413);
        // Each step doubles the object; the limit ends it long before memory does.
        let double: Vec<Value> = (0..60)
            .map(|at| json!({"op": "copy", "from": "", "path": format!("/a/c{at}")}))
            .collect();
        check(Value::Array(double), 413);
    }

    #[test]
    fn merge_patches() {
        let original = json!({"a": {"b": 1, "c": 2}, "l": [1]});
        let patch = json!({"a": {"b": null, "d": 3}, "l": [2]});
        assert_eq!(
            merge_patch(&original, &patch),
            json!({"a": {"c": 2, "d": 3}, "l": [2]})
        );
    }

    proptest! {
        #[test]
        fn operations_never_panic(
            op in "add|remove|replace|move|copy|test",
            path in "(/[a-c0-9~-]{0,3}){0,3}",
            from in "(/[a-c0-9~-]{0,3}){0,3}",
        ) {
            let operations = json!([{"op": op, "path": path, "from": from, "value": 1}]);
            let original = json!({"a": [1, {"b": 2}], "b": {"c": 3}});
            let _ = json_patch(&original, operations.to_string().as_bytes());
        }
    }
}
