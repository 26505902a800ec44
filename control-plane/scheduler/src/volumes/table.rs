//! Claims, volumes and storage classes as the watches tell.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeSpec,
};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::runtime::watcher::Event;
use tokio::sync::watch;

use super::Awaited;
use super::bind::{is_bound, selected_node};
use crate::queue::Change;

/// What is known of storage.
#[derive(Debug, Default)]
pub(crate) struct VolumeTable {
    claims: HashMap<(String, String), Arc<PersistentVolumeClaim>>,
    volumes: BTreeMap<String, Arc<PersistentVolume>>,
    classes: HashMap<String, Arc<StorageClass>>,
    /// Claims that somebody waits for to be bound.
    awaited: HashMap<(String, String), Waiters>,
    listed: HashSet<(String, String)>,
    listed_volumes: HashSet<String>,
}

/// Who waits for one claim: the node they all go to, and what tells them of the claim.
#[derive(Debug)]
struct Waiters {
    node: String,
    news: watch::Sender<Arc<PersistentVolumeClaim>>,
}

impl VolumeTable {
    pub(super) fn claim(&self, namespace: &str, name: &str) -> Option<Arc<PersistentVolumeClaim>> {
        let key = (namespace.to_string(), name.to_string());
        self.claims.get(&key).cloned()
    }

    pub(super) fn volume(&self, name: &str) -> Option<Arc<PersistentVolume>> {
        self.volumes.get(name).cloned()
    }

    pub(super) fn class(&self, name: &str) -> Option<Arc<StorageClass>> {
        self.classes.get(name).cloned()
    }

    /// Free volumes that a claim could take, on whatever node. The binder decides in the end, by rules that are stricter.
    pub(super) fn candidates(&self, claim: &PersistentVolumeClaim) -> Vec<Arc<PersistentVolume>> {
        let Some(wanted) = &claim.spec else {
            return Vec::new();
        };
        let volumes = self.volumes.values().filter(|volume| {
            let spec = volume.spec.as_ref();
            let free = spec.is_some_and(|spec| spec.claim_ref.is_none() && fits(wanted, spec));
            free && volume.metadata.deletion_timestamp.is_none()
        });
        volumes.cloned().collect()
    }

    /// The node that a claim without a volume gets one for: pods that share it go there, too.
    pub(super) fn chosen_node(
        &self,
        claim: &PersistentVolumeClaim,
        provisioned: bool,
    ) -> Option<String> {
        let waiters = self.awaited.get(&key(claim));
        let waiters = waiters.filter(|waiters| waiters.news.receiver_count() > 0);
        // Nobody takes the node away from a claim that only waits for a volume made by hand: another may have one.
        let told = || selected_node(claim).filter(|_| provisioned);
        let chosen = waiters.map(|waiters| waiters.node.as_str()).or_else(told);
        chosen.map(str::to_string)
    }

    /// To wait with until the claim is bound, for a pod that goes to the node. All who wait for one claim share what is
    /// kept for it.
    pub(crate) fn await_bound(&mut self, claim: Arc<PersistentVolumeClaim>, node: &str) -> Awaited {
        let waiters = self.awaited.entry(key(&claim)).or_insert_with(|| Waiters {
            node: String::new(),
            news: watch::channel(claim.clone()).0,
        });
        waiters.node = node.to_string();
        Awaited {
            news: waiters.news.subscribe(),
            claim,
            told: None,
        }
    }

    pub(super) fn put_claim(&mut self, claim: PersistentVolumeClaim) {
        let (key, claim) = (key(&claim), Arc::new(claim));
        let before = self.claims.insert(key.clone(), claim.clone());
        if before.is_some_and(|before| before.metadata.uid != claim.metadata.uid) {
            // Whom they wait for is gone.
            self.awaited.remove(&key);
        }
        if let Some(waiters) = self.awaited.get(&key) {
            let bound = is_bound(&claim);
            waiters.news.send_replace(claim);
            if bound {
                self.awaited.remove(&key);
            }
        }
    }

