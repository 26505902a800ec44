//! The image calls.

use sampan_proto::{Code, ImageService, v1};

use crate::support::{Node, wat};

fn spec(image: &str) -> Option<v1::ImageSpec> {
    Some(v1::ImageSpec {
        image: image.into(),
        ..Default::default()
    })
}

async fn status(node: &Node, image: &str) -> Option<v1::Image> {
    let request = v1::ImageStatusRequest {
        image: spec(image),
        verbose: false,
    };
    node.shim
        .image_status(request)
        .await
        .expect("an answer")
        .image
}

#[tokio::test]
async fn an_image_is_pulled_shown_and_removed() {
    let node = Node::new();
    let id = node.image("app", &wat("exit")).await;
    let image = status(&node, &id).await.expect("it is here");
    assert_eq!(image.id, id);
    assert!(image.size > 0);
    assert!(
        image.uid.is_some() == image.username.is_empty(),
        "one of both: {image:?}"
    );
    let listed = node
        .shim
        .list_images(v1::ListImagesRequest::default())
        .await
        .expect("a list")
        .images;
    assert_eq!(listed, [image]);

    let usage = node
        .shim
        .image_fs_info(v1::ImageFsInfoRequest {})
        .await
        .expect("usage")
        .image_filesystems
        .remove(0);
    assert!(usage.used_bytes.is_some() && usage.timestamp > 0);
    assert!(std::path::Path::new(&usage.fs_id.expect("an id").mountpoint).is_dir());

    for _ in 0..2 {
        node.shim
            .remove_image(v1::RemoveImageRequest { image: spec(&id) })
            .await
            .expect("removed or absent");
        assert_eq!(status(&node, &id).await, None);
    }
}

#[tokio::test]
async fn what_cannot_be_pulled_says_why() {
    let node = Node::new();
    let absent = format!("file://{}/absent.wasm", node.path("modules").display());
    for (image, code) in [
        ("", Code::InvalidArgument),
        ("UPPER CASE", Code::InvalidArgument),
        (absent.as_str(), Code::NotFound),
        // Port 1 of the loopback address: nobody answers.
        ("127.0.0.1:1/app:v1", Code::Unavailable),
    ] {
        let request = v1::PullImageRequest {
            image: spec(image),
            ..Default::default()
        };
        let error = node.shim.pull_image(request).await.expect_err(image);
        assert_eq!(error.code, code, "{image}: {error}");
        assert_eq!(
            error.pull_reason().is_some(),
            code == Code::Unavailable,
            "{error}"
        );
    }
}
