//! Archives that are not what they should be: refused with a clear word, and no data folder is made.

use super::*;

async fn good() -> (TempDir, Vec<u8>) {
    let (folder, data) = filled().await;
    let archive = folder.path().join("backup");
    backup(&data, &layout(), &archive, Existing::Keep)
        .await
        .unwrap();
    let content = fs::read(&archive).unwrap();
    (folder, content)
}

/// Restores these bytes; nothing must be left behind when they are refused.
async fn tried(folder: &Path, content: &[u8]) -> Result<crate::Restored, RestoreError> {
    let (archive, target) = (folder.join("bad"), folder.join("target"));
    fs::write(&archive, content).unwrap();
    let outcome = restore(&archive, &layout(), &target).await;
    if outcome.is_err() {
        assert!(!target.exists(), "a refused archive makes no folder");
        let left = fs::read_dir(folder).unwrap().filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().starts_with(".sampan")
        });
        assert_eq!(left.count(), 0, "no work folder is left behind");
    }
    outcome
}

#[tokio::test]
async fn cut_short_anywhere() {
    let (folder, content) = good().await;
    for part in 0..40 {
        let length = content.len() * part / 40;
        let error = tried(folder.path(), &content[..length]).await.unwrap_err();
        let fits = matches!(
            error,
            RestoreError::Damaged { .. } | RestoreError::NotABackup { .. }
        );
        assert!(fits, "{length}: {error:?}");
    }
    let error = tried(folder.path(), &content[..content.len() - 1])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("use another backup"), "{error}");
}

#[tokio::test]
async fn changed_anywhere() {
    let (folder, content) = good().await;
    let (target, mut refused) = (folder.path().join("target"), 0);
    for part in 0..60 {
        let mut changed = content.clone();
        let at = changed.len() * part / 60;
        changed[at] ^= 0x10;
        match tried(folder.path(), &changed).await {
            Err(_) => refused += 1,
            // A bit of the frame's header that means nothing for the content.
            Ok(restored) => {
                assert_eq!(restored.manifest.objects(), 200, "byte {at}");
                fs::remove_dir_all(&target).unwrap();
            }
        }
    }
    assert!(refused >= 58, "only {refused} of 60 were refused");
}

#[tokio::test]
async fn something_else() {
    let (folder, _) = good().await;
    let text = tried(folder.path(), b"hello, this is no archive").await;
    let text = text.unwrap_err().to_string();
    assert!(
        text.contains("is not a backup made by `sampan backup`"),
        "{text}"
    );
    let zstd = zstd::encode_all(&b"compressed, but no tar"[..], 1).unwrap();
    let error = tried(folder.path(), &zstd).await.unwrap_err();
    assert!(matches!(error, RestoreError::Damaged { .. }), "{error:?}");
    let missing = folder.path().join("missing");
    let error = restore(&missing, &layout(), &folder.path().join("target"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
}

/// An archive with these entries, whatever they say.
fn crafted(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let mut header = tar::Header::new_gnu();
        // Written by hand: the builder would refuse the names that matter here.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        header.set_cksum();
        tar.append(&header, *content).unwrap();
    }
    zstd::encode_all(tar.into_inner().unwrap().as_slice(), 1).unwrap()
}

#[tokio::test]
async fn entries_that_do_not_belong() {
    let (folder, _) = good().await;
    for name in [
        "../evil",
        "/tmp/evil",
        "pki/../../evil",
        "other/file",
        "admin.kubeconfig",
        "state.db-wal",
    ] {
        let error = tried(folder.path(), &crafted(&[(name, b"x")]))
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("does not belong"),
            "{name}: {error}"
        );
    }
    let twice = crafted(&[("pki/a", b"x"), ("pki/a", b"y")]);
    let error = tried(folder.path(), &twice).await.unwrap_err();
    assert!(error.to_string().contains("does not belong"), "{error}");
    assert!(!folder.path().join("evil").exists());
    assert!(!folder.path().parent().unwrap().join("evil").exists());
}

#[tokio::test]
async fn manifests_that_say_something_else() {
    let (folder, _) = good().await;
    let newer = br#"{"format": 99, "somethingNew": true}"#;
    let error = tried(folder.path(), &crafted(&[("manifest.json", newer)]))
        .await
        .unwrap_err();
    assert!(
        matches!(error, RestoreError::Newer { found: 99, .. }),
        "{error:?}"
    );
    for (manifest, expected) in [
        (&b"not json"[..], "is not a backup"),
        (br#"{"format": 1}"#, "is not a backup"),
    ] {
        let error = tried(folder.path(), &crafted(&[("manifest.json", manifest)]))
            .await
            .unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    // The right files, and a manifest that counts other objects.
    let database = fs::read(folder.path().join("data/state.db")).unwrap();
    let manifest = serde_json::json!({
        "format": 1, "release": "x", "created": "2026-01-01T00:00:00Z",
        "revision": 200, "ceiling": 100_001, "entries": {"configmaps": 7},
        "files": [{
            "path": "state.db", "size": database.len(),
            "sha256": hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&database)),
        }],
    })
    .to_string();
    let lying = crafted(&[
        ("state.db", &database),
        ("manifest.json", manifest.as_bytes()),
    ]);
    let error = tried(folder.path(), &lying).await.unwrap_err();
    assert!(error.to_string().contains("another database"), "{error}");
    let wrong = manifest.replace("\"size\":", "\"size\":1");
    let lying = crafted(&[("state.db", &database), ("manifest.json", wrong.as_bytes())]);
    let error = tried(folder.path(), &lying).await.unwrap_err();
    assert!(error.to_string().contains("wrong checksum"), "{error}");
}
