//! Where upstream's library takes more of a JSON patch than RFC 6902 allows, and clients have come to rely on it: indexes
//! that count from the end, values that are left out, members that are not there.

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, PatchOperation};
use serde_json::{Map, Value};

/// Completes an operation as it was sent: `null` for a value left out, and what is before a path's first slash goes.
pub(super) fn complete(operation: &mut Map<String, Value>) {
    let takes_value = |op: &str| matches!(op, "add" | "replace" | "test");
    let op = operation.get("op").and_then(Value::as_str);
    if op.is_some_and(takes_value) && !operation.contains_key("value") {
        operation.insert("value".to_owned(), Value::Null);
    }
    for name in ["path", "from"] {
        if let Some(Value::String(path)) = operation.get_mut(name)
            && let Some(slash) = path.find('/')
        {
            path.drain(..slash);
        }
    }
}

/// The operation as it is to be carried out on what there is; `None` when there is nothing to do for it.
pub(super) fn resolve(mut operation: PatchOperation, patched: &Value) -> Option<PatchOperation> {
    // What is added may go behind the last item.
    let (path, from, room) = match &mut operation {
        PatchOperation::Add(add) => (&mut add.path, None, 1),
        PatchOperation::Copy(copy) => (&mut copy.path, Some(&mut copy.from), 1),
        PatchOperation::Move(from_to) => (&mut from_to.path, Some(&mut from_to.from), 0),
        PatchOperation::Remove(remove) => (&mut remove.path, None, 0),
        PatchOperation::Replace(replace) => (&mut replace.path, None, 0),
        PatchOperation::Test(test) => (&mut test.path, None, 0),
    };
    count_from_end(path, patched, room);
    if let Some(from) = from {
        count_from_end(from, patched, 0);
    }
    Some(match operation {
        PatchOperation::Replace(replace) if lacks(patched, replace.path.as_str()) => {
            let (path, value) = (replace.path, replace.value);
            PatchOperation::Add(AddOperation { path, value })
        }
        PatchOperation::Copy(copy) if lacks(patched, copy.from.as_str()) => {
            let (path, value) = (copy.path, Value::Null);
            PatchOperation::Add(AddOperation { path, value })
        }
        PatchOperation::Test(test) if test.value.is_null() => {
            if lacks(patched, test.path.as_str()) {
                return None;
            }
            PatchOperation::Test(test)
        }
        operation => operation,
    })
}

/// Whether a path names a member that its object does not have.
fn lacks(patched: &Value, path: &str) -> bool {
    let parent = path
        .rsplit_once('/')
        .and_then(|(parent, _)| patched.pointer(parent));
    patched.pointer(path).is_none() && parent.is_some_and(Value::is_object)
}

/// Makes indexes what the library takes them for: any decimal number, from the end if it is negative.
fn count_from_end(path: &mut PointerBuf, patched: &Value, room: usize) {
    let (mut at, mut tokens, mut changed) = (Some(patched), Vec::new(), false);
    let mut left = path.as_str().split('/').skip(1).peekable();
    while let Some(token) = left.next() {
        let mut token = token.to_owned();
        if let Some(Value::Array(items)) = at
            && let Ok(index) = token.parse::<i64>()
        {
            let behind = if left.peek().is_none() { room } else { 0 };
            let index = match usize::try_from(index) {
                Ok(index) => Some(index),
                Err(_) => usize::try_from(index.unsigned_abs())
                    .ok()
                    .and_then(|back| (items.len() + behind).checked_sub(back)),
            };
            let index = index.map(|index| index.to_string());
            if let Some(index) = index.filter(|index| *index != token) {
                (token, changed) = (index, true);
            }
        }
        at = at.and_then(|value| value.pointer(&format!("/{token}")));
        tokens.push(token);
    }
    if changed && let Ok(counted) = PointerBuf::parse(format!("/{}", tokens.join("/"))) {
        *path = counted;
    }
}

#[cfg(test)]
mod tests {
    use crate::patch::json_patch;
    use serde_json::{Value, json};

    /// As observed on a kube-apiserver.
    #[test]
    fn what_is_taken_beyond_the_standard() {
        let check = |operation: Value, expect: Option<Value>| {
            let original = json!({"a": {"b": 1}, "l": [1, 2], "n": null});
            let operations = json!([operation]).to_string();
            let patched = json_patch(&original, operations.as_bytes());
            assert_eq!(patched.ok(), expect, "{operation}");
        };
        let list = |items: Value| Some(json!({"a": {"b": 1}, "l": items, "n": null}));
        let inner = |inner: Value| Some(json!({"a": inner, "l": [1, 2], "n": null}));
        let same = || list(json!([1, 2]));
        for (op, path, expect) in [
            ("add", "/a/x", inner(json!({"b": 1, "x": null}))),
            ("replace", "/a/b", inner(json!({"b": null}))),
            ("test", "/a/x", same()),
            ("test", "/n", same()),
            ("test", "/a/b", None),
            ("test", "/x/y", None),
            ("test", "/l/5", None),
            ("test", "", None),
            ("remove", "/l/-1", list(json!([1]))),
            ("remove", "/l/-2", list(json!([2]))),
            ("remove", "/l/-3", None),
            ("remove", "/l/2", None),
            ("remove", "/l/-", None),
        ] {
            check(json!({"op": op, "path": path}), expect);
        }
        for (op, path, expect) in [
            ("add", "/l/-1", list(json!([1, 2, 9]))),
            ("add", "/l/-2", list(json!([1, 9, 2]))),
            ("add", "/l/-3", list(json!([9, 1, 2]))),
            ("add", "/l/-4", None),
            ("add", "/l/+1", list(json!([1, 9, 2]))),
            ("add", "/l/01", list(json!([1, 9, 2]))),
            ("add", "/l/3", None),
            ("add", "/l/x", None),
            ("add", "x/a/b", inner(json!({"b": 9}))),
            ("add", "x", None),
            ("replace", "/l/-1", list(json!([1, 9]))),
            ("replace", "/l/-3", None),
            ("replace", "/l/2", None),
            ("test", "/l/-1", None),
        ] {
            check(json!({"op": op, "path": path, "value": 9}), expect);
        }
        check(json!({"op": "test", "path": "/l/-1", "value": 2}), same());
        for (op, from, path, expect) in [
            ("copy", "/l/-1", "/l/-1", list(json!([1, 2, 2]))),
            ("copy", "/a/x", "/a/b", inner(json!({"b": null}))),
            ("copy", "/x/y", "/a/b", None),
            ("move", "/l/-1", "/l/0", list(json!([2, 1]))),
            ("move", "/x", "/a/b", None),
        ] {
            check(json!({"op": op, "from": from, "path": path}), expect);
        }
    }
}
