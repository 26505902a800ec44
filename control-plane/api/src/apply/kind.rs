//! The kind of an object, as apply has to know it.

use serde_json::Value;

use super::place::Place;
use super::reach::Reach;
use crate::convert;
use crate::custom::{self, Custom};
use crate::resource::Resource;
use crate::schema::{Schemas, TypeId, schemas};

/// A kind in one of its versions, at one of its endpoints.
#[derive(Clone, Copy)]
pub struct Kind<'a> {
    /// Where its types are.
    pub schemas: &'a Schemas,
    /// Its own type.
    pub ty: TypeId,
    /// `apps`; empty for the core group.
    pub group: &'a str,
    /// `v1`.
    pub version: &'a str,
    /// `apps/v1`.
    pub api_version: &'a str,
    /// `Deployment`.
    pub kind: &'a str,
    /// `status`; empty for the object itself.
    pub subresource: &'a str,
    /// What a write to the endpoint reaches.
    pub reach: Reach,
    /// The object in another `apiVersion`; `None` when it has no such version.
    pub convert: fn(&Value, &str) -> Option<Value>,
}

impl<'a> Kind<'a> {
    /// The kind of a built-in resource. `None` when the registry does not have its type.
    pub fn of(
        resource: &'a Resource,
        api_version: &'a str,
        subresource: &'a str,
    ) -> Option<Kind<'a>> {
        Some(Kind {
            schemas: schemas(),
            ty: schemas().by_name(resource.type_name)?,
            group: resource.group,
            version: resource.version,
            api_version,
            kind: resource.kind,
            subresource,
            reach: Reach::of(resource, subresource),
            convert: convert::to_version,
        })
    }

    /// The kind of a custom resource.
    pub fn custom(
        custom: &'a Custom,
        resource: &'a Resource,
        api_version: &'a str,
        subresource: &'a str,
    ) -> Kind<'a> {
        let (schemas, ty) = custom.types();
        Kind {
            schemas,
            ty,
            group: resource.group,
            version: resource.version,
            api_version,
            kind: resource.kind,
            subresource,
            reach: Reach::custom(resource, subresource),
            convert: custom::convert,
        }
    }

    /// The kind of a subresource that speaks another kind than its resource: group, version, kind.
    pub fn spoken(
        type_name: &str,
        (group, version, kind): (&'a str, &'a str, &'a str),
        api_version: &'a str,
        subresource: &'a str,
    ) -> Option<Kind<'a>> {
        Some(Kind {
            schemas: schemas(),
            ty: schemas().by_name(type_name)?,
            group,
            version,
            api_version,
            kind,
            subresource,
            reach: Reach::ALL,
            convert: convert::to_version,
        })
    }

    /// Where its objects start.
    pub(super) fn place(&self) -> Place<'a> {
        Place::root(self.schemas, self.ty)
    }

    /// Where objects of another version of it start.
    pub(super) fn place_in(&self, api_version: &str) -> Option<Place<'a>> {
        if api_version == self.api_version {
            return Some(self.place());
        }
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let ty = self.schemas.by_gvk(group, version, self.kind)?;
        Some(Place::root(self.schemas, ty))
    }

    /// An object in another version of it, and where such objects start.
    pub(super) fn converted(
        &self,
        object: &Value,
        api_version: &str,
    ) -> Option<(Value, Place<'a>)> {
        let place = self.place_in(api_version)?;
        Some(((self.convert)(object, api_version)?, place))
    }

    /// `apps/v1, Kind=Deployment`, as messages name it.
    pub(super) fn name(&self) -> String {
        format!("{}/{}, Kind={}", self.group, self.version, self.kind)
    }
}
