//! What kinds the server has, each once.

use kube::discovery::{ApiCapabilities, ApiResource, Discovery};

/// A kind in the most stable version it is served in. A group's preferred version does not count: not every kind of the group
/// has it.
pub(crate) struct Kind {
    pub(crate) resource: ApiResource,
    pub(crate) capabilities: ApiCapabilities,
    /// All versions it is served in, as `group/version`.
    pub(crate) api_versions: Vec<String>,
}

impl Kind {
    pub(crate) fn supports(&self, verbs: &[&str]) -> bool {
        verbs
            .iter()
            .all(|verb| self.capabilities.supports_operation(verb))
    }
}

pub(crate) async fn discover(client: &kube::Client) -> Result<Vec<Kind>, kube::Error> {
    let discovery = Discovery::new(client.clone()).run().await?;
    let mut kinds = Vec::new();
    for group in discovery.groups() {
        let served: Vec<_> = group
            .versions()
            .flat_map(|version| group.versioned_resources(version))
            .map(|(resource, _)| (resource.kind, resource.api_version))
            .collect();
        for (resource, capabilities) in group.resources_by_stability() {
            let versions = served.iter().filter(|(kind, _)| *kind == resource.kind);
            let api_versions = versions.map(|(_, version)| version.clone()).collect();
            kinds.push(Kind {
                resource,
                capabilities,
                api_versions,
            });
        }
    }
    Ok(kinds)
}
