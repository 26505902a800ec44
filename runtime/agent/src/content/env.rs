//! A container's environment.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, EnvVar, Pod};
use sampan_proto::WASI_CONFIG;

use super::objects::{Content, ObjectError, ObjectKind, Objects};
use super::{NodeFacts, expand, fields};
use crate::limits::{CONFIG_BYTES_MAX, ENV_BYTES_MAX, ENV_WORK_MAX};

/// The environment and what is to be told about it.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    /// In order of definition, names unique.
    pub(crate) variables: Vec<(String, String)>,
    /// Keys of `envFrom` objects that no environment variable can be named by.
    pub(crate) skipped: Vec<String>,
}

/// Why a container's environment cannot be made. The text is the waiting state's message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnvError {
    #[error("{kind} \"{name}\" not found")]
    Missing { kind: &'static str, name: String },
    #[error("couldn't find key {key} in {kind} {namespace}/{name}")]
    NoKey {
        kind: &'static str,
        namespace: String,
        name: String,
        key: String,
    },
    #[error("{0}")]
    Field(String),
    #[error("env {0} takes its value from a source this node does not know")]
    Source(String),
    #[error("the environment is larger than {ENV_BYTES_MAX} bytes")]
    TooLarge,
    #[error(
        "the ConfigMaps of the annotation {WASI_CONFIG} hold more than {CONFIG_BYTES_MAX} bytes"
    )]
    ConfigTooLarge,
    #[error(transparent)]
    Object(#[from] ObjectError),
}

impl EnvError {
    /// Whether somebody may be about to create what is missing.
    pub(crate) fn is_quick(&self) -> bool {
        matches!(
            self,
            EnvError::Missing { .. } | EnvError::NoKey { .. } | EnvError::Object(_)
        )
    }
}

/// Makes the environment: those of services first, then `envFrom`, then `env`, later ones winning.
pub(crate) async fn environment(
    pod: &Pod,
    container: &Container,
    ips: &[String],
    node: &NodeFacts,
    objects: &Objects,
    services: Vec<(String, String)>,
) -> Result<Environment, EnvError> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let mut maker = Maker {
        pod,
        container,
        ips,
        node,
        objects,
        namespace,
        cache: Vec::new(),
    };
    let mut made = Made::default();
    let mut skipped = Vec::new();
    for (name, value) in services {
        made.put(name, value)?;
    }
    for source in container.env_from.iter().flatten() {
        let (kind, name, optional) = if let Some(map) = &source.config_map_ref {
            (ObjectKind::ConfigMap, &map.name, map.optional)
        } else if let Some(secret) = &source.secret_ref {
            (ObjectKind::Secret, &secret.name, secret.optional)
        } else {
            continue;
        };
        let Some(content) = maker.object(kind, name, optional).await? else {
            continue;
        };
        let prefix = source.prefix.as_deref().unwrap_or_default();
        for (key, value) in content.iter() {
            let variable = format!("{prefix}{key}");
            match std::str::from_utf8(value) {
                Ok(value) if is_variable_name(&variable) => made.put(variable, value.to_owned())?,
                _ => {
                    // It was read, too.
                    made.counts(variable.len() + value.len())?;
                    skipped.push(key.clone());
                }
            }
        }
    }
    for variable in container.env.iter().flatten() {
        if let Some(value) = maker.value(variable, &made.values).await? {
            made.put(variable.name.clone(), value)?;
        }
    }
    let variables = made.finish()?;
    Ok(Environment { variables, skipped })
}

/// Variables, as they are made.
#[derive(Default)]
struct Made {
    order: Vec<String>,
    values: BTreeMap<String, String>,
    /// Bytes that were put in or skipped, those that later ones replaced included: a pod may name one object a thousand
    /// times, and a value of values.
    bytes: usize,
}

impl Made {
    fn put(&mut self, name: String, value: String) -> Result<(), EnvError> {
        self.counts(name.len() + value.len())?;
        if self.values.insert(name.clone(), value).is_none() {
            self.order.push(name);
        }
        Ok(())
    }

