//! Questions about users: who am I, who holds this token, may they do that. Answered by the authenticator and the
//! authorizer that decide about every request; nothing is stored.

mod access;

use std::collections::BTreeMap;

use http::StatusCode;
use jiff::Timestamp;
use sampan_api::status::Status;
use sampan_api::{object, time};
use serde_json::{Value, json};

use crate::api::{Answer, Call, Result};
use crate::authn::bearer_user;
use crate::content::{Expected, Offer, negotiate, read_object};
use crate::request::ResourceTarget;
use crate::respond;
use crate::tokens::ISSUER;
use crate::user::UserInfo;
use crate::write::{WriteOptions, check_namespace, settle_answer};

/// POST to one of the review resources.
pub(crate) async fn answer(mut call: Call, target: ResourceTarget) -> Answer {
    let options = WriteOptions::parse(&call, "CreateOptions")?;
    let output = negotiate(&call, Offer::Plain)?;
    let input = read_object(&mut call, Expected::of(target.resource)).await?;
    let mut review = input.value;
    check_namespace(&mut review, &target.namespace)?;
    object::remove(&mut review, "status");
    let expected = Expected::of(target.resource);
    settle_answer(expected, "", &options.manager, &mut review)?;
    match target.resource.plural {
        "tokenreviews" => token(&call, &mut review).await?,
        "selfsubjectreviews" => {
            let now = time::seconds(Timestamp::now());
            object::set(&mut review, "metadata.creationTimestamp", now);
            object::set(&mut review, "status.userInfo", user_info(&call.user));
        }
        _ => access::answer(&call, &target, &mut review).await?,
    }
    let mut response = respond::value(StatusCode::CREATED, &review, &output)?;
    respond::warn(&mut response, &input.warnings);
    Ok(response)
}

/// Whom a token stands for.
async fn token(call: &Call, review: &mut Value) -> Result<()> {
    let token = object::text(review, "spec.token");
    if token.is_empty() {
        let why = "token is required for TokenReview in authentication";
        return Err(Status::bad_request(why));
    }
    let audiences: Vec<&str> = object::items(review, "spec.audiences")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let audiences = if audiences.is_empty() {
        vec![ISSUER]
    } else {
        audiences
    };
    let status = match bearer_user(&call.api, token, &audiences).await {
        Ok(bearer) => json!({
            "authenticated": true, "user": user_info(&bearer.user), "audiences": bearer.audiences,
        }),
        Err(error) => json!({"user": {}, "error": error}),
    };
    object::set(review, "status", status);
    Ok(())
}

/// A user as the API shows one.
pub(crate) fn user_info(user: &UserInfo) -> Value {
    let mut info = json!({"username": user.name});
    if !user.uid.is_empty() {
        info["uid"] = json!(user.uid);
    }
    if !user.groups.is_empty() {
        info["groups"] = json!(user.groups);
    }
    if !user.extra.is_empty() {
        info["extra"] = json!(user.extra.iter().cloned().collect::<BTreeMap<_, _>>());
    }
    info
}
