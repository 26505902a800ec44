//! Requirements of node selectors: which nodes a pod or a volume may be on.

/// Whether a node that has `value` under a requirement's key is one that the requirement means.
pub fn node_requirement_matches(operator: &str, wanted: &[String], value: Option<&str>) -> bool {
    let listed = |value: &str| wanted.iter().any(|one| one == value);
    let compare = |order: fn(&i64, &i64) -> bool| {
        let number = |text: &str| text.parse::<i64>().ok();
        let bound = wanted.first().and_then(|text| number(text));
        let pair = value.and_then(number).zip(bound);
        pair.is_some_and(|(actual, bound)| order(&actual, &bound))
    };
    match operator {
        "In" => value.is_some_and(listed),
        "NotIn" => !value.is_some_and(listed),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => compare(i64::gt),
        "Lt" => compare(i64::lt),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators() {
        for (operator, wanted, value, expect) in [
            ("In", &["a", "b"][..], Some("a"), true),
            ("In", &["b"], Some("a"), false),
            ("In", &["b"], None, false),
            ("NotIn", &["b"], Some("a"), true),
            ("NotIn", &["b"], None, true),
            ("NotIn", &["a"], Some("a"), false),
            ("Exists", &[], Some("a"), true),
            ("DoesNotExist", &[], Some("a"), false),
            ("Gt", &["6"], Some("7"), true),
            ("Lt", &["7"], Some("7"), false),
            ("Lt", &["7"], Some("many"), false),
            ("Near", &["a"], Some("a"), false),
        ] {
            let wanted: Vec<String> = wanted.iter().map(|one| one.to_string()).collect();
            let matches = node_requirement_matches(operator, &wanted, value);
            assert_eq!(matches, expect, "{operator} {wanted:?} {value:?}");
        }
    }
}
