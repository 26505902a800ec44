//! What tests ask the runtime that follows a script: how it was called and what it has.

use super::*;

impl FakeRuntime {
    pub(crate) fn calls(&self, text: &str) -> usize {
        self.data
            .lock()
            .calls
            .iter()
            .filter(|call| call.contains(text))
            .count()
    }

    pub(crate) fn auths(&self) -> Vec<AuthConfig> {
        self.data.lock().auths.clone()
    }

    pub(crate) fn counts(&self) -> (usize, usize) {
        let data = self.data.lock();
        (data.sandboxes.len(), data.containers.len())
    }

    /// The newest configuration of a container of this name.
    pub(crate) fn config(&self, name: &str) -> ContainerConfig {
        let data = self.data.lock();
        let own = data
            .containers
            .values()
            .filter(|(_, c, _)| c.labels["io.kubernetes.container.name"] == name);
        own.max_by_key(|(_, _, status)| status.created_at)
            .unwrap()
            .1
            .clone()
    }

    /// The changes of limits, in order.
    pub(crate) fn updates(&self) -> Vec<String> {
        let data = self.data.lock();
        let names = data.calls.iter().filter_map(|call| call.split(' ').next());
        let updates = names.filter(|name| name.starts_with("update"));
        updates.map(str::to_owned).collect()
    }

    /// What the containers of a pod of this name have together: processor time and memory.
    pub(crate) fn limits_of_sandbox(&self, pod: &str) -> (i64, i64) {
        let data = self.data.lock();
        let mut configs = data.sandboxes.values();
        let config = configs.find(|config| config.metadata.as_ref().unwrap().name == pod);
        let linux = config.unwrap().linux.as_ref().unwrap();
        let resources = linux.resources.as_ref().unwrap();
        (resources.cpu_quota, resources.memory_limit_in_bytes)
    }

    /// The annotations of the sandbox of a pod of this name.
    pub(crate) fn sandbox_annotations(&self, pod: &str) -> BTreeMap<String, String> {
        let data = self.data.lock();
        let mut configs = data.sandboxes.values();
        let config = configs.find(|config| config.metadata.as_ref().unwrap().name == pod);
        config.unwrap().annotations.clone()
    }
}
