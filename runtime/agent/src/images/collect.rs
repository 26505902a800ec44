//! Frees the disk of images that no container uses, by upstream's rules: when the disk is fuller than the high mark,
//! images go until it is at the low one, those first that have not been used for longest.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use sampan_proto::{CriError, ImageService, RuntimeService, v1};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::PullRecords;
use crate::config::ImageCollection;
use crate::limits::IMAGE_COLLECTION_PERIOD;
use crate::node::HostSource;

/// Looks at the disk now and then. It has no event of its own.
pub(crate) struct Collector {
    pub(crate) images: Arc<dyn ImageService>,
    pub(crate) runtime: Arc<dyn RuntimeService>,
    pub(crate) host: HostSource,
    pub(crate) policy: ImageCollection,
    pub(crate) known: Known,
    pub(crate) records: Arc<PullRecords>,
}

/// What has been seen of the images, by id. A restart forgets it, and everything is young again.
#[derive(Debug, Default)]
pub(crate) struct Known(HashMap<String, Seen>);

#[derive(Debug)]
struct Seen {
    first: Instant,
    used: Option<Instant>,
    bytes: u64,
}

impl Collector {
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(IMAGE_COLLECTION_PERIOD) => {}
                () = shutdown.cancelled() => return,
            }
            let host = self.host.read().await;
            let excess = excess(&self.policy, host.disk_bytes, host.disk_free_bytes);
            if let Err(error) = self.collect(excess).await {
                tracing::warn!(%error, "images not collected");
            }
        }
    }

    /// Remembers what is here and in use, and frees at least so many bytes if it can.
    async fn collect(&mut self, bytes: u64) -> Result<(), CriError> {
        let changes = self.records.changes().await;
        let images = self.images.list_images(v1::ListImagesRequest::default());
        let images = images.await?.images;
        self.records.note(&images, changes).await;
        let here = images.iter().map(|image| image.id.clone()).collect();
        self.records.keep(&here, changes).await;
        let request = v1::ListContainersRequest::default();
        let containers = self.runtime.list_containers(request).await?.containers;
        let mut used = HashSet::new();
        for container in containers {
            // What is shown as a volume is told by the status only. It is asked for when something is to go.
            if bytes > 0 {
                used.extend(self.mounted(&container.id, &images).await);
            }
            used.extend([container.image_id, container.image_ref]);
        }
        let now = Instant::now();
        self.known.see(&images, &used, now);
        if bytes == 0 {
            return Ok(());
        }
        let mut freed = 0;
        for (id, size) in self.known.unused(now, self.policy.min_age) {
            if freed >= bytes {
                break;
            }
            let image = Some(v1::ImageSpec {
                image: id.clone(),
                ..Default::default()
            });
            match self
                .images
                .remove_image(v1::RemoveImageRequest { image })
                .await
            {
                Ok(_) => freed += size,
                Err(error) => tracing::warn!(image = id, %error, "image not removed"),
            }
        }
        if freed < bytes {
            tracing::warn!(
                wanted = bytes,
                freed,
                "the disk is full of what no unused image takes"
            );
        }
        Ok(())
    }
}

impl Collector {
    /// The ids of images that a container shows as volumes.
    async fn mounted(&self, container: &str, images: &[v1::Image]) -> Vec<String> {
        let request = v1::ContainerStatusRequest {
            container_id: container.to_owned(),
            verbose: false,
        };
        // Gone since it was listed.
        let Ok(answer) = self.runtime.container_status(request).await else {
            return Vec::new();
        };
        let mounts = answer.status.unwrap_or_default().mounts;
        let named = mounts.into_iter().filter_map(|mount| mount.image);
        let names: Vec<String> = named.map(|spec| spec.image).collect();
        let shown = images.iter().filter(|image| {
            let known = image.repo_tags.iter().chain(&image.repo_digests);
            known.chain([&image.id]).any(|name| names.contains(name))
        });
        shown.map(|image| image.id.clone()).collect()
    }
}

impl Known {
    fn see(&mut self, images: &[v1::Image], used: &HashSet<String>, now: Instant) {
        let mut seen = HashMap::with_capacity(images.len());
        // What must stay is not remembered, so it is never chosen.
        for image in images.iter().filter(|image| !image.pinned) {
            let before = self.0.remove(&image.id);
            let last = before.as_ref().and_then(|seen| seen.used);
            let entry = Seen {
                first: before.map_or(now, |seen| seen.first),
                used: if used.contains(&image.id) {
                    Some(now)
                } else {
                    last
                },
                bytes: image.size,
            };
            seen.insert(image.id.clone(), entry);
        }
        self.0 = seen;
    }

    /// Images that are not in use and have been here for a while, the longest unused first.
    fn unused(&self, now: Instant, min_age: Duration) -> Vec<(String, u64)> {
        let mut unused: Vec<(&String, &Seen)> = self
            .0
            .iter()
            .filter(|(_, seen)| seen.used != Some(now) && now - seen.first >= min_age)
            .collect();
        unused.sort_by_key(|(id, seen)| (seen.used, seen.first, (*id).clone()));
        unused
            .into_iter()
            .map(|(id, seen)| (id.clone(), seen.bytes))
            .collect()
    }
}

/// How many bytes must go for the disk to be at its low mark; none while it is below the high one.
fn excess(policy: &ImageCollection, disk: u64, free: u64) -> u64 {
    let part = |percent: u8| u128::from(disk) * u128::from(percent) / 100;
    let used = u128::from(disk.saturating_sub(free));
    if disk == 0 || policy.high_percent >= 100 || used < part(policy.high_percent) {
        return 0;
    }
    u64::try_from(used.saturating_sub(part(policy.low_percent))).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(id: &str, size: u64) -> v1::Image {
        v1::Image {
            id: id.into(),
            size,
            ..Default::default()
        }
    }

    fn used(ids: &[&str]) -> HashSet<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn the_longest_unused_goes_first_and_nothing_in_use_or_young() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let age = Duration::from_secs(120);
        let all = [image("a", 1), image("b", 2), image("c", 3), image("d", 4)];
        let pinned = v1::Image {
            pinned: true,
            ..image("p", 5)
        };
        let mut known = Known::default();
        known.see(&all[..3], &used(&["a", "b"]), at(0));
        known.see(&all[..3], &used(&["a"]), at(300));
        known.see(&[&all[..], &[pinned]].concat(), &used(&["c"]), at(600));
        let ids = |now| -> Vec<String> {
            let unused = known.unused(now, age);
            unused.into_iter().map(|(id, _)| id).collect()
        };
        // b was used last at 0, a at 300; c is in use, d came just now.
        assert_eq!(ids(at(600)), ["b", "a"]);
        // Later nothing is known to be in use, and d was never used.
        assert_eq!(ids(at(900)), ["d", "b", "a", "c"]);
        known.see(&all[..1], &used(&[]), at(900));
        assert_eq!(known.0.len(), 1, "what is gone is forgotten");
    }

    #[test]
    fn between_the_marks_nothing_goes() {
        let policy = ImageCollection::default();
        for (free, want) in [(1000, 0), (200, 0), (151, 0), (150, 50), (0, 200)] {
            assert_eq!(excess(&policy, 1000, free), want, "{free}");
        }
        assert_eq!(excess(&policy, 0, 0), 0);
        let never = ImageCollection {
            high_percent: 100,
            ..policy
        };
        assert_eq!(excess(&never, 1000, 0), 0);
    }
}
