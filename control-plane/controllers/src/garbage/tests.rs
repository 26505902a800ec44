use super::*;
use crate::testing::{discovery, server};

#[tokio::test]
async fn every_kind_is_watched_once_and_found_by_every_version() {
    let (client, _) = server(|_, path| discovery(path));
    let resources = discover(&client).await.expect("a server that answers");
    let mut found: Vec<_> = resources
        .iter()
        .map(|((version, kind), (watched, _))| {
            (version.as_str(), kind.as_str(), watched.version.as_str())
        })
        .collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            ("ex.com/v1", "Old", "v1"),
            ("ex.com/v1alpha1", "Event", "v1alpha1"),
            ("ex.com/v1alpha1", "New", "v1alpha1"),
            ("ex.com/v1alpha1", "Old", "v1"),
        ]
    );
}
