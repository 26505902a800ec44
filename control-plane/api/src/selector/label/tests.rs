use proptest::prelude::*;
use serde_json::json;

use super::*;

fn labels(text: &str) -> Map<String, Value> {
    text.split(',')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.into()))
        .collect()
}

#[test]
fn matching() {
    let check = |selector: &str, set: &str, expect: bool| {
        let parsed = LabelSelector::parse(selector).expect(selector);
        assert_eq!(
            parsed.matches_labels(Some(&labels(set))),
            expect,
            "{selector} on {set}"
        );
    };
    check("", "", true);
    check("a=b", "a=b", true);
    check("a == b", "a=c", false);
    check("a!=b", "", true);
    check("a!=b", "a=b", false);
    check("a in (b, c)", "a=c", true);
    check("a notin (b,c)", "a=c", false);
    check("a notin (b,c)", "x=y", true);
    check("a", "a=", true);
    check("!a", "a=", false);
    check("!a", "b=", true);
    check("a=b,c=d", "a=b,c=d", true);
    check("a=b,c=d", "a=b", false);
    check("a=", "a=", true);
    check("a=,b=c", "a=,b=c", true);
    check("a in (,b)", "a=", true);
    check("a in (b,)", "a=", true);
    check("a in ()", "a=", true);
    check("in in (in,notin)", "in=notin", true);
    check("x.y/z=1", "x.y/z=1", true);
    check("a>5", "a=6", true);
    check("a<5", "a=6", false);
    check("a>5", "a=x", false);
    check("  a  =  b  ,  c  ", "a=b,c=", true);
}

#[test]
fn parse_errors() {
    let check = |selector: &str, expect: &str| {
        assert_eq!(LabelSelector::parse(selector).expect_err(selector), expect);
    };
    check(
        "a in (",
        "unable to parse requirement: found '', expected: ',', ')' or identifier",
    );
    check(
        "a in",
        "unable to parse requirement: found '' expected: '('",
    );
    check(
        "a in (b",
        "unable to parse requirement: found '', expected: ',' or ')'",
    );
    check(
        "a b",
        "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
    );
    check("a,", "found '', expected: identifier after ','");
    check(
        ",a",
        "found ',', expected: !, identifier, or 'end of string'",
    );
    check("a=b=c", "found '=', expected: ',' or 'end of string'");
    check(
        "a=(",
        "unable to parse requirement: found '(', expected: identifier",
    );
    check(
        "!",
        "unable to parse requirement: found '', expected: identifier",
    );
    assert!(LabelSelector::parse("-a=b").expect_err("bad key").starts_with(
        "unable to parse requirement: <nil>: Invalid value: \"-a\": name part must consist of"
    ));
    assert!(LabelSelector::parse("a=-").expect_err("bad value").starts_with(
        "unable to parse requirement: values[0][a]: Invalid value: \"-\": a valid label must be"
    ));
    assert!(LabelSelector::parse(&"a,".repeat(MAX_SELECTOR_BYTES)).is_err());
}

#[test]
fn objects() {
    let selector = LabelSelector::from_match(&json!({
        "matchLabels": {"a": "b"},
        "matchExpressions": [{"key": "c", "operator": "NotIn", "values": ["d", "e"]}],
    }))
    .expect("valid");
    assert_eq!(selector.to_string(), "a=b,c notin (d,e)");
    assert!(selector.matches_labels(Some(&labels("a=b"))));
    assert!(!selector.matches_labels(Some(&labels("a=b,c=e"))));
    assert!(
        LabelSelector::from_match(&json!({}))
            .expect("valid")
            .matches_labels(None)
    );
    assert!(
        !LabelSelector::from_match(&Value::Null)
            .expect("valid")
            .matches_labels(None)
    );
    let bad = json!({"matchExpressions": [{"key": "c", "operator": "Has"}]});
    assert_eq!(
        LabelSelector::from_match(&bad).expect_err("bad operator"),
        "\"Has\" is not a valid label selector operator"
    );
}

proptest! {
    #[test]
    fn never_panics_and_round_trips(text in "[a-c=!<>,() in]{0,24}|.*") {
        if let Ok(parsed) = LabelSelector::parse(&text) {
            let shown = parsed.to_string();
            prop_assert_eq!(LabelSelector::parse(&shown), Ok(parsed), "{}", shown);
        }
    }
}
