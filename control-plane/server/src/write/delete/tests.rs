use sampan_api::resource::find;

use serde_json::json;

use super::*;
use crate::request::Query;

fn pods() -> &'static Resource {
    find("", "v1", "pods").expect("pods are served")
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

fn options(grace: Option<i64>, propagation: Option<Propagation>) -> DeleteOptions {
    DeleteOptions {
        grace,
        propagation,
        ..DeleteOptions::default()
    }
}

#[test]
fn pods_get_their_grace_period() {
    let now = at("2026-11-23T01:00:00Z");
    let pod = |node: &str, phase: &str| {
        json!({"metadata": {"name": "p", "generation": 1},
               "spec": {"nodeName": node, "terminationGracePeriodSeconds": 30}, "status": {"phase": phase}})
    };
    assert_eq!(
        plan(pods(), &pod("", "Pending"), &options(None, None), now),
        Plan::Remove
    );
    assert_eq!(
        plan(pods(), &pod("n", "Succeeded"), &options(None, None), now),
        Plan::Remove
    );
    assert_eq!(
        plan(pods(), &pod("n", "Running"), &options(Some(0), None), now),
        Plan::Remove
    );
    let Plan::Mark(marked) = plan(pods(), &pod("n", "Running"), &options(None, None), now) else {
        panic!("marked")
    };
    assert_eq!(
        object::deletion_timestamp(&marked),
        Some("2026-11-23T01:00:30Z")
    );
    assert_eq!(
        object::int(&marked, "metadata.deletionGracePeriodSeconds"),
        Some(30)
    );
    assert_eq!(object::generation(&marked), 2);
    // A second deletion only shortens.
    assert_eq!(
        plan(pods(), &marked, &options(None, None), now),
        Plan::Nothing
    );
    assert_eq!(
        plan(pods(), &marked, &options(Some(60), None), now),
        Plan::Nothing
    );
    let Plan::Mark(shorter) = plan(pods(), &marked, &options(Some(5), None), now) else {
        panic!("marked")
    };
    assert_eq!(
        object::deletion_timestamp(&shorter),
        Some("2026-11-23T01:00:05Z")
    );
    assert_eq!(object::generation(&shorter), 2);
    // Nothing runs any more: that is for who watches it to say, and not for who asks for more time.
    let mut ended = (*marked).clone();
    ended["status"]["phase"] = json!("Succeeded");
    assert_eq!(
        plan(pods(), &ended, &options(Some(60), None), now),
        Plan::Nothing
    );
    assert_eq!(
        plan(pods(), &marked, &options(Some(0), None), now),
        Plan::Remove
    );
    // What holds it longer does not change when it was to go.
    let mut held = (*marked).clone();
    held["metadata"]["finalizers"] = json!(["a/b"]);
    let Plan::Mark(forced) = plan(pods(), &held, &options(Some(0), None), now) else {
        panic!("marked")
    };
    assert_eq!(
        object::deletion_timestamp(&forced),
        Some("2026-11-23T01:00:00Z")
    );
    assert_eq!(
        object::int(&forced, "metadata.deletionGracePeriodSeconds"),
        Some(0)
    );
}

#[test]
fn finalizers_hold_an_object() {
    let now = at("2026-11-23T01:00:00Z");
    let configmaps = find("", "v1", "configmaps").expect("served");
    let held = json!({"metadata": {"name": "c", "finalizers": ["a/b"]}});
    let free = json!({"metadata": {"name": "c"}});
    assert_eq!(
        plan(configmaps, &free, &options(None, None), now),
        Plan::Remove
    );
    for (object, propagation, expected) in [
        (&held, None, json!(["a/b"])),
        (&held, Some(Propagation::Orphan), json!(["a/b", "orphan"])),
        (
            &free,
            Some(Propagation::Foreground),
            json!(["foregroundDeletion"]),
        ),
    ] {
        let Plan::Mark(marked) = plan(configmaps, object, &options(None, propagation), now) else {
            panic!("marked")
        };
        assert_eq!(marked["metadata"]["finalizers"], expected);
        assert_eq!(
            marked["metadata"]["deletionTimestamp"],
            "2026-11-23T01:00:00Z"
        );
        assert_eq!(
            plan(configmaps, &marked, &options(None, None), now),
            Plan::Nothing
        );
    }
}

#[test]
fn options_from_query_and_body() {
    let query =
        |text: &'static str| Query::parse(Some(&http::uri::PathAndQuery::from_static(text)));
    let asked =
        "/x?gracePeriodSeconds=5&propagationPolicy=Orphan&dryRun=All&uid=u&resourceVersion=7";
    let options = DeleteOptions::parse(&query(asked), None).expect("fine");
    assert_eq!(
        (options.grace, options.propagation, options.dry_run),
        (Some(5), Some(Propagation::Orphan), true)
    );
    assert_eq!(
        (options.uid.as_deref(), options.resource_version.as_deref()),
        (Some("u"), Some("7"))
    );
    // Beside a body it does not count.
    let body = json!({"gracePeriodSeconds": 0});
    let options = DeleteOptions::parse(&query(asked), Some(&body)).expect("fine");
    assert_eq!(
        (options.grace, options.propagation, options.dry_run),
        (Some(0), None, false)
    );
    assert_eq!((options.uid, options.resource_version), (None, None));
    for bad in [
        "/x?gracePeriodSeconds=x",
        "/x?propagationPolicy=Sideways",
        "/x?propagationPolicy=Orphan&orphanDependents=1",
        "/x?dryRun=some",
    ] {
        assert!(DeleteOptions::parse(&query(bad), None).is_err(), "{bad}");
    }
    let refused = DeleteOptions::parse(&Query::default(), Some(&json!({"dryRun": ["some"]})))
        .expect_err("refused");
    assert_eq!(refused.code, 422);
}