    fn counts(&mut self, bytes: usize) -> Result<(), EnvError> {
        self.bytes += bytes;
        match self.bytes > ENV_WORK_MAX {
            true => Err(EnvError::TooLarge),
            false => Ok(()),
        }
    }

    /// In order of definition.
    fn finish(self) -> Result<Vec<(String, String)>, EnvError> {
        let Made {
            order, mut values, ..
        } = self;
        let bytes = values.iter().map(|(name, value)| name.len() + value.len());
        if bytes.sum::<usize>() > ENV_BYTES_MAX {
            return Err(EnvError::TooLarge);
        }
        let variables = order.into_iter().map(|name| {
            let value = values.remove(&name).unwrap_or_default();
            (name, value)
        });
        Ok(variables.collect())
    }
}

/// Anything printable but `=`, as the API server accepts since 1.34.
fn is_variable_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| (' '..='~').contains(&c) && c != '=')
}

struct Maker<'a> {
    pod: &'a Pod,
    container: &'a Container,
    ips: &'a [String],
    node: &'a NodeFacts,
    objects: &'a Objects,
    namespace: &'a str,
    /// Objects read so far: a container often takes many keys of one.
    cache: Vec<(ObjectKind, String, Option<Arc<Content>>)>,
}

impl Maker<'_> {
    async fn object(
        &mut self,
        kind: ObjectKind,
        name: &str,
        optional: Option<bool>,
    ) -> Result<Option<Arc<Content>>, EnvError> {
        let cached = self
            .cache
            .iter()
            .position(|(k, n, _)| *k == kind && n == name);
        let at = match cached {
            Some(at) => at,
            None => {
                let content = self.objects.variables(kind, self.namespace, name).await?;
                self.cache.push((kind, name.to_owned(), content));
                self.cache.len() - 1
            }
        };
        match &self.cache[at].2 {
            None if optional != Some(true) => Err(EnvError::Missing {
                kind: kind.word(),
                name: name.to_owned(),
            }),
            content => Ok(content.clone()),
        }
    }

    async fn key(
        &mut self,
        kind: ObjectKind,
        name: &str,
        key: &str,
        optional: Option<bool>,
    ) -> Result<Option<String>, EnvError> {
        let Some(content) = self.object(kind, name, optional).await? else {
            return Ok(None);
        };
        match content.get(key) {
            Some(value) => Ok(Some(String::from_utf8_lossy(value).into_owned())),
            None if optional == Some(true) => Ok(None),
            None => Err(EnvError::NoKey {
                kind: if kind == ObjectKind::ConfigMap {
                    "ConfigMap"
                } else {
                    "Secret"
                },
                namespace: self.namespace.to_owned(),
                name: name.to_owned(),
                key: key.to_owned(),
            }),
        }
    }

    async fn value(
        &mut self,
        variable: &EnvVar,
        values: &BTreeMap<String, String>,
    ) -> Result<Option<String>, EnvError> {
        let Some(from) = &variable.value_from else {
            let text = variable.value.as_deref().unwrap_or_default();
            let value = expand(text, values, ENV_BYTES_MAX);
            return value.map(Some).ok_or(EnvError::TooLarge);
        };
        if let Some(map) = &from.config_map_key_ref {
            return self
                .key(ObjectKind::ConfigMap, &map.name, &map.key, map.optional)
                .await;
        }
        if let Some(secret) = &from.secret_key_ref {
            return self
                .key(
                    ObjectKind::Secret,
                    &secret.name,
                    &secret.key,
                    secret.optional,
                )
                .await;
        }
        if let Some(field) = &from.field_ref {
            let value = fields::field(self.pod, self.ips, self.node, &field.field_path);
            return value.map(Some).map_err(EnvError::Field);
        }
        if let Some(selector) = &from.resource_field_ref {
            let value = fields::resource(self.pod, Some(self.container), self.node, selector);
            return value.map(Some).map_err(EnvError::Field);
        }
        Err(EnvError::Source(variable.name.clone()))
    }
}