    pub(super) fn put_volume(&mut self, volume: PersistentVolume) {
        let name = volume.metadata.name.clone().unwrap_or_default();
        self.volumes.insert(name, Arc::new(volume));
    }

    pub(super) fn put_class(&mut self, class: StorageClass) {
        let name = class.metadata.name.clone().unwrap_or_default();
        self.classes.insert(name, Arc::new(class));
    }

    /// Says who, of the pods that fitted nowhere, may fit now.
    pub(crate) fn claim_event(&mut self, event: Event<PersistentVolumeClaim>) -> Change {
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(claim) => {
                self.listed.insert(key(&claim));
                self.put_claim(claim);
            }
            Event::Apply(claim) => {
                let (namespace, name) = key(&claim);
                self.put_claim(claim);
                return Change::Claim { namespace, name };
            }
            Event::Delete(claim) => {
                self.claims.remove(&key(&claim));
                self.awaited.remove(&key(&claim));
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                self.claims.retain(|key, _| listed.contains(key));
                self.awaited.retain(|key, _| listed.contains(key));
            }
        }
        Change::Volumes
    }

    /// Says who, of the pods that fitted nowhere, may fit now.
    pub(crate) fn volume_event(&mut self, event: Event<PersistentVolume>) -> Change {
        match event {
            Event::Init => self.listed_volumes.clear(),
            Event::InitApply(volume) => {
                let name = volume.metadata.name.clone().unwrap_or_default();
                self.listed_volumes.insert(name);
                self.put_volume(volume);
            }
            Event::Apply(volume) => {
                let claim = volume.spec.as_ref().and_then(|spec| spec.claim_ref.clone());
                self.put_volume(volume);
                if let Some(claim) = claim {
                    return Change::Claim {
                        namespace: claim.namespace.unwrap_or_default(),
                        name: claim.name.unwrap_or_default(),
                    };
                }
            }
            Event::Delete(volume) => {
                self.volumes
                    .remove(&volume.metadata.name.unwrap_or_default());
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listed_volumes);
                self.volumes.retain(|name, _| listed.contains(name));
            }
        }
        Change::Volumes
    }

    /// True if pods that fitted nowhere may fit now.
    pub(crate) fn class_event(&mut self, event: Event<StorageClass>) -> bool {
        match event {
            Event::Init => self.classes.clear(),
            Event::InitApply(class) | Event::Apply(class) => self.put_class(class),
            Event::Delete(class) => {
                self.classes
                    .remove(&class.metadata.name.unwrap_or_default());
            }
            Event::InitDone => {}
        }
        true
    }
}

fn key(claim: &PersistentVolumeClaim) -> (String, String) {
    let metadata = &claim.metadata;
    (
        metadata.namespace.clone().unwrap_or_default(),
        metadata.name.clone().unwrap_or_default(),
    )
}

fn fits(claim: &PersistentVolumeClaimSpec, volume: &PersistentVolumeSpec) -> bool {
    let class = |name: &Option<String>| name.clone().unwrap_or_default();
    let offered = volume.access_modes.as_deref().unwrap_or_default();
    let mut wanted = claim.access_modes.iter().flatten();
    let requests = claim.resources.as_ref().and_then(|r| r.requests.as_ref());
    class(&claim.storage_class_name) == class(&volume.storage_class_name)
        && wanted.all(|mode| offered.contains(mode))
        && bytes(requests) <= bytes(volume.capacity.as_ref())
}

fn bytes(amounts: Option<&BTreeMap<String, Quantity>>) -> i128 {
    let storage = amounts.and_then(|amounts| amounts.get("storage"));
    let parsed = storage.and_then(|q| sampan_api::quantity::Quantity::parse(&q.0).ok());
    parsed.map_or(0, |quantity| quantity.units())
}
