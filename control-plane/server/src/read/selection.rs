//! Which objects of a collection a request is about.

use sampan_api::selector::{FieldSelector, LabelSelector};
use sampan_api::status::Status;

use crate::api::Result;
use crate::object::{FieldsOf, Obj};
use crate::request::{Query, ResourceTarget};

/// A label selector and a field selector.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    labels: Option<LabelSelector>,
    fields: Option<FieldSelector>,
    /// The one name that can match.
    name: Option<String>,
    /// Where the fields of a custom resource are.
    custom: Option<FieldsOf>,
}

impl Selection {
    pub(crate) fn parse(query: &Query, target: &ResourceTarget) -> Result<Selection> {
        let mut selection = Selection::default();
        if let Some(text) = query.get("labelSelector") {
            selection.labels = Some(LabelSelector::parse(text).map_err(Status::bad_request)?);
        }
        if let Some(text) = query.get("fieldSelector") {
            let fields = FieldSelector::parse(text).map_err(Status::bad_request)?;
            fields.check(target.resource).map_err(Status::bad_request)?;
            selection.name = fields.exact("metadata.name").map(str::to_owned);
            // A request for one object by path cannot select another.
            if !target.name.is_empty() && selection.name.as_deref() != Some(&target.name) {
                return Err(Status::bad_request(
                    "fieldSelector metadata.name doesn't match requested name",
                ));
            }
            selection.custom = FieldsOf::custom(target.resource);
            selection.fields = Some(fields);
        }
        if !target.name.is_empty() {
            selection.name = Some(target.name.clone());
        }
        Ok(selection)
    }

    /// Whether nothing is left out.
    pub(crate) fn is_everything(&self) -> bool {
        self.labels.is_none() && self.fields.is_none() && self.name.is_none()
    }

    /// The name, when the request can only be about one object whose key is known.
    pub(super) fn single(&self, target: &ResourceTarget) -> Option<&str> {
        let reachable = !target.resource.namespaced || !target.namespace.is_empty();
        self.name
            .as_deref()
            .filter(|name| reachable && !name.is_empty())
    }

    fn fields_match(&self, fields: &FieldSelector, object: &Obj) -> bool {
        let Some(custom) = &self.custom else {
            return fields.matches(|field| object.field(field).map(str::to_owned));
        };
        let found = custom.of(object);
        fields.matches(|field| found.read(field))
    }

    /// How much there is to look at in each object.
    pub(crate) fn effort(&self) -> usize {
        let labels = self
            .labels
            .as_ref()
            .map(|labels| labels.requirements().len());
        let fields = self
            .fields
            .as_ref()
            .map(|fields| fields.requirements().len());
        1 + labels.unwrap_or(0) + fields.unwrap_or(0)
    }

    pub(crate) fn matches(&self, object: &Obj) -> bool {
        self.name
            .as_deref()
            .is_none_or(|name| *object.name() == *name)
            && self
                .labels
                .as_ref()
                .is_none_or(|labels| labels.matches(|key| object.label(key)))
            && self
                .fields
                .as_ref()
                .is_none_or(|fields| self.fields_match(fields, object))
    }
}
