use super::*;

fn record(n: u8) -> Record {
    let module = Digest::of(&[n, n]);
    let content = Stored::Module {
        digest: module.clone(),
    };
    Record::new(
        Digest::of(&[n]),
        RunConfig::default(),
        content,
        vec![(module, 10)],
    )
}

fn empty() -> Catalogue {
    Catalogue::new("/store".into(), Vec::new()).0
}

fn names(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn a_name_moves_to_the_image_pulled_last() {
    let mut catalogue = empty();
    let at = |n: u8| format!("app@{}", Digest::of(&[n]));
    catalogue.add(record(1), &names(&["app:v1", &at(1)]));
    let effects = catalogue.add(record(2), &names(&["app:v1", &at(2)]));
    assert_eq!(effects.write.len(), 2);
    assert_eq!(
        effects.write[0].id,
        Digest::of(&[2]),
        "the gainer is written first"
    );
    assert_eq!(
        catalogue.by_name("app:v1").unwrap().image.id,
        Digest::of(&[2]).as_str()
    );
    let old = &catalogue.by_name(&at(1)).unwrap().image;
    assert!(old.repo_tags.is_empty());
    assert_eq!(old.repo_digests, [at(1)]);
    assert_eq!(catalogue.list().len(), 2);
}

#[test]
fn an_image_without_names_is_gone() {
    let mut catalogue = empty();
    catalogue.add(record(1), &names(&["file:///a.wasm"]));
    let effects = catalogue.add(record(2), &names(&["file:///a.wasm"]));
    assert_eq!(effects.gone.len(), 1);
    assert_eq!(effects.gone[0].id, Digest::of(&[1]));
    assert_eq!(catalogue.list().len(), 1);
}

#[test]
fn adding_again_keeps_the_other_names() {
    let mut catalogue = empty();
    catalogue.add(record(1), &names(&["app:v1"]));
    catalogue.add(record(1), &names(&["app:v2", "app:v1"]));
    let image = &catalogue.by_name("app:v2").unwrap().image;
    assert_eq!(image.repo_tags, ["app:v2", "app:v1"]);
    catalogue.remove(&Digest::of(&[1])).unwrap();
    assert!(catalogue.by_name("app:v1").is_none());
    assert!(catalogue.remove(&Digest::of(&[1])).is_none());
}

#[test]
fn a_death_between_two_writes_leaves_one_owner() {
    let mut catalogue = empty();
    let before = catalogue
        .add(record(1), &names(&["app:v1"]))
        .write
        .remove(0);
    let after = catalogue
        .add(record(2), &names(&["app:v1"]))
        .write
        .remove(0);
    let read = |record: &Record| Record::parse(&record.bytes()).unwrap();
    for records in [[read(&before), read(&after)], [read(&after), read(&before)]] {
        let (again, effects) = Catalogue::new("/store".into(), records.to_vec());
        assert_eq!(
            again.by_name("app:v1").unwrap().image.id,
            Digest::of(&[2]).as_str()
        );
        assert_eq!(effects.gone.len(), 1);
    }
}

#[test]
fn ids_may_be_shortened_while_they_are_unique() {
    let mut catalogue = empty();
    catalogue.add(record(1), &names(&["a:1"]));
    let id = Digest::of(&[1]);
    assert!(catalogue.by_id_prefix(&id.hex()[..12]).is_some());
    catalogue.add(record(2), &names(&["b:1"]));
    assert!(catalogue.by_id_prefix("").is_none());
}

#[test]
fn damaged_records_are_told_from_good_ones() {
    let mut good = record(1);
    assert!(Record::parse(&good.bytes()).is_ok());
    let bytes = good.bytes();
    assert!(Record::parse(&bytes[..bytes.len() / 2]).is_err());
    assert!(Record::parse(b"").is_err());
    assert!(Record::parse(&[0; 100]).is_err());
    good.version = 99;
    assert!(Record::parse(&good.bytes()).unwrap_err().contains("99"));
}
