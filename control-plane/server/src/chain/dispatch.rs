//! From a target and a verb to the code that answers.

use http::Method;
use sampan_api::status::Status;

use crate::api::{Answer, Call};
use crate::request::{ResourceTarget, Target};
use crate::{
    components, discovery, kubelet, metrics, read, respond, reviews, strategy, tokens, watch, write,
};

pub(super) async fn dispatch(call: Call, target: Target) -> Answer {
    let target = match target {
        Target::Resource(target) => return resource(call, target).await,
        // Streams are asked for with GET and with POST; plain text would reach people as a riddle.
        Target::Stream(name) => return Err(Status::not_implemented(&name)),
        other => other,
    };
    if !matches!(call.parts.method, Method::GET | Method::HEAD) {
        return match target {
            Target::Unknown => Ok(respond::no_such_path()),
            _ => Err(Status::method_not_allowed()),
        };
    }
    match target {
        Target::Api => discovery::api(&call),
        Target::Apis => discovery::apis(&call),
        Target::Group(group) => discovery::group(&call, &group),
        Target::GroupVersion { group, version } => discovery::resources(&call, &group, &version),
        Target::Version => discovery::version(&call),
        Target::Health(path) => Ok(discovery::health(&call, &path)),
        Target::Metrics => metrics::answer(&call.api),
        Target::OpenApiIndex => discovery::openapi_index(&call).await,
        Target::OpenApi(path) => discovery::openapi_v3(&call, &path).await,
        Target::OpenApiV2 => discovery::openapi_v2(&call).await,
        Target::OpenIdConfiguration => Ok(tokens::configuration(&call)),
        Target::OpenIdKeys => Ok(tokens::key_set(&call)),
        Target::Extra | Target::Unknown | Target::Stream(_) | Target::Resource(_) => {
            Ok(respond::no_such_path())
        }
    }
}

/// A version of a custom resource may be on its way out, which everybody who asks for it is told.
async fn resource(call: Call, target: ResourceTarget) -> Answer {
    if !target.resource.is_custom() {
        return served(call, target).await;
    }
    let Some(custom) = target.resource.custom() else {
        return Ok(respond::no_such_path());
    };
    let mut response = served(call, target).await?;
    respond::warn(&mut response, custom.warning.as_slice());
    Ok(response)
}

async fn served(call: Call, target: ResourceTarget) -> Answer {
    let allowed = match target.resource.subresource(&target.subresource) {
        Some(part) => part.verbs.contains(&call.verb),
        None => target.resource.verbs.contains(&call.verb),
    };
    // A namespaced kind is created and swept inside a namespace only.
    let everywhere = target.resource.namespaced && target.namespace.is_empty();
    // Collections are created in, objects are changed.
    let on_object = matches!(call.verb, "update" | "patch" | "delete");
    let misdirected = target.subresource.is_empty()
        && (on_object && target.name.is_empty()
            || call.verb == "create" && !target.name.is_empty());
    if !allowed || misdirected || everywhere && !matches!(call.verb, "list" | "watch") {
        return Err(Status::method_not_allowed());
    }
    match (target.subresource.as_str(), call.verb) {
        ("log", _) => kubelet::log(call, target).await,
        ("binding", _) => strategy::bind(call, target).await,
        ("eviction", _) => write::evict(call, target).await,
        ("token", _) => tokens::request(call, target).await,
        ("", "create") if target.resource.plural == "bindings" => {
            strategy::bind(call, target).await
        }
        ("", "create") if target.resource.bucket.is_empty() => reviews::answer(call, target).await,
        ("", "get" | "list") if target.resource.bucket.is_empty() => {
            components::answer(call, target).await
        }
        (_, "get") => read::get(call, target).await,
        (_, "list") => read::list(call, target).await,
        (_, "watch") => watch::watch(call, target).await,
        (_, "create") => write::create(call, target).await,
        (_, "update") => write::update(call, target).await,
        (_, "patch") => write::patch(call, target).await,
        (_, "delete") => write::delete(call, target).await,
        (_, "deletecollection") => write::delete_collection(call, target).await,
        _ => Err(Status::method_not_allowed()),
    }
}
