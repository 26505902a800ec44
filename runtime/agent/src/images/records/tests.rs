//! Who may use what was pulled.

use super::*;

fn origin(name: &str) -> Origin {
    Origin {
        namespace: "n".into(),
        name: name.into(),
        uid: format!("uid of {name}"),
    }
}

fn nobody() -> Access {
    Access::With(BTreeSet::new())
}

fn here(id: &str, tag: &str) -> v1::Image {
    v1::Image {
        id: id.into(),
        repo_tags: vec![tag.into()],
        ..Default::default()
    }
}

async fn access(records: &PullRecords, image: &str, id: &str) -> Access {
    records.access(image, &here(id, image)).await
}

#[tokio::test]
async fn an_image_is_for_those_who_could_pull_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pulls.json");
    let records = PullRecords::open(file.clone()).await;
    assert_eq!(
        access(&records, "reg.io/a:1", "id").await,
        Access::Everybody
    );
    records.begins("reg.io/a:1", None).await.unwrap();
    assert_eq!(access(&records, "reg.io/a:1", "id").await, nobody());
    records.pulled("reg.io/a:1", "id", Some(&origin("s"))).await;
    let with = Access::With([origin("s")].into());
    // Another process knows it, and another tag is the same name.
    let records = PullRecords::open(file).await;
    assert_eq!(access(&records, "reg.io/a:2", "id").await, with);
    assert_eq!(access(&records, "reg.io/b:1", "id").await, nobody());
    records.pulled("reg.io/a:1", "id", None).await;
    assert_eq!(
        access(&records, "reg.io/a:1", "id").await,
        Access::Everybody
    );
}

#[tokio::test]
async fn pulls_say_nothing_of_images_that_came_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let records = PullRecords::open(dir.path().join("pulls.json")).await;
    records.begins("reg.io/a:2", None).await.unwrap();
    assert_eq!(access(&records, "reg.io/a:1", "1").await, Access::Everybody);
    records.pulled("reg.io/a:2", "2", Some(&origin("s"))).await;
    assert_eq!(access(&records, "reg.io/a:1", "1").await, Access::Everybody);
}

#[tokio::test]
async fn a_digest_is_judged_by_the_pull_of_its_tag() {
    let dir = tempfile::tempdir().unwrap();
    let records = PullRecords::open(dir.path().join("pulls.json")).await;
    let digest = format!("reg.io/a@sha256:{}", "1".repeat(64));
    records.begins("reg.io/a:1", None).await.unwrap();
    // The runtime has it before the records do, and also if the pull is cut off.
    let brought = here("id", "reg.io/a:1");
    assert_eq!(records.access(&digest, &brought).await, nobody());
    records.given_up("reg.io/a:1").await;
    assert_eq!(records.access(&digest, &brought).await, nobody());
    // Of other tags and repositories it says nothing, nor of what had been here.
    for tag in ["reg.io/a:2", "reg.io/b:1"] {
        let other = records.access(&digest, &here("other", tag)).await;
        assert_eq!(other, Access::Everybody, "{tag}");
    }
    records.begins("reg.io/b:1", Some("old")).await.unwrap();
    let digest = digest.replace("/a@", "/b@");
    let old = records.access(&digest, &here("old", "reg.io/b:1")).await;
    assert_eq!(old, Access::Everybody);
}

#[tokio::test]
async fn a_pull_that_fails_leaves_those_beside_it_under_way() {
    let dir = tempfile::tempdir().unwrap();
    let records = PullRecords::open(dir.path().join("pulls.json")).await;
    records.begins("reg.io/a:1", None).await.unwrap();
    records.begins("reg.io/a:1", None).await.unwrap();
    records.failed("reg.io/a:1").await;
    assert_eq!(access(&records, "reg.io/a:1", "id").await, nobody());
    records.failed("reg.io/a:1").await;
    assert_eq!(
        access(&records, "reg.io/a:1", "id").await,
        Access::Everybody
    );
}

#[tokio::test]
async fn what_a_pull_brought_that_did_not_tell_its_end_is_nobodys() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pulls.json");
    let records = PullRecords::open(file.clone()).await;
    records.begins("reg.io/a:1", None).await.unwrap();
    // The process ends here. A pull that fails does not say what the one before it brought.
    let records = PullRecords::open(file.clone()).await;
    records.begins("reg.io/a:1", None).await.unwrap();
    records.failed("reg.io/a:1").await;
    assert_eq!(access(&records, "reg.io/a:1", "id").await, nobody());
    let images = [here("id", "reg.io/a:1"), here("other", "reg.io/b:1")];
    let listed = records.changes().await;
    // This one is given up, and may bring it after the images were listed.
    records.begins("reg.io/c:1", None).await.unwrap();
    records.given_up("reg.io/c:1").await;
    records.note(&images, listed).await;
    let records = PullRecords::open(file).await;
    assert_eq!(access(&records, "reg.io/a:2", "id").await, nobody());
    assert_eq!(
        access(&records, "reg.io/a:1", "new").await,
        Access::Everybody
    );
    assert_eq!(
        access(&records, "reg.io/b:1", "other").await,
        Access::Everybody
    );
    assert_eq!(access(&records, "reg.io/c:1", "late").await, nobody());
    let images = [here("late", "reg.io/c:1")];
    records.note(&images, records.changes().await).await;
    assert_eq!(access(&records, "reg.io/c:2", "late").await, nobody());
    assert_eq!(
        access(&records, "reg.io/c:1", "new").await,
        Access::Everybody
    );
}

