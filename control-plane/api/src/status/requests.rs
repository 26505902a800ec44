//! Forms of [`Status`] about requests as such, whatever object they are about.

use super::field::quote;
use super::{Cause, Details, MEDIA_TYPES, Status};

impl Status {
    /// 400: the request makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Status {
        Status::failure(400, "BadRequest", message)
    }

    /// 401: the credentials are wrong or missing.
    pub fn unauthorized() -> Status {
        Status::failure(401, "Unauthorized", "Unauthorized")
    }

    /// 403: this user may not read this path.
    pub fn forbidden_path(user: &str, verb: &str, path: &str) -> Status {
        let message = format!(
            "forbidden: User {} cannot {verb} path {}",
            quote(user),
            quote(path)
        );
        Status::failure(403, "Forbidden", message).with(Details::default())
    }

    /// 404: nothing is served under that path.
    pub fn path_not_found() -> Status {
        let message = "the server could not find the requested resource";
        Status::failure(404, "NotFound", message).with(Details::default())
    }

    /// 405: the resource has no such verb.
    pub fn method_not_allowed() -> Status {
        let message = "the server does not allow this method on the requested resource";
        Status::failure(405, "MethodNotAllowed", message).with(Details::default())
    }

    /// 501: a part of Kubernetes that this server does not have, such as `pods/exec`. Upstream has
    /// no such answer; kubectl prints reason and message.
    pub fn not_implemented(what: &str) -> Status {
        let message = format!("{what} is not supported by this server");
        Status::failure(501, "NotImplemented", message).with(Details::default())
    }

    /// 406: the client accepts nothing the server can write, which would be `media_types`.
    pub fn not_acceptable(media_types: &str) -> Status {
        let message = format!("only the following media types are accepted: {media_types}");
        Status::failure(406, "NotAcceptable", message)
    }

    /// 415: the server cannot read a body of that type.
    pub fn unsupported_media_type() -> Status {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: \
             {MEDIA_TYPES}"
        );
        Status::failure(415, "UnsupportedMediaType", message)
    }

    /// 415: such a patch needs a built-in type.
    pub fn patch_of_custom() -> Status {
        let message = "the body of the request was in an unknown format - accepted media types include: \
                       application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
        Status::failure(415, "UnsupportedMediaType", message)
    }

    /// 415: no such patch type.
    pub fn unsupported_patch_type() -> Status {
        let message = "415: Unsupported Media Type";
        Status::failure(415, "UnsupportedMediaType", message).with(Details::default())
    }

    /// 413: the body is larger than `limit` bytes.
    pub fn request_too_large(limit: usize) -> Status {
        Status::too_large(&format!("limit is {limit}"))
    }

    /// 413 with words of its own.
    pub fn too_large(why: &str) -> Status {
        let message = format!("Request entity too large: {why}");
        Status::failure(413, "RequestEntityTooLarge", message)
    }

    /// 410: a watch from a resourceVersion that is older than what is kept.
    pub fn expired(requested: u64, oldest: u64) -> Status {
        let message = format!("too old resource version: {requested} ({oldest})");
        Status::failure(410, "Expired", message)
    }

    /// 410: a list at a resourceVersion that is older than what is kept.
    pub fn expired_list() -> Status {
        let message = "The resourceVersion for the provided list is too old.";
        Status::failure(410, "Expired", message)
    }

    /// 410: the continue token is older than what is kept; `token` goes on from the present state.
    pub fn expired_continue(token: String) -> Status {
        let message = "The provided continue parameter is too old to display a consistent list \
                       result. You can start a new list without the continue parameter, or use \
                       the continue token in this response to retrieve the remainder of the \
                       results. Continuing with the provided token results in an inconsistent \
                       list - objects that were created, modified, or deleted between the time \
                       the first chunk was returned and now may show up in the list.";
        let mut status = Status::failure(410, "Expired", message);
        status.continue_token = Some(token);
        status
    }

    /// 410: it is gone for good.
    pub fn gone(message: impl Into<String>) -> Status {
        Status::failure(410, "Gone", message)
    }

    /// 504: a resourceVersion from the future. Reflectors test the cause.
    pub fn timeout_large_resource_version(requested: u64, current: u64) -> Status {
        let message =
            format!("Timeout: Too large resource version: {requested}, current: {current}");
        let cause = Cause {
            reason: "ResourceVersionTooLarge".to_owned(),
            message: "Too large resource version".to_owned(),
            field: String::new(),
        };
        let details = Details {
            causes: vec![cause],
            retry_after_seconds: 1,
            ..Details::default()
        };
        Status::failure(504, "Timeout", message).with(details)
    }

    /// 504: it took too long.
    pub fn timeout(why: &str) -> Status {
        Status::failure(504, "Timeout", format!("Timeout: {why}")).with(Details::default())
    }

    /// 429: come back later.
    pub fn too_many_requests(message: impl Into<String>, retry_after_seconds: u32) -> Status {
        let details = Details {
            retry_after_seconds,
            ..Details::default()
        };
        Status::failure(429, "TooManyRequests", message).with(details)
    }

    /// 500: our fault.
    pub fn internal(why: impl Into<String>) -> Status {
        let why = why.into();
        let message = format!("Internal error occurred: {why}");
        let cause = Cause {
            message: why,
            ..Cause::default()
        };
        let details = Details {
            causes: vec![cause],
            ..Details::default()
        };
        Status::failure(500, "InternalError", message).with(details)
    }

    /// 503: not now.
    pub fn service_unavailable(message: impl Into<String>) -> Status {
        Status::failure(503, "ServiceUnavailable", message)
    }
}
