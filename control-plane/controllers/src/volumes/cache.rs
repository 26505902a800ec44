//! All claims, volumes and storage classes as the watches tell: what is searched when a claim needs a volume.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::ResourceExt;
use kube::runtime::watcher::Event;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::Key;

#[derive(Default)]
pub(super) struct Cache {
    state: Mutex<State>,
    first_claim: CancellationToken,
}

#[derive(Default)]
struct State {
    /// Claims without a volume, by namespace and name.
    waiting: HashSet<(String, String)>,
    volumes: BTreeMap<String, Arc<PersistentVolume>>,
    classes: BTreeMap<String, Arc<StorageClass>>,
    listed_volumes: HashSet<String>,
}

impl Cache {
    /// Cancelled when there is a claim.
    pub(super) fn first_claim(&self) -> CancellationToken {
        self.first_claim.clone()
    }

    pub(super) fn volumes(&self) -> Vec<Arc<PersistentVolume>> {
        self.state.lock().volumes.values().cloned().collect()
    }

    pub(super) fn class(&self, name: &str) -> Option<Arc<StorageClass>> {
        self.state.lock().classes.get(name).cloned()
    }

    pub(super) fn claim_event(&self, event: Event<PersistentVolumeClaim>) -> Vec<Key> {
        let (claim, gone) = match event {
            Event::Apply(claim) | Event::InitApply(claim) => (claim, false),
            Event::Delete(claim) => (claim, true),
            Event::Init => {
                self.state.lock().waiting.clear();
                return Vec::new();
            }
            Event::InitDone => return Vec::new(),
        };
        self.first_claim.cancel();
        let place = (claim.namespace().unwrap_or_default(), claim.name_any());
        let volume = claim.spec.and_then(|spec| spec.volume_name);
        let volume = volume.filter(|name| !name.is_empty());
        let mut state = self.state.lock();
        if gone || volume.is_some() {
            state.waiting.remove(&place);
        } else {
            state.waiting.insert(place.clone());
        }
        let (namespace, name) = place;
        let claim = Key::Claim { namespace, name };
        volume.map(Key::Volume).into_iter().chain([claim]).collect()
    }

    pub(super) fn volume_event(&self, event: Event<PersistentVolume>) -> Vec<Key> {
        let mut state = self.state.lock();
        let (volume, gone) = match event {
            Event::Apply(volume) => (volume, false),
            Event::InitApply(volume) => {
                state.listed_volumes.insert(volume.name_any());
                (volume, false)
            }
            Event::Delete(volume) => (volume, true),
            Event::Init => {
                state.listed_volumes.clear();
                return Vec::new();
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut state.listed_volumes);
                state.volumes.retain(|name, _| listed.contains(name));
                return Vec::new();
            }
        };
        let name = volume.name_any();
        let owner = volume.spec.as_ref().and_then(|spec| spec.claim_ref.clone());
        let mut keys = vec![Key::Volume(name.clone())];
        match owner {
            Some(owner) => keys.push(Key::Claim {
                namespace: owner.namespace.unwrap_or_default(),
                name: owner.name.unwrap_or_default(),
            }),
            // Whoever waits may take it.
            None => keys.extend(state.waiting()),
        }
        if gone {
            state.volumes.remove(&name);
        } else {
            state.volumes.insert(name, Arc::new(volume));
        }
        keys
    }

    pub(super) fn class_event(&self, event: Event<StorageClass>) -> Vec<Key> {
        let mut state = self.state.lock();
        match event {
            Event::Apply(class) | Event::InitApply(class) => {
                state.classes.insert(class.name_any(), Arc::new(class));
                state.waiting().collect()
            }
            Event::Delete(class) => {
                state.classes.remove(&class.name_any());
                Vec::new()
            }
            Event::Init => {
                state.classes.clear();
                Vec::new()
            }
            Event::InitDone => Vec::new(),
        }
    }
}

impl State {
    fn waiting(&self) -> impl Iterator<Item = Key> + '_ {
        self.waiting.iter().map(|(namespace, name)| Key::Claim {
            namespace: namespace.clone(),
            name: name.clone(),
        })
    }
}
