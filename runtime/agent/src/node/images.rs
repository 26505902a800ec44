//! The images a Node tells of, so that the scheduler may send pods where theirs is.

use k8s_openapi::api::core::v1::ContainerImage;
use sampan_proto::{CriError, ImageService, v1};

use crate::limits::{NODE_IMAGE_NAMES, NODE_IMAGES};

/// The largest images of this node, as the Node's status shows them.
pub(super) async fn largest(images: &dyn ImageService) -> Result<Vec<ContainerImage>, CriError> {
    let listed = images.list_images(v1::ListImagesRequest::default()).await?;
    Ok(shown(listed.images))
}

fn shown(mut images: Vec<v1::Image>) -> Vec<ContainerImage> {
    images.sort_by(|a, b| (b.size, &b.id).cmp(&(a.size, &a.id)));
    let image = |image: v1::Image| {
        let names = image.repo_digests.into_iter().chain(image.repo_tags);
        ContainerImage {
            names: Some(names.take(NODE_IMAGE_NAMES).collect()),
            size_bytes: Some(i64::try_from(image.size).unwrap_or(i64::MAX)),
        }
    };
    images.into_iter().take(NODE_IMAGES).map(image).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_are_shown_by_their_first_names() {
        let name = |image: u64, at: usize| format!("app{image}:v{at}");
        let image = |size: u64| v1::Image {
            id: format!("sha256:{size}"),
            repo_digests: vec![format!("app{size}@sha256:1")],
            repo_tags: (0..9).map(|at| name(size, at)).collect(),
            size,
            ..v1::Image::default()
        };
        let shown = shown((1..60).map(image).collect());
        let sizes: Vec<i64> = shown.iter().filter_map(|image| image.size_bytes).collect();
        assert_eq!(sizes, (10..60).rev().collect::<Vec<i64>>());
        let names = [String::from("app59@sha256:1")];
        let names = names.into_iter().chain((0..4).map(|at| name(59, at)));
        assert_eq!(shown[0].names, Some(names.collect()));
    }
}
