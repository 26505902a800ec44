//! The rows of custom resources.
//!
//! A row lives as long as the process, like those of built-in kinds, so that everything that holds a
//! `&'static Resource` holds it the same way. What is large, the definition with its schemas, is not in
//! the row but in a cell it points to, which can be replaced and emptied. Rows and their texts are kept
//! by content: a definition that comes back, or changes something that is not in its row, leaks nothing.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;

use super::definition::{Custom, Definition, Version};
use super::order::compare_versions;
use crate::resource::{self, Resource, Subresource};

/// Most bytes rows may take in the life of a process: some 30,000 versions of definitions.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// Where a row finds its definition. Empty while it is not served.
#[derive(Debug, Default)]
pub struct Cell {
    definition: ArcSwapOption<Definition>,
    terminating: AtomicBool,
}

/// Rows take all the memory they may.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "this process has served too many different definitions; it can serve more after a restart"
)]
pub struct CatalogFull;

/// Makes rows.
#[derive(Debug, Default)]
pub struct Catalog {
    cells: HashMap<String, &'static Cell>,
    rows: HashMap<RowKey, &'static Resource>,
    texts: HashSet<&'static str>,
    bytes: usize,
    /// What is served, by name of the definition.
    served: HashMap<String, Published>,
}

#[derive(Debug)]
struct Published {
    rows: Vec<&'static Resource>,
    /// The row of the version objects rest in, served or not.
    storage: &'static Resource,
}

/// What makes a row the same.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct RowKey {
    definition: String,
    names: super::Names,
    version: String,
    namespaced: bool,
    status: bool,
    scale: bool,
    selectable: Vec<String>,
}

/// The rows that are served now: built-in kinds and custom resources.
#[derive(Clone, Debug, Default)]
pub struct Served {
    /// By group, then most preferred version first, then by name.
    custom: Vec<&'static Resource>,
}

impl Cell {
    /// The definition, while it is served.
    pub fn definition(&self) -> Option<Arc<Definition>> {
        self.definition.load_full()
    }

    /// Whether it is being deleted, so that nothing more may be created.
    pub fn is_terminating(&self) -> bool {
        self.terminating.load(Ordering::Relaxed)
    }
}

impl Resource {
    /// What a custom resource's definition says; `None` for built-in kinds.
    pub fn custom(&self) -> Option<Custom> {
        Custom::new(self.cell?.definition()?, self.version)
    }

    /// Whether the row is that of a custom resource.
    pub fn is_custom(&self) -> bool {
        self.cell.is_some()
    }
}

impl Catalog {
    /// Serves a definition, in place of what was served under its name.
    pub fn publish(
        &mut self,
        definition: &Arc<Definition>,
        terminating: bool,
    ) -> Result<(), CatalogFull> {
        let served = definition.versions.iter().filter(|version| version.served);
        let mut rows = Vec::new();
        for version in served {
            rows.push(self.row(definition, version)?);
        }
        let storage = self.row(definition, definition.storage())?;
        let cell = self.cell(&definition.name);
        cell.terminating.store(terminating, Ordering::Relaxed);
        cell.definition.store(Some(definition.clone()));
        let published = Published { rows, storage };
        self.served.insert(definition.name.clone(), published);
        Ok(())
    }

    /// Serves a definition no longer.
    pub fn withdraw(&mut self, name: &str) {
        self.served.remove(name);
        if let Some(cell) = self.cells.get(name) {
            cell.definition.store(None);
        }
    }

    /// The row under which all objects of a definition can be reached.
    pub fn storage(&self, name: &str) -> Option<&'static Resource> {
        self.served.get(name).map(|published| published.storage)
    }

    /// Everything that is served now.
    pub fn served(&self) -> Served {
        let rows = self.served.values().flat_map(|one| one.rows.iter());
        let mut custom: Vec<&'static Resource> = rows.copied().collect();
        custom.sort_by(|a, b| {
            let version = || compare_versions(a.version, b.version);
            a.group
                .cmp(b.group)
                .then_with(version)
                .then_with(|| a.plural.cmp(b.plural))
        });
        Served { custom }
    }

    fn cell(&mut self, name: &str) -> &'static Cell {
        match self.cells.get(name) {
            Some(cell) => cell,
            None => {
                let cell: &'static Cell = Box::leak(Box::default());
                self.bytes += size_of::<Cell>() + 2 * name.len();
                self.cells.insert(name.to_owned(), cell);
                cell
            }
        }
    }

    fn row(
        &mut self,
        definition: &Definition,
        version: &Version,
    ) -> Result<&'static Resource, CatalogFull> {
        let key = RowKey {
            definition: definition.name.clone(),
            names: definition.names.clone(),
            version: version.name.clone(),
            namespaced: definition.namespaced,
            status: version.status,
            scale: version.scale.is_some(),
            selectable: version.selectable.clone(),
        };
        if let Some(row) = self.rows.get(&key) {
            return Ok(row);
        }
        if self.bytes > MAX_BYTES {
            return Err(CatalogFull);
        }
        let row: &'static Resource = Box::leak(Box::new(self.make(definition, version)));
        self.bytes += size_of::<Resource>() + size_of::<RowKey>();
        self.rows.insert(key, row);
        Ok(row)
    }

    fn make(&mut self, definition: &Definition, version: &Version) -> Resource {
        let names = &definition.names;
        Resource {
            group: self.text(&definition.group),
            version: self.text(&version.name),
            kind: self.text(&names.kind),
            plural: self.text(&names.plural),
            singular: self.text(&names.singular),
            list_kind: self.text(&names.list_kind),
            short_names: self.texts(&names.short_names),
            categories: self.texts(&names.categories),
            namespaced: definition.namespaced,
            subresources: self.subresources(definition, version),
            bucket: self.text(&definition.name),
            field_labels: self.texts(&version.selectable),
            type_name: self.text(&type_name(definition, version)),
            cell: Some(self.cell(&definition.name)),
            ..resource::CUSTOM
        }
    }

    fn subresources(
        &mut self,
        definition: &Definition,
        version: &Version,
    ) -> &'static [Subresource] {
        let mut parts = Vec::new();
        if version.scale.is_some() {
            parts.push(Subresource {
                name: "scale",
                group: "autoscaling",
                version: "v1",
                kind: "Scale",
                verbs: resource::PART,
            });
        }
        if version.status {
            parts.push(Subresource {
                name: "status",
                group: self.text(&definition.group),
                version: self.text(&version.name),
                kind: self.text(&definition.names.kind),
                verbs: resource::PART,
            });
        }
        self.bytes += size_of_val(parts.as_slice());
        parts.leak()
    }

    fn texts(&mut self, texts: &[String]) -> &'static [&'static str] {
        let kept: Vec<&'static str> = texts.iter().map(|text| self.text(text)).collect();
        self.bytes += size_of_val(kept.as_slice());
        kept.leak()
    }

    fn text(&mut self, text: &str) -> &'static str {
        match self.texts.get(text) {
            Some(known) => known,
            None => {
                let kept: &'static str = Box::leak(text.into());
                self.bytes += 2 * size_of::<&str>() + kept.len();
                self.texts.insert(kept);
                kept
            }
        }
    }
}

