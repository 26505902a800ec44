//! From a target and a verb to the code that answers.

use futures::future::BoxFuture;
use http::Method;
use http::header::ACCEPT;
use sampan_api::resource::{Resource, resources};
use sampan_api::status::Status;

use crate::api::{Answer, Call};
use crate::content::{refusal_format, wants_pretty};
use crate::request::{ResourceTarget, Target};
use crate::{
    components, discovery, kubelet, metrics, read, respond, reviews, strategy, tokens, watch, write,
};

pub(super) async fn dispatch(call: Call, target: Target) -> Answer {
    if call.parts.method == Method::HEAD && !answers_head(&target) {
        return Err(Status::method_not_allowed());
    }
    let target = match target {
        Target::Resource(target) => return resource(call, target).await,
        // Streams are asked for with GET and with POST; plain text would reach people as a riddle.
        Target::Stream(name) => return Err(Status::not_implemented(&name)),
        other => other,
    };
    if !matches!(call.parts.method, Method::GET | Method::HEAD) {
        return match target {
            Target::Unknown => unknown(call.parts.uri.path()),
            _ => Err(Status::method_not_allowed()),
        };
    }
    match target {
        Target::Root => Ok(discovery::index(&call)),
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
        Target::Unknown => unknown(call.parts.uri.path()),
        Target::Extra | Target::Stream(_) | Target::Resource(_) => Ok(respond::no_such_path()),
    }
}

/// Upstream knows HEAD where it is no part of the table of routes.
fn answers_head(target: &Target) -> bool {
    let built_in = |group: &str| resources().iter().any(|row| row.group == group);
    match target {
        Target::Api | Target::Version | Target::OpenIdConfiguration | Target::OpenIdKeys => false,
        Target::Group(group) => group != "apiregistration.k8s.io",
        Target::GroupVersion { group, .. } => !built_in(group),
        Target::Resource(target) => target.resource.is_custom(),
        _ => true,
    }
}

/// What is missing below a built-in group is told by a Status, anything else in plain text.
fn unknown(path: &str) -> Answer {
    let mut segments = path.trim_matches('/').split('/');
    let known = match (segments.next(), segments.next()) {
        (Some("api"), Some(_)) => true,
        (Some("apis"), Some(group)) => resources().iter().any(|row| row.group == group),
        _ => false,
    };
    if known {
        return Err(Status::path_not_found());
    }
    Ok(respond::no_such_path())
}

/// A resource or a version of it may be on its way out, which everybody who asks for it is told.
async fn resource(call: Call, target: ResourceTarget) -> Answer {
    let custom = target.resource.custom();
    if target.resource.is_custom() && custom.is_none() {
        return Ok(respond::no_such_path());
    }
    let old = deprecation(target.resource).map(str::to_owned);
    let warning = custom.map_or(old, |custom| custom.warning.clone());
    let Some(warning) = warning else {
        return served(call, target).await;
    };
    let headers = &call.parts.headers;
    let (format, pretty) = (
        refusal_format(headers.get(ACCEPT)),
        wants_pretty(headers, call.parts.uri.query()),
    );
    let answer = served(call, target).await;
    let mut response = answer.unwrap_or_else(|status| respond::failure(&status, format, pretty));
    respond::warn(&mut response, &[warning]);
    Ok(response)
}

fn deprecation(resource: &Resource) -> Option<&'static str> {
    match (resource.group, resource.kind) {
        ("", "ComponentStatus") => Some("v1 ComponentStatus is deprecated in v1.19+"),
        ("", "Endpoints") => {
            Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice")
        }
        _ => None,
    }
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
    // The old prefix is for watching alone: a deletion through it would sweep what was to be watched.
    let misdirected = misdirected || target.watch_prefix && call.verb != "watch";
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