#[tokio::test]
async fn a_pull_that_did_not_tell_its_end_takes_nothing_away_that_was_here() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pulls.json");
    let records = PullRecords::open(file.clone()).await;
    records.begins("reg.io/a:1", Some("id")).await.unwrap();
    assert_eq!(
        access(&records, "reg.io/a:1", "id").await,
        Access::Everybody
    );
    assert_eq!(access(&records, "reg.io/a:1", "new").await, nobody());
    // What is here by now may be of the pull that goes on.
    records.begins("reg.io/a:1", Some("new")).await.unwrap();
    records.given_up("reg.io/a:1").await;
    // The process ends here.
    let records = PullRecords::open(file.clone()).await;
    assert_eq!(
        access(&records, "reg.io/a:1", "id").await,
        Access::Everybody
    );
    let images = [here("id", "reg.io/a:1"), here("new", "reg.io/a:1")];
    records.note(&images, records.changes().await).await;
    let records = PullRecords::open(file).await;
    assert_eq!(
        access(&records, "reg.io/a:1", "id").await,
        Access::Everybody
    );
    assert_eq!(access(&records, "reg.io/a:1", "new").await, nobody());
    // Pulled for a Secret, it is for those who have it, as ever.
    records.begins("reg.io/a:1", Some("id")).await.unwrap();
    records.pulled("reg.io/a:1", "id", Some(&origin("s"))).await;
    let with = Access::With([origin("s")].into());
    assert_eq!(access(&records, "reg.io/a:1", "id").await, with);
    // What has a record did not come here otherwise.
    records.begins("reg.io/a:1", Some("new")).await.unwrap();
    assert_eq!(access(&records, "reg.io/a:1", "new").await, nobody());
}

#[tokio::test]
async fn pulls_that_an_earlier_version_was_at_are_told_without_tag() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pulls.json");
    std::fs::write(&file, r#"{"images": {}, "pulling": ["reg.io/a"]}"#).unwrap();
    let records = PullRecords::open(file.clone()).await;
    assert_eq!(access(&records, "reg.io/a:1", "id").await, nobody());
    let images = [here("id", "reg.io/a:1"), here("other", "reg.io/b:1")];
    records.note(&images, records.changes().await).await;
    let records = PullRecords::open(file).await;
    assert_eq!(access(&records, "reg.io/a:1", "id").await, nobody());
    assert_eq!(
        access(&records, "reg.io/a:1", "new").await,
        Access::Everybody
    );
    let other = access(&records, "reg.io/b:1", "other").await;
    assert_eq!(other, Access::Everybody);
}

#[tokio::test]
async fn a_pull_that_cannot_be_kept_does_not_begin() {
    let dir = tempfile::tempdir().unwrap();
    let records = PullRecords::open(dir.path().join("gone/pulls.json")).await;
    records.begins("reg.io/a:1", None).await.unwrap_err();
    assert_eq!(
        access(&records, "reg.io/a:1", "id").await,
        Access::Everybody
    );
}

#[tokio::test]
async fn records_go_with_their_images() {
    let dir = tempfile::tempdir().unwrap();
    let records = PullRecords::open(dir.path().join("pulls.json")).await;
    records.pulled("reg.io/a:1", "a", Some(&origin("s"))).await;
    let listed = records.changes().await;
    records.pulled("reg.io/b:1", "b", Some(&origin("s"))).await;
    records.keep(&HashSet::new(), listed).await;
    assert_eq!(access(&records, "reg.io/a:1", "a").await, Access::Everybody);
    let with = Access::With([origin("s")].into());
    assert_eq!(access(&records, "reg.io/b:1", "b").await, with);
}

#[tokio::test]
async fn what_cannot_be_read_makes_nothing_everybodys() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pulls.json");
    std::fs::write(&file, "{").unwrap();
    let records = PullRecords::open(file.clone()).await;
    assert_eq!(access(&records, "reg.io/a:1", "id").await, nobody());
    // What is written from now on does not make it so either.
    records.pulled("reg.io/b:1", "b", None).await;
    let records = PullRecords::open(file.clone()).await;
    assert_eq!(access(&records, "reg.io/a:1", "id").await, nobody());
    records.note(&[here("id", "reg.io/a:1")], 1).await;
    let records = PullRecords::open(file).await;
    assert_eq!(access(&records, "reg.io/a:1", "id").await, nobody());
    assert_eq!(
        access(&records, "reg.io/c:1", "later").await,
        Access::Everybody
    );
}
