//! What the schema registry says about the fields a patch walks through.

use std::sync::Arc;

use crate::schema::{Shape, TypeId, schemas};

/// Where in the schema the merge is. Below free-form JSON nothing is known and lists are replaced.
#[derive(Clone)]
pub(super) enum Lookup {
    Type(TypeId),
    Values(Box<Shape>),
    Unknown,
}

/// How one list merges.
pub(super) struct ListRules {
    /// Whether items merge at all; otherwise the patch replaces the list.
    pub(super) merges: bool,
    /// By which field items are told apart; scalars have none.
    pub(super) key: Option<Arc<str>>,
    /// The schema of the items.
    pub(super) item: Lookup,
}

impl Lookup {
    pub(super) fn of_type(name: &str) -> Lookup {
        schemas()
            .by_name(name)
            .map_or(Lookup::Unknown, Lookup::Type)
    }

    fn of_shape(shape: &Shape) -> Lookup {
        match shape {
            Shape::Object(id) => Lookup::Type(*id),
            Shape::Map(values) => Lookup::Values(values.clone()),
            _ => Lookup::Unknown,
        }
    }

    /// The schema of a field that holds a map.
    pub(super) fn field(&self, name: &str) -> Lookup {
        match self {
            Lookup::Type(id) => schemas()
                .get(*id)
                .field(name)
                .map_or(Lookup::Unknown, |field| Lookup::of_shape(&field.shape)),
            Lookup::Values(shape) => Lookup::of_shape(shape),
            Lookup::Unknown => Lookup::Unknown,
        }
    }

    /// The rules of a field that holds a list.
    pub(super) fn list(&self, name: &str) -> ListRules {
        let replaced = ListRules {
            merges: false,
            key: None,
            item: Lookup::Unknown,
        };
        let Lookup::Type(id) = self else {
            return replaced;
        };
        let Some(field) = schemas().get(*id).field(name) else {
            return replaced;
        };
        let item = match &field.shape {
            Shape::List(item) => Lookup::of_shape(item),
            _ => Lookup::Unknown,
        };
        ListRules {
            merges: field.patch_merge,
            key: field.patch_merge_key.clone(),
            item,
        }
    }
}
