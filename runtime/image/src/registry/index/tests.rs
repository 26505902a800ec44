use super::*;

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn held(blobs: &[&str], subject: Option<&str>) -> Held {
    Held {
        media_type: "m/t".into(),
        blobs: blobs.iter().map(|text| digest(text)).collect(),
        subject: subject.map(digest),
        artifact_type: "a/t".into(),
        stored: SystemTime::now(),
    }
}

#[test]
fn a_blob_is_freed_by_its_last_user() {
    let mut index = Index::default();
    assert!(index.add_fresh("a", &digest("layer")).is_empty());
    assert!(index.add_fresh("a", &digest("layer")).is_empty());
    assert!(index.has_blob("a", &digest("layer")) && !index.has_blob("b", &digest("layer")));
    index.insert(
        "a",
        digest("m"),
        held(&["layer", "config"], None),
        Some("v1"),
    );
    index.insert("b", digest("m"), held(&["layer", "config"], None), None);
    index.insert(
        "b",
        digest("m"),
        held(&["layer", "config"], None),
        Some("v1"),
    );
    assert_eq!((index.manifests, index.tags, index.references), (2, 2, 4));
    assert!(!index.has_blob("a", &digest("m")));
    assert!(index.remove("a", &digest("m")).is_empty());
    assert!(!index.has_repository("a"));
    index.add_fresh("c", &digest("config"));
    let mut freed = index.remove("b", &digest("m"));
    freed.sort();
    let mut want = vec![digest("layer"), digest("m")];
    want.sort();
    assert_eq!(freed, want);
    assert!(index.is_used(&digest("config")));
    assert_eq!(index.expire_fresh(Duration::ZERO), [digest("config")]);
    assert!(index.remove_fresh("c", &digest("config")).is_none());
    assert!(index.uses.is_empty());
    assert_eq!((index.manifests, index.tags, index.references), (0, 0, 0));
}

#[test]
fn too_many_fresh_uploads_forget_the_oldest() {
    let mut index = Index::default();
    for n in 0..fresh::FRESH_MAX {
        assert!(index.add_fresh("a", &digest(&n.to_string())).is_empty());
    }
    assert_eq!(index.add_fresh("b", &digest("new")), [digest("0")]);
    assert!(!index.has_blob("a", &digest("0")) && index.has_blob("b", &digest("new")));
}

#[test]
fn uploads_are_young_as_long_as_others_come_to_their_repository() {
    let mut index = Index::default();
    for name in ["slow", "forgotten"] {
        index.add_fresh(name, &digest(name));
    }
    index.renew_fresh("slow");
    for n in 2..fresh::FRESH_MAX {
        assert!(index.add_fresh("a", &digest(&n.to_string())).is_empty());
    }
    assert_eq!(index.add_fresh("a", &digest("b")), [digest("forgotten")]);
    assert_eq!(index.add_fresh("a", &digest("c")), [digest("slow")]);
}

#[test]
fn what_a_tag_leads_to_is_kept() {
    let mut index = Index::default();
    for (name, blobs, subject, tag) in [
        ("index", &["part"][..], None, Some("v1")),
        ("part", &["layer"], None, None),
        ("signature", &["s"], Some("part"), None),
        ("about-signature", &["t"], Some("signature"), None),
        ("lost", &["layer"], None, None),
        ("about-lost", &["u"], Some("lost"), None),
        ("about-nothing", &["u"], Some("never pushed"), None),
    ] {
        index.insert("a", digest(name), held(blobs, subject), tag);
    }
    assert!(index.unreachable(Duration::from_secs(3600)).is_empty());
    let mut lost: Vec<Digest> = index
        .unreachable(Duration::ZERO)
        .into_iter()
        .map(|(_, digest)| digest)
        .collect();
    lost.sort();
    let mut want = ["lost", "about-lost", "about-nothing"].map(digest).to_vec();
    want.sort();
    assert_eq!(lost, want);
    let about = index.referrers("a", &digest("part"), Some("a/t"), None);
    assert_eq!(about.len(), 1);
    assert!(
        index
            .referrers("a", &digest("part"), Some("x/y"), None)
            .is_empty()
    );
    let last = Some(&about[0].digest);
    assert!(index.referrers("a", &digest("part"), None, last).is_empty());
}
