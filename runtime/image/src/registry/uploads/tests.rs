use super::*;

async fn begun(bytes: &'static str) -> (tempfile::TempDir, Uploads, String) {
    let dir = tempfile::tempdir().unwrap();
    let content = ContentDir::open(dir.path()).unwrap();
    let uploads = Uploads::new(content, 1000, Room::new(1000, 0));
    let id = uploads.begin("app").await.unwrap();
    let sent = uploads.append("app", &id, None, Body::from(bytes), "");
    assert_eq!(sent.await.unwrap(), bytes.len() as u64);
    (dir, uploads, id)
}

#[tokio::test]
async fn whoever_comes_late_cannot_change_a_finished_blob() {
    let (_dir, uploads, id) = begun("whole").await;
    // Has found the upload, and waits for its turn when the end comes first.
    let late = uploads.find("app", &id).unwrap();
    let digest = Digest::of(b"whole");
    let finished = uploads.finish("app", &id, &digest).await.unwrap();
    let mut late = late.lock().await;
    let written = late.write(Body::from(", but for this"), 1000).await;
    assert!(matches!(written, Err(Failure::UploadUnknown)));
    drop(late);
    assert_eq!(std::fs::read(finished.temp.path()).unwrap(), b"whole");
}

#[tokio::test]
async fn only_uploads_that_nobody_continues_are_dropped() {
    let (dir, uploads, id) = begun("half").await;
    let files = || {
        std::fs::read_dir(dir.path().join("ingest"))
            .unwrap()
            .count()
    };
    let age = |age: Duration| {
        let mut running = uploads.running.lock();
        running.get_mut(&id).unwrap().touched = Instant::now() - age;
    };
    age(IDLE_MAX / 2);
    uploads.drop_idle();
    // Somebody sends for longer than that.
    let sending = uploads.find("app", &id).unwrap();
    age(IDLE_MAX);
    uploads.drop_idle();
    assert_eq!(files(), 1);
    drop(sending);
    age(IDLE_MAX);
    uploads.drop_idle();
    assert_eq!((files(), uploads.running.lock().len()), (0, 0));
}
