//! A CustomResourceDefinition as the server uses it: names, versions, and their schemas.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::columns::Column;
use super::order::compare_versions;
use super::publish;
use super::scale::{Reading, Scale};
use super::schema::Node;
use super::shape::{self, Unknown};
use super::types::Types;
use crate::decode::{Reports, Trail};
use crate::object;
use crate::schema::{Schemas, TypeId};

/// Names a definition asks for or was given.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Names {
    /// `crontabs`
    pub plural: String,
    /// `crontab`
    pub singular: String,
    /// `CronTab`
    pub kind: String,
    /// `CronTabList`
    pub list_kind: String,
    /// `ct`
    pub short_names: Vec<String>,
    /// `all`
    pub categories: Vec<String>,
}

/// A definition.
#[derive(Debug)]
pub struct Definition {
    /// `crontabs.stable.example.com`; also the bucket its objects are stored in.
    pub name: String,
    /// Its group.
    pub group: String,
    /// The accepted names.
    pub names: Names,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// In the order they are written.
    pub versions: Box<[Version]>,
    storage: usize,
    /// Tells definitions apart that show objects differently.
    stamp: u64,
    types: OnceLock<Types>,
}

/// A version of a definition.
#[derive(Debug)]
pub struct Version {
    /// `v1`
    pub name: String,
    /// Whether it is served.
    pub served: bool,
    /// Whether status has a subresource of its own.
    pub status: bool,
    /// How the `scale` subresource reads and writes objects.
    pub scale: Option<Scale>,
    /// Field labels that selectors may name: `spec.color`.
    pub selectable: Vec<String>,
    /// What clients of a deprecated version are told.
    pub warning: Option<String>,
    pub(super) columns: Vec<Column>,
    /// The JSON of the schema, a slice of the definition's own bytes.
    source: Bytes,
    compiled: OnceLock<Node>,
}

/// A version that is served, with the definition it belongs to.
#[derive(Clone, Debug)]
pub struct Custom {
    definition: Arc<Definition>,
    at: usize,
}

impl Custom {
    pub(super) fn new(definition: Arc<Definition>, version: &str) -> Option<Custom> {
        let at = definition
            .versions
            .iter()
            .position(|known| known.name == version)?;
        Some(Custom { definition, at })
    }

    /// The definition.
    pub fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }

    /// A stored object as this version shows it: pruned and defaulted by the schema it was stored
    /// under, then converted.
    pub fn read(&self, stored: Value) -> Value {
        self.definition
            .read(stored, &self.definition.versions[self.at])
    }

    /// Fills in the defaults of the schema.
    pub fn fill(&self, value: &mut Value) {
        shape::fill(value, self.schema());
    }

    /// An object, of whatever version, as it is stored.
    pub fn store(&self, value: Value) -> Value {
        let storage = self.definition.storage();
        if version_of(&value) == storage.name {
            value
        } else {
            self.definition.convert(value, storage)
        }
    }

    /// The Scale of an object; the error says which field holds something else than a Scale can show.
    pub fn read_scale(&self, value: &Value) -> Result<Value, String> {
        match &self.scale {
            Some(scale) => scale.read(value),
            None => Err("the definition has no scale".to_owned()),
        }
    }

    /// The object with the number of replicas, and the preconditions, of a Scale.
    pub fn write_scale(&self, sent: &Value, whole: &Value) -> Value {
        let mut new = whole.clone();
        let replicas = object::int(sent, "spec.replicas").unwrap_or(0);
        if let Some(scale) = &self.scale {
            scale.write(&mut new, replicas);
        }
        for path in ["metadata.uid", "metadata.resourceVersion"] {
            match object::get(sent, path) {
                Some(value) => object::set(&mut new, path, value.clone()),
                None => {
                    object::remove(&mut new, path);
                }
            }
        }
        new
    }

    /// Tells apart what objects are shown as: another definition, or another version, may show other
    /// fields.
    pub fn stamp(&self) -> (u64, usize) {
        (self.definition.stamp, self.at)
    }

    /// The types of the definition, and that of the objects of this version.
    pub(crate) fn types(&self) -> (&Schemas, TypeId) {
        let types = self.definition.types();
        (&types.schemas, types.roots[self.at])
    }

    /// The path to the number of replicas, step by step.
    pub fn replicas_path(&self) -> Vec<&str> {
        match &self.scale {
            Some(scale) => scale.replicas_path().unwrap_or_default(),
            None => Vec::new(),
        }
    }

    /// Whether objects rest in this version.
    pub fn is_storage(&self) -> bool {
        self.definition.storage == self.at
    }
}

