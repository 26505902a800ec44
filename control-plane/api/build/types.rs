//! The types of the registry, as `blob` writes them.

use serde_json::Value;

use crate::Result;

pub(crate) struct Type {
    pub(crate) name: String,
    pub(crate) description: String,
    /// Group, version, kind.
    pub(crate) gvk: Option<[String; 3]>,
    /// Whether apply replaces it as a whole.
    pub(crate) atomic: bool,
    pub(crate) fields: Vec<Field>,
}

#[derive(Default)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) shape: Shape,
    /// The values it may have, if they are listed: its own, or those of its items.
    pub(crate) values: Vec<String>,
    pub(crate) required: bool,
    pub(crate) list_type: Option<String>,
    pub(crate) map_keys: Vec<String>,
    pub(crate) map_atomic: bool,
    pub(crate) patch_merge_key: Option<String>,
    pub(crate) patch_merge: bool,
    pub(crate) patch_retain_keys: bool,
    pub(crate) default: Option<String>,
    pub(crate) tag: Option<u32>,
    pub(crate) inline: Vec<u32>,
    pub(crate) pointer: bool,
    pub(crate) always: bool,
}

/// As `schema::Shape`, but with types by name.
#[derive(Clone, Default)]
pub(crate) enum Shape {
    #[default]
    Any,
    String,
    Bool,
    Int32,
    Int64,
    Number,
    Bytes,
    Time,
    MicroTime,
    Quantity,
    IntOrString,
    Object(String),
    List(Box<Shape>),
    Map(Box<Shape>),
}

impl Field {
    /// Takes over what the markers of a `.proto` comment say.
    pub(crate) fn markers(&mut self, markers: &[String]) -> Result<()> {
        for marker in markers {
            let Some((name, value)) = marker.split_once('=') else {
                continue;
            };
            match name {
                "listType" => self.list_type = Some(value.to_owned()),
                "listMapKey" => self.map_keys.push(value.to_owned()),
                "mapType" | "structType" => self.map_atomic = value == "atomic",
                "patchMergeKey" => self.patch_merge_key = Some(value.to_owned()),
                "patchStrategy" => {
                    self.patch_merge = value.split(',').any(|one| one == "merge");
                    self.patch_retain_keys = value.split(',').any(|one| one == "retainKeys");
                }
                // Defaults by reference to a constant are in the overlay.
                "default" if !value.starts_with("ref(") => self.default = Some(value.to_owned()),
                _ => {}
            }
        }
        match self.default.as_deref().map(serde_json::from_str::<Value>) {
            Some(Err(error)) => Err(format!("default {:?}: {error}", self.default)),
            _ => Ok(()),
        }
    }
}
