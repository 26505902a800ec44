//! What the names of definitions say: message, kind, and shapes that are no objects.

use serde_json::{Map, Value};

use crate::Result;
use crate::types::Shape;

/// Definitions that are shapes of their own.
pub(crate) fn well_known(name: &str) -> Option<Shape> {
    Some(match name.rsplit('.').next()? {
        "Quantity" => Shape::Quantity,
        "IntOrString" => Shape::IntOrString,
        "Time" => Shape::Time,
        "MicroTime" => Shape::MicroTime,
        "RawExtension"
        | "FieldsV1"
        | "JSON"
        | "JSONSchemaPropsOrArray"
        | "JSONSchemaPropsOrBool"
        | "JSONSchemaPropsOrStringArray" => Shape::Any,
        _ => return None,
    })
}

/// `io.k8s.api.core.v1.Pod` is the message `api.core.v1.Pod`.
pub(crate) fn message_name(definition: &str) -> String {
    definition.trim_start_matches("io.k8s.").replace('-', "_")
}

/// Group, version and kind of a type that stands alone in requests and answers.
pub(crate) fn gvk(name: &str, properties: &Map<String, Value>) -> Result<Option<[String; 3]>> {
    if !["apiVersion", "kind"]
        .iter()
        .all(|field| properties.contains_key(*field))
    {
        return Ok(None);
    }
    let mut parts = name.rsplit('.');
    let (Some(kind), Some(version), Some(package)) = (parts.next(), parts.next(), parts.next())
    else {
        return Ok(None);
    };
    let group = match package {
        "meta" if matches!(kind, "Status" | "DeleteOptions") => "",
        _ if !properties.contains_key("metadata") => return Ok(None),
        "core" => "",
        "apps" | "autoscaling" | "batch" | "policy" => package,
        "rbac" => "rbac.authorization.k8s.io",
        "flowcontrol" => "flowcontrol.apiserver.k8s.io",
        "admissionregistration"
        | "apiextensions"
        | "apiregistration"
        | "authentication"
        | "authorization"
        | "certificates"
        | "coordination"
        | "discovery"
        | "events"
        | "networking"
        | "node"
        | "resource"
        | "scheduling"
        | "storage" => &format!("{package}.k8s.io"),
        _ => return Err(format!("{name} is in no known API group")),
    };
    Ok(Some([
        group.to_owned(),
        version.to_owned(),
        kind.to_owned(),
    ]))
}