impl Deref for Custom {
    type Target = Version;

    fn deref(&self) -> &Version {
        &self.definition.versions[self.at]
    }
}

impl Definition {
    /// Reads a definition from the bytes of its object.
    pub fn parse(bytes: &Bytes) -> Result<Definition, serde_json::Error> {
        let light: Light<'_> = serde_json::from_slice(bytes)?;
        let Light {
            metadata,
            spec,
            status,
        } = light;
        let storage = spec.versions.iter().position(|version| version.storage);
        let deprecations: Vec<Option<String>> = spec
            .versions
            .iter()
            .map(|version| spec.deprecation(version))
            .collect();
        let stamp = spec.stamp(&status.accepted_names);
        let versions = spec.versions.into_iter().zip(deprecations);
        Ok(Definition {
            name: metadata.name,
            names: status.accepted_names,
            namespaced: spec.scope == "Namespaced",
            versions: versions
                .map(|(version, warning)| version.build(bytes, warning))
                .collect(),
            storage: storage.unwrap_or_default(),
            stamp,
            types: OnceLock::new(),
            group: spec.group,
        })
    }

    /// The version objects are stored in.
    pub fn storage(&self) -> &Version {
        &self.versions[self.storage]
    }

    /// The version of that name.
    pub fn version(&self, name: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.name == name)
    }

    fn types(&self) -> &Types {
        self.types.get_or_init(|| {
            let versions: Vec<(&str, &Node)> = self
                .versions
                .iter()
                .map(|version| (version.name.as_str(), version.schema()))
                .collect();
            Types::new(&self.group, &self.names.kind, &versions)
        })
    }

    fn read(&self, mut value: Value, target: &Version) -> Value {
        let stored = version_of(&value);
        let is_target = stored == target.name;
        if let Some(version) = self.version(stored) {
            reshape(&mut value, version.schema());
            shape::fill(&mut value, version.schema());
        }
        if is_target {
            return value;
        }
        self.convert(value, target)
    }

    /// The one conversion there is: another version says another `apiVersion`, and knows other fields.
    fn convert(&self, mut value: Value, target: &Version) -> Value {
        let api_version = format!("{}/{}", self.group, target.name);
        object::set(&mut value, "apiVersion", api_version);
        reshape(&mut value, target.schema());
        value
    }
}

/// The version an object says it is of.
fn version_of(value: &Value) -> &str {
    let said = object::text(value, "apiVersion");
    said.rsplit_once('/').map_or(said, |(_, name)| name)
}

/// What is kept of an object that was valid once, under another schema maybe.
fn reshape(value: &mut Value, schema: &Node) {
    shape::prune(value, schema, &mut Unknown::default());
    shape::drop_nulls(value, Some(schema));
    // Metadata that does not decode stays as it is: it is the schema that changed.
    let _ = shape::embedded(
        value,
        schema,
        &mut Trail::default(),
        &mut Reports::default(),
    );
}

impl Version {
    /// The compiled schema.
    pub fn schema(&self) -> &Node {
        self.compiled.get_or_init(|| {
            let parsed = serde_json::from_slice(&self.source).map_err(|error| error.to_string());
            // Validation compiled it before. Were it wrong nevertheless, no field may be lost to it.
            parsed
                .and_then(|schema| Node::parse(&schema))
                .unwrap_or(Node {
                    preserve: true,
                    ..Node::default()
                })
        })
    }

    /// The schema in the form version 3 of OpenAPI has it.
    pub fn openapi_v3(&self) -> Value {
        publish::newer(self.source())
    }

    /// The schema in the form version 2 of OpenAPI has it.
    pub fn openapi_v2(&self) -> Value {
        publish::older(self.source())
    }

