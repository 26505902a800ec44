//! TokenRequest: a token for an account, for a while, and as long as what it is bound to lives.

mod audience;

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use sampan_api::resource::find as find_resource;
use sampan_api::status::{FieldError, Status};
use sampan_api::{object, time};
use serde_json::{Value, json};

use super::{Claims, ISSUER, Reference, Subject, user_name};
use crate::api::{Answer, Api, Call, Result};
use crate::chain::fresh_uuid;
use crate::content::{Expected, Offer, negotiate, read_object};
use crate::object::Stored;
use crate::read::{existing, find};
use crate::request::ResourceTarget;
use crate::respond;
use crate::user::UserInfo;
use crate::write::{WriteOptions, settle_answer};

const GROUP: &str = "authentication.k8s.io";
const KIND: &str = "TokenRequest";
const TYPE: &str = "io.k8s.api.authentication.v1.TokenRequest";
/// What a client gets that names no time.
const DEFAULT_SECONDS: i64 = 3600;
const MIN_SECONDS: i64 = 600;
const MAX_SECONDS: i64 = 1 << 32;
/// Asked for by the volume that admission adds to pods. Programs that read their token once and never again are to live
/// on, so that such a token says one hour and is good for a year.
pub(crate) const PROJECTED_SECONDS: i64 = 3607;
const EXTENDED_SECONDS: i64 = 365 * 24 * 3600;

/// POST to `serviceaccounts/NAME/token`.
pub(crate) async fn request(mut call: Call, target: ResourceTarget) -> Answer {
    let options = WriteOptions::parse(&call, "CreateOptions")?;
    let output = negotiate(&call, Offer::Plain)?;
    let expected = Expected {
        group: GROUP,
        version: "v1",
        kind: KIND,
        type_name: TYPE,
        row: None,
    };
    let input = read_object(&mut call, expected).await?;
    let mut asked = input.value;
    check_identity(&asked, &target)?;
    let account = existing(&call.api, &target).await?;
    let uid = object::uid(&asked);
    if !uid.is_empty() && uid != account.object.uid() {
        let why = format!(
            "the UID in the token request ({uid}) does not match the UID of the service account ({})",
            account.object.uid()
        );
        return Err(Status::conflict_named((GROUP, KIND), &target.name, &why));
    }
    let now = Timestamp::now();
    let audiences = object::items(&asked, "spec.audiences").to_vec();
    complete(&mut asked, &account, now);
    settle_answer(expected, "token", &options.manager, &mut asked)?;
    check(&asked)?;
    let bound = bound(&call.api, &call.user, &target, &asked, &audiences).await?;
    let claims = claims(&asked, &account, bound, now);
    let token = serde_json::to_string(&claims)
        .ok()
        .and_then(|claims| call.api.signing_key.sign(&claims))
        .ok_or_else(|| Status::internal("failed to generate token"))?;
    let until = now + SignedDuration::from_secs(seconds(&asked));
    let status = json!({"token": token, "expirationTimestamp": time::seconds(until)});
    object::set(&mut asked, "status", status);
    let mut response = respond::value(StatusCode::CREATED, &asked, &output)?;
    respond::warn(&mut response, &input.warnings);
    Ok(response)
}

fn check_identity(asked: &Value, target: &ResourceTarget) -> Result<()> {
    for (field, said, meant) in [
        ("name", object::name(asked), &target.name),
        ("namespace", object::namespace(asked), &target.namespace),
    ] {
        if !said.is_empty() && said != meant {
            let why = format!("must match the service account {field} if specified");
            let error = FieldError::invalid(format!("metadata.{field}"), said, why);
            return Err(Status::invalid_kind(GROUP, KIND, &target.name, vec![error]));
        }
    }
    Ok(())
}

/// Fills in what was left open.
fn complete(asked: &mut Value, account: &Stored, now: Timestamp) {
    object::remove(asked, "status");
    for (field, value) in [
        ("name", account.object.name()),
        ("namespace", account.object.namespace()),
        ("uid", account.object.uid()),
    ] {
        object::set(asked, &format!("metadata.{field}"), value.to_string());
    }
    object::set(asked, "metadata.creationTimestamp", time::seconds(now));
    object::set_default(asked, "spec", json!({}));
    if object::is_empty(asked, "spec.audiences") {
        object::set(asked, "spec.audiences", json!([ISSUER]));
    }
    object::set_default(asked, "spec.expirationSeconds", DEFAULT_SECONDS);
    object::set_default(asked, "spec.boundObjectRef", Value::Null);
}

fn seconds(asked: &Value) -> i64 {
    object::int(asked, "spec.expirationSeconds").unwrap_or(DEFAULT_SECONDS)
}

fn check(asked: &Value) -> Result<()> {
    let seconds = seconds(asked);
    let why = if seconds < MIN_SECONDS {
        "may not specify a duration less than 10 minutes"
    } else if seconds > MAX_SECONDS {
        "may not specify a duration larger than 2^32 seconds"
    } else {
        return Ok(());
    };
    let error = FieldError::invalid("spec.expirationSeconds", seconds, why);
    Err(Status::invalid_kind(GROUP, KIND, "", vec![error]))
}