/// What documents call the kind: `com.example.stable.v1.CronTab`.
fn type_name(definition: &Definition, version: &Version) -> String {
    let mut name: Vec<&str> = definition.group.rsplit('.').collect();
    name.extend([version.name.as_str(), definition.names.kind.as_str()]);
    name.join(".")
}

impl Served {
    /// Every row: built-in kinds first.
    pub fn rows(&self) -> impl Iterator<Item = &'static Resource> + Clone {
        resource::resources()
            .iter()
            .chain(self.custom.iter().copied())
    }

    /// The rows of custom resources: by group, most preferred version first.
    pub fn custom(&self) -> &[&'static Resource] {
        &self.custom
    }

    /// The resource behind `/apis/{group}/{version}/{plural}`.
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
        resource::find(group, version, plural).or_else(|| {
            self.group(group)
                .find(|row| row.plural == plural && row.version == version)
        })
    }

    /// The resource of a kind.
    pub fn find_kind(&self, group: &str, version: &str, kind: &str) -> Option<&'static Resource> {
        resource::find_kind(group, version, kind).or_else(|| {
            self.group(group)
                .find(|row| row.kind == kind && row.version == version)
        })
    }

    fn group(&self, group: &str) -> impl Iterator<Item = &'static Resource> {
        let start = self.custom.partition_point(|row| row.group < group);
        let rows = self.custom[start..].iter().copied();
        rows.take_while(move |row| row.group == group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use serde_json::{Value, json};

    fn definition(versions: Value) -> Arc<Definition> {
        let object = json!({"metadata": {"name": "tabs.a.io"},
            "spec": {"group": "a.io", "scope": "Namespaced", "names": {}, "versions": versions},
            "status": {"acceptedNames": {"plural": "tabs", "singular": "tab", "kind": "Tab",
                "listKind": "TabList", "shortNames": ["t"]}}});
        let bytes = Bytes::from(object.to_string());
        Arc::new(Definition::parse(&bytes).expect("parses"))
    }

    #[test]
    fn rows_come_and_go_and_are_kept_by_content() {
        let mut catalog = Catalog::default();
        let both = definition(json!([
            {"name": "v1beta1", "served": true, "storage": false},
            {"name": "v1", "served": true, "storage": true, "subresources": {"status": {}}},
            {"name": "v0", "served": false, "storage": false},
        ]));
        catalog.publish(&both, false).expect("there is room");
        let served = catalog.served();
        let versions: Vec<&str> = served.custom().iter().map(|row| row.version).collect();
        assert_eq!(versions, ["v1", "v1beta1"]);
        let row = served.find("a.io", "v1", "tabs").expect("served");
        assert_eq!(
            (row.bucket, row.list_kind()),
            ("tabs.a.io", "TabList".into())
        );
        assert!(row.has_status() && row.namespaced && row.generation && row.is_custom());
        assert!(std::ptr::eq(
            served.find_kind("a.io", "v1", "Tab").expect("served"),
            row
        ));
        assert!(served.find("a.io", "v0", "tabs").is_none());
        assert!(served.find("", "v1", "pods").is_some());
        assert_eq!(row.custom().expect("has one").name, "v1");

        let bytes = catalog.bytes;
        catalog.withdraw("tabs.a.io");
        assert!(catalog.served().custom().is_empty() && row.custom().is_none());
        catalog.publish(&both, true).expect("there is room");
        let again = catalog.served().find("a.io", "v1", "tabs").expect("served");
        assert!(std::ptr::eq(again, row) && catalog.bytes == bytes);
        assert!(row.cell.expect("has one").is_terminating());
    }

    #[test]
    fn no_process_keeps_rows_without_end() {
        let mut catalog = Catalog {
            bytes: MAX_BYTES + 1,
            ..Catalog::default()
        };
        let one = definition(json!([{"name": "v1", "served": true, "storage": true}]));
        assert_eq!(catalog.publish(&one, false), Err(CatalogFull));
        assert!(catalog.served().custom().is_empty());
    }
}
