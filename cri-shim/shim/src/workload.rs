//! What a container is run as: told by the pod's annotations and by `path#function` as the first word of its command.
//! CRI has no field for either. Pure.
//!
//! An annotation of the pod is for all its containers; with a container's name behind it, as in
//! `sampan.dev/workload.web`, it is for that one alone. What says nothing is run as its exports say.

mod http;

use sampan_engine::Entry;

use crate::annotations::Annotations;
pub(crate) use http::{HttpError, HttpWishes};

/// `command`, `http` or `function`.
pub(crate) const WORKLOAD: &str = "sampan.dev/workload";

/// Why a pod's wishes cannot be met.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum WorkloadError {
    #[error("annotation {WORKLOAD} is {0:?}; it must be command, http or function")]
    Kind(String),
    #[error(
        "annotation {WORKLOAD} asks for a function, and the command names none: its first word must be a function's \
         name (in an image with a root filesystem: the module's path, # and the name)"
    )]
    NoFunction,
    #[error(transparent)]
    Http(#[from] HttpError),
}

/// What a container is run as.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Workload {
    pub(crate) entry: Entry,
    /// What the image looks its module up by: the first argument, without a function's name.
    pub(crate) program: Option<String>,
    pub(crate) http: HttpWishes,
}

/// Reads what a container is run as. `is_module` tells an image of one module from one with a root filesystem, whose
/// first argument is a path.
pub(crate) fn workload(
    annotations: &Annotations<'_>,
    argv0: Option<&str>,
    is_module: bool,
) -> Result<Workload, WorkloadError> {
    let whole = argv0.map(str::to_string);
    let parts = argv0.and_then(|word| word.split_once('#'));
    let (entry, program) = match (annotations.get(WORKLOAD), parts) {
        (None, Some((program, function)))
            if !function.is_empty() && program.is_empty() == is_module =>
        {
            (
                Entry::Function(function.to_string()),
                Some(program.to_string()),
            )
        }
        (None, _) => (Entry::Exported, whole),
        (Some("command"), _) => (Entry::Command, whole),
        (Some("http"), _) => (Entry::Http, whole),
        (Some("function"), Some((program, function))) if !function.is_empty() => (
            Entry::Function(function.to_string()),
            Some(program.to_string()),
        ),
        (Some("function"), None) if is_module && argv0.is_some_and(|word| !word.is_empty()) => {
            (Entry::Function(whole.clone().unwrap_or_default()), whole)
        }
        (Some("function"), _) => return Err(WorkloadError::NoFunction),
        (Some(other), _) => return Err(WorkloadError::Kind(other.to_string())),
    };
    Ok(Workload {
        entry,
        program,
        http: HttpWishes::read(annotations)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect()
    }

    fn check(
        pod: &[(&str, &str)],
        argv0: Option<&str>,
        is_module: bool,
    ) -> Result<Workload, WorkloadError> {
        let (pod, container) = (map(pod), BTreeMap::new());
        let annotations = Annotations {
            pod: &pod,
            container: &container,
            name: "web",
        };
        workload(&annotations, argv0, is_module)
    }

    #[test]
    fn the_entry_is_told_by_annotation_or_first_word() {
        let function = |name: &str| Entry::Function(name.to_string());
        let (module, rootfs) = (true, false);
        let kind = |kind: &'static str| vec![(WORKLOAD, kind)];
        let mine = vec![("sampan.dev/workload.web", "http"), (WORKLOAD, "command")];
        let others = vec![("sampan.dev/workload.db", "http")];
        // (annotations, first word, image) -> (entry, program)
        let cases = [
            (
                vec![],
                Some("/app.wasm"),
                rootfs,
                Entry::Exported,
                Some("/app.wasm"),
            ),
            (
                vec![],
                Some("/app.wasm#add"),
                rootfs,
                function("add"),
                Some("/app.wasm"),
            ),
            (
                vec![],
                Some("/a#x:y/z@1.0.0#f"),
                rootfs,
                function("x:y/z@1.0.0#f"),
                Some("/a"),
            ),
            (vec![], Some("#add"), rootfs, Entry::Exported, Some("#add")),
            (
                vec![],
                Some("/app.wasm#"),
                rootfs,
                Entry::Exported,
                Some("/app.wasm#"),
            ),
            (vec![], Some("#add"), module, function("add"), Some("")),
            (
                vec![],
                Some("it#add"),
                module,
                Entry::Exported,
                Some("it#add"),
            ),
            (vec![], None, module, Entry::Exported, None),
            (
                kind("command"),
                Some("/a#b"),
                rootfs,
                Entry::Command,
                Some("/a#b"),
            ),
            (kind("http"), Some("app"), module, Entry::Http, Some("app")),
            (
                kind("function"),
                Some("add"),
                module,
                function("add"),
                Some("add"),
            ),
            (
                kind("function"),
                Some("#add"),
                module,
                function("add"),
                Some(""),
            ),
            (
                kind("function"),
                Some("/a#add"),
                rootfs,
                function("add"),
                Some("/a"),
            ),
            (mine, Some("app"), module, Entry::Http, Some("app")),
            (others, Some("app"), module, Entry::Exported, Some("app")),
        ];
        for (pod, argv0, is_module, entry, program) in cases {
            let expected = Workload {
                entry,
                program: program.map(str::to_string),
                http: HttpWishes::default(),
            };
            assert_eq!(
                check(&pod, argv0, is_module),
                Ok(expected),
                "{pod:?} {argv0:?}"
            );
        }
        for argv0 in [None, Some(""), Some("#")] {
            assert_eq!(
                check(&kind("function"), argv0, module),
                Err(WorkloadError::NoFunction)
            );
        }
        let path = check(&kind("function"), Some("/app.wasm"), rootfs);
        assert_eq!(path, Err(WorkloadError::NoFunction));
        let unknown = check(&kind("job"), Some("app"), module);
        assert_eq!(unknown, Err(WorkloadError::Kind("job".to_string())));
    }
}
