//! Where a name may be found, in the order of asking.

use std::fmt;
use std::sync::Arc;

use crate::digest::Digest;
use crate::distribution::{Auth, Distribution, Manifest};
use crate::error::FetchError;
use crate::layout::Layout;
use crate::limits::Limits;
use crate::pull::retry::retry;
use crate::reference::OciName;
use crate::store::ImageStore;

/// One place that may have an image.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) place: Arc<dyn Distribution>,
    /// The repository's name as the place knows it.
    pub(crate) repository: String,
    /// For messages and to tell places apart.
    pub(crate) label: String,
    /// The name the image gets; none for a layout, whose caller names it.
    name: Option<OciName>,
    role: Role,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// The last word on the name.
    Origin,
    /// The cluster's own registry: what it does not have may be elsewhere.
    Own,
    /// A copy that may be incomplete or down.
    Mirror,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}

impl Source {
    pub(crate) fn layout(layout: Arc<Layout>, label: String) -> Source {
        Source {
            place: layout,
            repository: String::new(),
            label,
            name: None,
            role: Role::Origin,
        }
    }

    /// Whether content comes over the network, at the pace of somebody else.
    pub(crate) fn is_remote(&self) -> bool {
        self.name.is_some() && self.role != Role::Own
    }

    /// The names an image pulled from here gets, given the digest its reference resolved to.
    pub(crate) fn names(&self, top: &Digest) -> Vec<String> {
        let Some(name) = &self.name else {
            return Vec::new();
        };
        let repository = name.repository();
        let with_digest = format!("{repository}@{top}");
        // As container runtimes do: a reference with a digest does not vouch for its tag.
        match (&name.digest, &name.tag) {
            (None, Some(tag)) => vec![format!("{repository}:{tag}"), with_digest],
            _ => vec![with_digest],
        }
    }

    /// Whether the next place should be asked after its content failed to come.
    pub(crate) fn is_mirror(&self) -> bool {
        self.role == Role::Mirror
    }

    /// Whether the next place should be asked after this failure.
    pub(crate) fn may_be_elsewhere(&self, error: &FetchError) -> bool {
        match self.role {
            Role::Origin => false,
            Role::Own => matches!(error, FetchError::NotFound(_)),
            Role::Mirror => !matches!(error, FetchError::Storage(_)),
        }
    }

    /// A manifest or index by tag or digest, verified.
    pub(crate) async fn manifest(
        &self,
        limits: &Limits,
        reference: &str,
    ) -> Result<Manifest, FetchError> {
        let ask = || self.place.manifest(&self.repository, reference);
        // A mirror that is down costs one attempt: there is another place to ask.
        let mut found = match self.role {
            Role::Mirror => ask().await?,
            Role::Origin | Role::Own => retry(limits, ask).await?,
        };
        if found.bytes.len() as u64 > limits.manifest_bytes {
            let (size, most) = (found.bytes.len(), limits.manifest_bytes);
            return Err(FetchError::TooLarge(format!(
                "manifest of {size} bytes, at most {most} are allowed"
            )));
        }
        found.digest = Digest::of(&found.bytes);
        match reference.parse::<Digest>() {
            Ok(wanted) if wanted != found.digest => Err(FetchError::Invalid(format!(
                "digest mismatch: manifest is {}, not {wanted}",
                found.digest
            ))),
            _ => Ok(found),
        }
    }
}

/// The places to ask for `name`.
pub(crate) fn sources(store: &ImageStore, name: &OciName, auth: Option<&Auth>) -> Vec<Source> {
    let mut sources = Vec::new();
    if let Some(own) = &store.local {
        let addressed = name.domain.as_ref();
        let addressed = addressed.is_some_and(|host| store.local_hosts.contains(host));
        if addressed || name.domain.is_none() {
            sources.push(Source {
                place: own.clone(),
                repository: name.path.clone(),
                label: "the cluster's own registry".into(),
                name: Some(name.clone()),
                role: Role::Own,
            });
        }
        // What names it by its address means nobody else.
        if addressed {
            return sources;
        }
    }
    let full = name.in_default_registry();
    let domain = full.domain.clone().unwrap_or_default();
    let mirrors = store.remotes.mirrors(&domain);
    let mirrors = mirrors.map(|(mirror, place)| {
        let repository = mirror.repository(&full.path);
        (Role::Mirror, place, repository)
    });
    let origin = store.remotes.origin(&domain, auth);
    for (role, remote, repository) in mirrors.chain([(Role::Origin, origin, full.path.clone())]) {
        sources.push(Source {
            label: format!("{}/{repository}", remote.base()),
            place: Arc::new(remote),
            repository,
            name: Some(full.clone()),
            role,
        });
    }
    sources
}

/// The names under which an image that `name` means may be recorded, in the order of [`sources`].
pub(crate) fn recorded_names(name: &OciName) -> Vec<String> {
    let full = name.in_default_registry();
    let own = name.domain.is_none().then_some(name);
    let text = |name: &OciName| match &name.digest {
        Some(digest) => format!("{}@{digest}", name.repository()),
        None => name.to_string(),
    };
    own.into_iter().chain([&full]).map(text).collect()
}

/// The final error, after what the places asked before had said: that the cluster's own registry does not have a name
/// is what its user needs to know first.
pub(crate) fn explain(failures: Vec<(String, FetchError)>, last: FetchError) -> FetchError {
    if failures.is_empty() {
        return last;
    }
    let before: Vec<String> = failures
        .into_iter()
        .map(|(place, error)| format!("{place}: {error}"))
        .collect();
    let joined = |text: String| format!("{}; {text}", before.join("; "));
    match last {
        FetchError::NotFound(text) => FetchError::NotFound(joined(text)),
        FetchError::Unauthorized(text) => FetchError::Unauthorized(joined(text)),
        FetchError::Unavailable(text) | FetchError::Busy { reason: text, .. } => {
            FetchError::Unavailable(joined(text))
        }
        other => other,
    }
}
