//! What a container is run as: told by the pod's annotations and by `path#function` as the first word of its command.
//! CRI has no field for either. Pure.
//!
//! An annotation of the pod is for all its containers; with a container's name behind it, as in
//! `sampan.dev/workload.web`, it is for that one alone. What says nothing is run as its exports say.

use std::time::Duration;

use sampan_engine::{Entry, Reuse};

use crate::annotations::Annotations;

/// `command`, `http` or `function`.
pub(crate) const WORKLOAD: &str = "sampan.dev/workload";

/// Requests one instance of an HTTP handler answers before it is replaced; without it each request gets a fresh one.
pub(crate) const REQUESTS: &str = "sampan.dev/requests-per-instance";

/// Requests such an instance answers side by side, if it is a guest of WASI 0.3; 1 if the pod does not say.
pub(crate) const CONCURRENT: &str = "sampan.dev/concurrency-per-instance";

/// How long an instance waits for its next request, as in `30s`.
pub(crate) const IDLE: &str = "sampan.dev/idle-instance-timeout";

/// The most requests one instance may be asked to answer.
const MAX_REQUESTS: u32 = 1_000_000;

/// The most requests one instance may be asked to answer side by side.
const MAX_CONCURRENT: u32 = 1_000;

/// How long an instance waits if the pod does not say.
const DEFAULT_IDLE: Duration = Duration::from_secs(30);

/// The longest an instance may be asked to wait.
const MAX_IDLE: Duration = Duration::from_secs(3_600);

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
    #[error("annotation {REQUESTS} is {0:?}; it must be a number from 1 to {MAX_REQUESTS}")]
    Requests(String),
    #[error("annotation {CONCURRENT} is {0:?}; it must be a number from 1 to {MAX_CONCURRENT}")]
    Concurrent(String),
    #[error("annotation {IDLE} is {0:?}; it must be a time up to an hour, as in 500ms, 30s or 5m")]
    Idle(String),
    #[error("annotation {0} has no meaning without {REQUESTS}")]
    Alone(&'static str),
}

/// What a container is run as.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Workload {
    pub(crate) entry: Entry,
    /// What the image looks its module up by: the first argument, without a function's name.
    pub(crate) program: Option<String>,
    pub(crate) reuse: Option<Reuse>,
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
        reuse: reuse(annotations)?,
    })
}

fn reuse(annotations: &Annotations<'_>) -> Result<Option<Reuse>, WorkloadError> {
    let get = |key| annotations.get(key);
    let (concurrent, idle) = (get(CONCURRENT), get(IDLE));
    let Some(requests) = get(REQUESTS) else {
        return match (concurrent, idle) {
            (Some(_), _) => Err(WorkloadError::Alone(CONCURRENT)),
            (None, Some(_)) => Err(WorkloadError::Alone(IDLE)),
            (None, None) => Ok(None),
        };
    };
    let max_requests = number(requests, MAX_REQUESTS)
        .ok_or_else(|| WorkloadError::Requests(requests.to_string()))?;
    let max_concurrent = match concurrent {
        None => 1,
        Some(text) => number(text, MAX_CONCURRENT)
            .ok_or_else(|| WorkloadError::Concurrent(text.to_string()))?,
    };
    let idle_timeout = match idle {
        None => DEFAULT_IDLE,
        Some(text) => time(text)
            .filter(|time| *time <= MAX_IDLE)
            .ok_or_else(|| WorkloadError::Idle(text.to_string()))?,
    };
    Ok(Some(Reuse {
        max_requests,
        max_concurrent,
        idle_timeout,
    }))
}

/// A whole number from 1 up.
fn number(text: &str, most: u32) -> Option<u32> {
    let number = text.parse::<u32>().ok()?;
    (1..=most).contains(&number).then_some(number)
}

/// A whole number and its unit.
fn time(text: &str) -> Option<Duration> {
    let digits = text.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
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
                reuse: None,
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

    #[test]
    fn reuse_is_bounded() {
        let of = |requests: &str, idle: &str| {
            check(&[(REQUESTS, requests), (IDLE, idle)], Some("app"), true)
        };
        for (idle, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
        ] {
            let expected = Reuse {
                max_requests: 100,
                max_concurrent: 1,
                idle_timeout: Duration::from_millis(millis),
            };
            assert_eq!(of("100", idle).expect(idle).reuse, Some(expected));
        }
        let default = check(&[(REQUESTS, "2")], None, true).expect("valid").reuse;
        assert_eq!(default.map(|reuse| reuse.idle_timeout), Some(DEFAULT_IDLE));
        for requests in ["0", "-1", "1000001", "many", ""] {
            let error = WorkloadError::Requests(requests.to_string());
            assert_eq!(of(requests, "1s"), Err(error));
        }
        for idle in ["", "30", "s", "2h", "1d", "-1s", "99999999999999999999s"] {
            assert_eq!(
                of("1", idle),
                Err(WorkloadError::Idle(idle.to_string())),
                "{idle}"
            );
        }
        for key in [IDLE, CONCURRENT] {
            assert_eq!(
                check(&[(key, "1")], None, true),
                Err(WorkloadError::Alone(key))
            );
        }
        let of = |text: &str| check(&[(REQUESTS, "2"), (CONCURRENT, text)], None, true);
        let shared = of("16").expect("valid").reuse;
        assert_eq!(shared.map(|reuse| reuse.max_concurrent), Some(16));
        let many = WorkloadError::Concurrent("1001".to_string());
        assert_eq!(of("1001"), Err(many));
    }
}
