//! The interfaces beyond WASI proper that a pod has: read from its annotations, made for the engine.

mod buckets;

use std::collections::BTreeMap;

use sampan_engine::{Capability, HostInterfaces, Module, Settings};
use sampan_proto::{
    CONFIG_MAPS, CriError, NAMESPACE_UID, WASI_CONFIG, WASI_KEYVALUE, WASI_LOGGING,
};

use crate::annotations::Annotations;
use crate::capabilities::CapabilityError;
use crate::sandbox::Sandbox;
pub(crate) use buckets::Buckets;
use buckets::Owner;

/// Buckets one pod may name.
const MAX_BUCKETS: usize = 64;

/// What a guest means that names no bucket.
const DEFAULT_BUCKET: &str = "default";

/// An annotation that cannot be understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("annotation {annotation}: {problem}")]
pub(crate) struct GrantError {
    annotation: &'static str,
    problem: String,
}

/// Where settings come from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Env,
    ConfigMap(String),
}

/// What a container has, and whose it is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Grants {
    config: Option<Vec<Source>>,
    /// By the name the guest uses, the bucket's own.
    keyvalue: Option<BTreeMap<String, String>>,
    logging: bool,
    owner: Owner,
}

impl Grants {
    /// What the annotations of sandbox and container say.
    pub(crate) fn of(
        sandbox: &Sandbox,
        container: &BTreeMap<String, String>,
        name: &str,
    ) -> Result<Grants, GrantError> {
        let pod = &sandbox.config.annotations;
        let metadata = sandbox.config.metadata.clone().unwrap_or_default();
        let annotations = Annotations {
            pod,
            container,
            name,
        };
        Ok(Grants {
            owner: Owner {
                namespace: metadata.namespace,
                uid: pod.get(NAMESPACE_UID).cloned().unwrap_or_default(),
            },
            ..Grants::read(&annotations)?
        })
    }

    fn read(annotations: &Annotations<'_>) -> Result<Grants, GrantError> {
        Ok(Grants {
            config: annotations.get(WASI_CONFIG).map(sources).transpose()?,
            keyvalue: annotations.get(WASI_KEYVALUE).map(buckets).transpose()?,
            logging: match annotations.get(WASI_LOGGING) {
                None | Some("false") => false,
                Some("true") => true,
                Some(other) => {
                    let problem = format!("{other:?} is neither \"true\" nor \"false\"");
                    return Err(error(WASI_LOGGING, problem));
                }
            },
            owner: Owner::default(),
        })
    }

    /// Refuses a module that imports what it does not have, naming the annotation that gives it.
    pub(crate) fn check(&self, module: &Module) -> Result<(), CapabilityError> {
        for &capability in module.capabilities() {
            let (has, annotation, example) = match capability {
                Capability::Config => (self.config.is_some(), WASI_CONFIG, "env"),
                Capability::KeyValue => (self.keyvalue.is_some(), WASI_KEYVALUE, DEFAULT_BUCKET),
                Capability::Logging => (self.logging, WASI_LOGGING, "true"),
                _ => continue,
            };
            if !has {
                return Err(CapabilityError::NotGiven {
                    import: module
                        .import_behind(capability)
                        .unwrap_or_default()
                        .to_string(),
                    annotation,
                    example,
                });
            }
        }
        Ok(())
    }

    /// Makes the interfaces, as far as the module asks for them.
    pub(crate) async fn interfaces(
        self,
        module: &Module,
        env: &[(String, String)],
        annotations: &BTreeMap<String, String>,
        buckets: &Buckets,
    ) -> Result<HostInterfaces, CriError> {
        let wants = |capability| module.capabilities().contains(&capability);
        let mut interfaces = HostInterfaces {
            logging: self.logging,
            ..HostInterfaces::default()
        };
        if let Some(sources) = self.config
            && wants(Capability::Config)
        {
            interfaces.config = Some(settings(&sources, env, annotations)?);
        }
        if let Some(names) = self.keyvalue
            && wants(Capability::KeyValue)
        {
            interfaces.keyvalue = Some(buckets.of(self.owner, names).await?);
        }
        Ok(interfaces)
    }
}

fn error(annotation: &'static str, problem: String) -> GrantError {
    GrantError {
        annotation,
        problem,
    }
}

/// The parts of a list, spaces around them dropped.
fn parts(list: &str) -> impl Iterator<Item = &str> {
    list.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
}

fn sources(list: &str) -> Result<Vec<Source>, GrantError> {
    let source = |part: &str| match part.split_once('/') {
        None if part == "env" => Ok(Source::Env),
        Some(("configmap", name)) if !name.is_empty() => Ok(Source::ConfigMap(name.to_string())),
        _ => {
            let problem = format!("{part:?} is neither \"env\" nor \"configmap/NAME\"");
            Err(error(WASI_CONFIG, problem))
        }
    };
    parts(list).map(source).collect()
}

