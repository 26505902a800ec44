//! Amounts of resources are whole thousandths, rounded up, wherever upstream's core group lists them.

use serde_json::Value;

use crate::object::get_mut;
use crate::quantity::Quantity;

/// Rounds in each of the lists at these paths.
pub(super) fn round<const N: usize>(value: &mut Value, paths: [&str; N]) {
    for path in paths {
        let list = get_mut(value, path).and_then(Value::as_object_mut);
        for amount in list.into_iter().flat_map(serde_json::Map::values_mut) {
            if let Some(rounded) = amount.as_str().and_then(rounded) {
                *amount = rounded.to_string().into();
            }
        }
    }
}

/// What asks for resources: a container, a pod as a whole, a claim.
pub(super) fn round_requirements(value: &mut Value) {
    round(value, ["resources.limits", "resources.requests"]);
}

/// `None` of what needs no rounding. As amounts come canonical, these are told by their end.
fn rounded(amount: &str) -> Option<Quantity> {
    if !amount.ends_with(['n', 'u']) && !amount.contains("e-") {
        return None;
    }
    let exact = Quantity::parse(amount).ok()?;
    let milli = Quantity::from_milli(i64::try_from(exact.milli()).ok()?);
    (milli.nanos() != exact.nanos()).then_some(milli)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parts_of_thousandths_are_rounded_up() {
        let list = json!({"a": "100u", "b": "1500u", "c": "1n", "d": "2m", "e": "1Gi", "f": "-100u", "g": "1e-4", "h": 3});
        let mut value = json!({"spec": {"hard": list}});
        round(&mut value, ["spec.hard", "spec.none"]);
        let want = json!({"a": "1m", "b": "2m", "c": "1m", "d": "2m", "e": "1Gi", "f": "-1m", "g": "1m", "h": 3});
        assert_eq!(value["spec"]["hard"], want);
    }
}