    /// The schema as its author wrote it.
    fn source(&self) -> Value {
        serde_json::from_slice(&self.source).unwrap_or_default()
    }
}

/// What is read of a definition; the rest is skipped.
#[derive(Deserialize)]
struct Light<'a> {
    metadata: LightMetadata,
    #[serde(borrow)]
    spec: LightSpec<'a>,
    #[serde(default)]
    status: LightStatus,
}

#[derive(Deserialize)]
struct LightMetadata {
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct LightStatus {
    accepted_names: Names,
}

#[derive(Deserialize)]
struct LightSpec<'a> {
    group: String,
    scope: String,
    names: Names,
    #[serde(borrow)]
    versions: Vec<LightVersion<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LightVersion<'a> {
    name: String,
    #[serde(default)]
    served: bool,
    #[serde(default)]
    storage: bool,
    #[serde(default)]
    deprecated: bool,
    #[serde(default)]
    deprecation_warning: Option<String>,
    #[serde(borrow, default)]
    schema: Option<LightSchema<'a>>,
    #[serde(default)]
    subresources: LightSubresources,
    #[serde(default)]
    additional_printer_columns: Vec<Column>,
    #[serde(default)]
    selectable_fields: Vec<Selectable>,
}

#[derive(Deserialize)]
struct LightSchema<'a> {
    #[serde(borrow, default, rename = "openAPIV3Schema")]
    schema: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct LightSubresources {
    #[serde(default)]
    status: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    scale: Option<LightScale>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LightScale {
    #[serde(default)]
    spec_replicas_path: String,
    #[serde(default)]
    status_replicas_path: String,
    #[serde(default)]
    label_selector_path: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Selectable {
    #[serde(default)]
    json_path: String,
}

impl LightSpec<'_> {
    /// A hash of everything that decides how objects are shown.
    fn stamp(&self, names: &Names) -> u64 {
        let mut hasher = DefaultHasher::new();
        names.kind.hash(&mut hasher);
        for version in &self.versions {
            let schema = version.schema.as_ref().and_then(|schema| schema.schema);
            (&version.name, version.storage, schema.map(RawValue::get)).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// What to tell clients of a deprecated version; by default, what to use instead.
    fn deprecation(&self, version: &LightVersion<'_>) -> Option<String> {
        if !version.deprecated {
            return None;
        }
        if let Some(warning) = &version.deprecation_warning {
            return Some(warning.clone());
        }
        let (group, kind) = (&self.group, &self.names.kind);
        let better = |other: &&LightVersion<'_>| {
            other.served
                && !other.deprecated
                && compare_versions(&other.name, &version.name).is_lt()
        };
        let best = self
            .versions
            .iter()
            .filter(better)
            .min_by(|a, b| compare_versions(&a.name, &b.name));
        let instead = best.map_or_else(String::new, |best| {
            format!("; use {group}/{} {kind}", best.name)
        });
        Some(format!(
            "{group}/{} {kind} is deprecated{instead}",
            version.name
        ))
    }
}

impl LightVersion<'_> {
    fn build(self, bytes: &Bytes, warning: Option<String>) -> Version {
        let schema = self.schema.and_then(|schema| schema.schema);
        let source = schema.map_or(Bytes::from_static(b"{}"), |raw| {
            bytes.slice_ref(raw.get().as_bytes())
        });
        let selector = |path: Option<String>| path.filter(|path| !path.is_empty());
        Version {
            name: self.name,
            served: self.served,
            status: self.subresources.status.is_some(),
            scale: self.subresources.scale.map(|scale| Scale {
                spec_replicas: Reading::new(&scale.spec_replicas_path),
                status_replicas: Reading::new(&scale.status_replicas_path),
                label_selector: selector(scale.label_selector_path).map(|path| Reading::new(&path)),
            }),
            selectable: self
                .selectable_fields
                .into_iter()
                .map(|field| field.json_path.trim_start_matches('.').to_owned())
                .collect(),
            warning,
            columns: self.additional_printer_columns,
            source,
            compiled: OnceLock::new(),
        }
    }
}

#[cfg(test)]
mod tests;
