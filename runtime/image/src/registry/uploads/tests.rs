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
    let written = late
        .write(Body::from(", but for this"), 1000, SILENCE_MAX)
        .await;
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

#[tokio::test]
async fn uploads_that_were_left_alone_give_way_to_new_ones() {
    let (_dir, uploads, old) = begun("half").await;
    for _ in 1..UPLOADS_MAX {
        uploads.begin("other").await.unwrap();
    }
    let full = uploads.begin("app").await;
    assert!(matches!(full, Err(Failure::TooMany(_))), "all are new");
    // Somebody sends for longer than that.
    let sending = uploads.find("app", &old).unwrap();
    uploads.running.lock().get_mut(&old).unwrap().touched = Instant::now() - 2 * GIVES_WAY;
    let full = uploads.begin("app").await;
    assert!(matches!(full, Err(Failure::TooMany(_))), "somebody sends");
    drop(sending);
    uploads.begin("app").await.unwrap();
    assert!(uploads.find("app", &old).is_err());
    let full = uploads.begin("app").await;
    assert!(matches!(full, Err(Failure::TooMany(_))), "one for one");
}

#[tokio::test]
async fn a_body_that_stops_coming_is_given_up() {
    let (_dir, mut uploads, id) = begun("half").await;
    uploads.silence_max = Duration::from_millis(10);
    let silent = Body::from_stream(futures::stream::pending::<
        Result<bytes::Bytes, std::io::Error>,
    >());
    let sent = uploads.append("app", &id, None, silent, "").await;
    let Err(Failure::UploadInvalid(message)) = sent else {
        panic!("{sent:?}");
    };
    assert!(message.contains("no bytes"), "{message}");
    // It may go on where it stopped.
    assert_eq!(uploads.offset("app", &id).await.unwrap(), 4);
}