/// What a token is bound to.
#[derive(Default)]
struct Bound {
    pod: Option<Reference>,
    node: Option<Reference>,
    secret: Option<Reference>,
}

async fn bound(
    api: &Api,
    user: &UserInfo,
    target: &ResourceTarget,
    asked: &Value,
    audiences: &[Value],
) -> Result<Bound> {
    let agent = user.node_name();
    let refused = |why: &str| Err(Status::forbidden(target.resource, &target.name, why));
    if agent == Some("") {
        return refused(&format!(
            "could not determine node from user {:?}",
            user.name
        ));
    }
    let Some(reference) = object::get(asked, "spec.boundObjectRef") else {
        return match agent {
            Some(_) => refused("node requested token not bound to a pod"),
            None => Ok(Bound::default()),
        };
    };
    let (api_version, kind) = (
        object::text(reference, "apiVersion"),
        object::text(reference, "kind"),
    );
    let plural = match (api_version, kind) {
        ("v1" | "", "Pod") => "pods",
        ("v1" | "", "Secret") => "secrets",
        ("v1" | "", "Node") => "nodes",
        _ => {
            return Err(Status::bad_request(format!(
                "cannot bind token to object of type {api_version}, Kind={kind}"
            )));
        }
    };
    if agent.is_some() && kind != "Pod" {
        return refused("node requested token not bound to a pod");
    }
    let resource = find_resource("", "v1", plural).ok_or_else(Status::path_not_found)?;
    let name = object::text(reference, "name");
    let uid = object::text(reference, "uid");
    if agent.is_some() && uid.is_empty() {
        return refused("node requested token with a pod binding without a uid");
    }
    let namespace = if resource.namespaced {
        &*target.namespace
    } else {
        ""
    };
    let found = find(api, resource, namespace, name)
        .await?
        .ok_or_else(|| Status::not_found(resource, name))?;
    let on = found.object.field("spec.nodeName").unwrap_or("").to_owned();
    if kind == "Pod" && found.object.field("spec.serviceAccountName") != Some(&target.name) {
        return Err(Status::bad_request(format!(
            "cannot bind token for serviceaccount {:?} to pod running with different serviceaccount name.",
            target.name
        )));
    }
    if agent.is_some_and(|agent| agent != on) {
        return refused("node requested token bound to a pod scheduled on a different node");
    }
    if !uid.is_empty() && uid != found.object.uid() {
        let why = format!(
            "the UID in the bound object reference ({uid}) does not match the UID in record. \
             The object might have been deleted and then recreated"
        );
        return Err(Status::conflict_named(("", kind), name, &why));
    }
    if agent.is_some()
        && let Some(why) = audience::refusal(api, user, target, &found, audiences).await?
    {
        return refused(&why);
    }
    let reference = Some(Reference {
        name: name.to_owned(),
        uid: found.object.uid().to_string(),
    });
    Ok(match kind {
        "Pod" => Bound {
            pod: reference,
            node: node_of(api, &on).await?,
            secret: None,
        },
        "Node" => Bound {
            node: reference,
            ..Bound::default()
        },
        _ => Bound {
            secret: reference,
            ..Bound::default()
        },
    })
}

/// The node of a pod; known by name alone when it is not there.
async fn node_of(api: &Api, name: &str) -> Result<Option<Reference>> {
    if name.is_empty() {
        return Ok(None);
    }
    let nodes = find_resource("", "v1", "nodes").ok_or_else(Status::path_not_found)?;
    let found = find(api, nodes, "", name).await?;
    Ok(Some(Reference {
        name: name.to_owned(),
        uid: found.map_or_else(String::new, |node| node.object.uid().to_string()),
    }))
}

fn claims(asked: &Value, account: &Stored, bound: Bound, now: Timestamp) -> Claims {
    let audiences: Vec<String> = object::items(asked, "spec.audiences")
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let (now, seconds) = (now.as_second(), seconds(asked));
    let extended = seconds == PROJECTED_SECONDS
        && bound.pod.is_some()
        && audiences.iter().all(|audience| audience == ISSUER);
    let lasts = if extended { EXTENDED_SECONDS } else { seconds };
    let (namespace, name) = (account.object.namespace(), account.object.name());
    Claims {
        audiences,
        expires: now.saturating_add(lasts),
        issued: now,
        issuer: ISSUER.to_owned(),
        id: fresh_uuid().hyphenated().to_string(),
        subject: Subject {
            namespace: namespace.to_string(),
            node: bound.node,
            pod: bound.pod,
            secret: bound.secret,
            account: Reference {
                name: name.to_string(),
                uid: account.object.uid().to_string(),
            },
            warn_after: extended.then(|| now + seconds),
        },
        not_before: now,
        user: user_name(namespace, name),
    }
}
