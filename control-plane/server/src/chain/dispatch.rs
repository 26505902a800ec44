//! From a target and a verb to the code that answers.

use futures::future::BoxFuture;
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
    let custom = target.resource.custom();
    if target.resource.is_custom() && custom.is_none() {
        return Ok(respond::no_such_path());
    }
    let mut response = served(call, target).await?;
    if let Some(custom) = custom {
        respond::warn(&mut response, custom.warning.as_slice());
    }
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
    answer(call, target).await
}

/// A future is as large as the largest it may become, and it is moved several times on its way down here: only `get`, the
/// most frequent and the smallest, is part of it, the others are behind a pointer.
async fn answer(call: Call, target: ResourceTarget) -> Answer {
    let answer: BoxFuture<'static, Answer> = match (target.subresource.as_str(), call.verb) {
        ("log", _) => Box::pin(kubelet::log(call, target)),
        ("binding", _) => Box::pin(strategy::bind(call, target)),
        ("eviction", _) => Box::pin(write::evict(call, target)),
        ("token", _) => Box::pin(tokens::request(call, target)),
        ("", "create") if target.resource.plural == "bindings" => {
            Box::pin(strategy::bind(call, target))
        }
        ("", "create") if target.resource.bucket.is_empty() => {
            Box::pin(reviews::answer(call, target))
        }
        ("", "get" | "list") if target.resource.bucket.is_empty() => {
            Box::pin(components::answer(call, target))
        }
        (_, "get") => return read::get(call, target).await,
        (_, "list") => Box::pin(read::list(call, target)),
        (_, "watch") => Box::pin(watch::watch(call, target)),
        (_, "create") => Box::pin(write::create(call, target)),
        (_, "update") => Box::pin(write::update(call, target)),
        (_, "patch") => Box::pin(write::patch(call, target)),
        (_, "delete") => Box::pin(write::delete(call, target)),
        (_, "deletecollection") => Box::pin(write::delete_collection(call, target)),
        _ => return Err(Status::method_not_allowed()),
    };
    answer.await
}
