//! Who makes a request. Only names: what a name may do is `authz`'s.

/// A user as authentication found it: what upstream calls `user.Info`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserInfo {
    /// For example `system:node:edge-1`.
    pub name: String,
    /// Empty unless the authenticator knows one.
    pub uid: String,
    /// Groups, `system:authenticated` or `system:unauthenticated` included.
    pub groups: Vec<String>,
    /// Further attributes, for example those of `Impersonate-Extra-*`.
    pub extra: Vec<(String, Vec<String>)>,
}

/// Everybody in this group may do everything.
pub(crate) const MASTERS: &str = "system:masters";
/// Kubelets.
pub(crate) const NODES: &str = "system:nodes";
/// Everybody whose credentials were accepted.
pub(crate) const AUTHENTICATED: &str = "system:authenticated";
/// Everybody without credentials.
pub(crate) const UNAUTHENTICATED: &str = "system:unauthenticated";
/// What a node's user name starts with.
pub(crate) const NODE_PREFIX: &str = "system:node:";
/// The scheduler's user name.
pub(crate) const SCHEDULER: &str = "system:kube-scheduler";
/// The controllers' user name.
pub(crate) const CONTROLLER_MANAGER: &str = "system:kube-controller-manager";

impl UserInfo {
    /// An authenticated user in `groups`.
    pub fn new(name: impl Into<String>, groups: impl IntoIterator<Item = String>) -> UserInfo {
        let mut groups: Vec<String> = groups.into_iter().collect();
        if !groups.iter().any(|group| group == AUTHENTICATED) {
            groups.push(AUTHENTICATED.into());
        }
        UserInfo {
            name: name.into(),
            uid: String::new(),
            groups,
            extra: Vec::new(),
        }
    }

    /// The administrator the written kubeconfig speaks for.
    pub fn admin() -> UserInfo {
        UserInfo::new("kubernetes-admin", [MASTERS.into()])
    }

    /// The server itself, for what it writes on its own.
    pub(crate) fn server() -> UserInfo {
        UserInfo::new("system:apiserver", [MASTERS.into()])
    }

    /// The scheduler.
    pub fn scheduler() -> UserInfo {
        UserInfo::new(SCHEDULER, [])
    }

    /// The controllers.
    pub fn controller_manager() -> UserInfo {
        UserInfo::new(CONTROLLER_MANAGER, [])
    }

    /// The agent of one node.
    pub fn node(name: &str) -> UserInfo {
        UserInfo::new(format!("{NODE_PREFIX}{name}"), [NODES.into()])
    }

    /// Nobody in particular.
    pub fn anonymous() -> UserInfo {
        UserInfo {
            name: "system:anonymous".into(),
            uid: String::new(),
            groups: vec![UNAUTHENTICATED.into()],
            extra: Vec::new(),
        }
    }

    /// Membership.
    pub fn in_group(&self, group: &str) -> bool {
        self.groups.iter().any(|candidate| candidate == group)
    }

    /// The node this user is the agent of.
    pub(crate) fn node_name(&self) -> Option<&str> {
        if self.in_group(NODES) {
            self.name.strip_prefix(NODE_PREFIX)
        } else {
            None
        }
    }
}