fn buckets(list: &str) -> Result<BTreeMap<String, String>, GrantError> {
    let mut names = BTreeMap::new();
    for part in parts(list) {
        let (name, bucket) = part.split_once('=').unwrap_or((part, part));
        let (name, bucket) = (name.trim(), bucket.trim());
        if name.is_empty() || bucket.is_empty() {
            let problem = format!("{part:?} is neither NAME nor NAME=BUCKET");
            return Err(error(WASI_KEYVALUE, problem));
        }
        names.insert(name.to_string(), bucket.to_string());
    }
    match names.len() {
        0 => Err(error(WASI_KEYVALUE, "it names no bucket".to_string())),
        count if count > MAX_BUCKETS => {
            let problem = format!("it names {count} buckets, at most {MAX_BUCKETS} are allowed");
            Err(error(WASI_KEYVALUE, problem))
        }
        _ => Ok(names),
    }
}

/// Settings from their sources; a later source counts more.
fn settings(
    sources: &[Source],
    env: &[(String, String)],
    annotations: &BTreeMap<String, String>,
) -> Result<Settings, GrantError> {
    let maps = match annotations.get(CONFIG_MAPS) {
        Some(text) => {
            serde_json::from_str(text).map_err(|problem| error(CONFIG_MAPS, problem.to_string()))?
        }
        None => BTreeMap::<String, BTreeMap<String, String>>::new(),
    };
    let mut all = Vec::new();
    for source in sources {
        match source {
            Source::Env => all.extend(env.iter().cloned()),
            Source::ConfigMap(name) => {
                let map = maps.get(name).ok_or_else(|| {
                    let problem = format!(
                        "the node's agent did not send the ConfigMap {name:?}: only sampan's does"
                    );
                    error(WASI_CONFIG, problem)
                })?;
                all.extend(map.clone());
            }
        }
    }
    Ok(all.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pairs = pairs.iter();
        pairs.map(|(k, v)| (k.to_string(), v.to_string())).collect()
    }

    fn read(pod: &[(&str, &str)], container: &[(&str, &str)]) -> Result<Grants, GrantError> {
        Grants::read(&Annotations {
            pod: &map(pod),
            container: &map(container),
            name: "main",
        })
    }

    #[test]
    fn nothing_is_given_unasked() {
        assert_eq!(read(&[], &[]), Ok(Grants::default()));
    }

    #[test]
    fn annotations_give_interfaces() {
        let pod = [
            ("sampan.dev/wasi-config", "env, configmap/a"),
            ("sampan.dev/wasi-keyvalue", "default,cache=sessions"),
            ("sampan.dev/wasi-logging", "true"),
        ];
        let grants = read(&pod, &[]).expect("valid");
        let sources = vec![Source::Env, Source::ConfigMap("a".into())];
        assert_eq!(grants.config, Some(sources));
        let buckets = map(&[("cache", "sessions"), ("default", "default")]);
        assert_eq!(grants.keyvalue, Some(buckets));
        assert!(grants.logging);
    }

    #[test]
    fn a_containers_own_word_counts_more() {
        let pod = [
            ("sampan.dev/wasi-logging", "true"),
            ("sampan.dev/wasi-logging.main", "false"),
            ("sampan.dev/wasi-keyvalue", "a"),
            ("sampan.dev/wasi-keyvalue.other", "b"),
        ];
        let grants = read(&pod, &[("sampan.dev/wasi-keyvalue", "c")]).expect("valid");
        assert!(!grants.logging);
        assert_eq!(grants.keyvalue, Some(map(&[("c", "c")])));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (key, value, problem) in [
            (
                "sampan.dev/wasi-config",
                "environment",
                "is neither \"env\"",
            ),
            ("sampan.dev/wasi-config", "configmap/", "is neither \"env\""),
            ("sampan.dev/wasi-config", "secret/x", "is neither \"env\""),
            ("sampan.dev/wasi-keyvalue", "", "names no bucket"),
            ("sampan.dev/wasi-keyvalue", "a=", "neither NAME"),
            ("sampan.dev/wasi-logging", "yes", "neither \"true\""),
        ] {
            let text = read(&[(key, value)], &[]).expect_err(value).to_string();
            assert!(text.contains(key) && text.contains(problem), "{text}");
        }
        let many: Vec<String> = (0..65).map(|n| format!("b{n}")).collect();
        let many = read(&[("sampan.dev/wasi-keyvalue", &many.join(","))], &[]);
        assert!(many.is_err());
    }

    #[test]
    fn a_config_map_that_did_not_come_is_told() {
        let wanted = [Source::ConfigMap("a".into())];
        assert!(settings(&wanted, &[], &map(&[])).is_err());
        assert!(settings(&wanted, &[], &map(&[(CONFIG_MAPS, "{}")])).is_err());
        assert!(settings(&wanted, &[], &map(&[(CONFIG_MAPS, "nonsense")])).is_err());
        let sent = map(&[(CONFIG_MAPS, r#"{"a":{"k":"v"}}"#)]);
        assert!(settings(&wanted, &[], &sent).is_ok());
    }
}
