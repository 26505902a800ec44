//! `wasi:http` as a client; the other side is `../p2-handler`, and a server that ends in the middle of a body.

use crate::check::{equal, err, holds, ok};
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    http_error_code, Fields, FutureIncomingResponse, HeaderError, IncomingBody, IncomingResponse, Method,
    OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};
use wasip2::io::streams::StreamError;

const SECOND: u64 = 1_000_000_000;

pub fn run(authority: &str, cut: &str) {
    fields();
    let response = answer(&ok(handle(post(authority), Some(options()))));
    equal(response.status(), 201);
    let headers = response.headers();
    equal(headers.get("x-answer"), [b"yes".to_vec()]);
    holds(matches!(headers.set("x-answer", &[]), Err(HeaderError::Immutable)));
    drop(headers);
    let body = ok(response.consume());
    err(response.consume().map(|_| ()));
    let stream = ok(body.stream());
    let mut text = Vec::new();
    let end = loop {
        match stream.blocking_read(100) {
            Ok(chunk) => text.extend(chunk),
            Err(end) => break end,
        }
    };
    holds(matches!(end, StreamError::Closed));
    equal(text, b"pong: ping");
    drop(stream);
    let trailers = IncomingBody::finish(body);
    trailers.subscribe().block();
    let trailers = ok(ok(trailers.get().unwrap_or(Err(()))));
    equal(trailers.map(|fields| fields.get("x-sum")), Some(vec![b"4".to_vec()]));

    holds((500..600).contains(&get(authority, "/refuse").status()));
    // An empty path is sent as `/`.
    equal(get(authority, "").status(), 200);
    unfinished(&get(cut, "/"));
}

fn fields() {
    let fields = Fields::new();
    holds(!fields.has("x-a"));
    ok(fields.append("x-a", b"1"));
    ok(fields.append("X-A", b"2"));
    holds(fields.has("x-a"));
    equal(fields.get("x-a"), [b"1".to_vec(), b"2".to_vec()]);
    let copy = fields.clone();
    ok(fields.set("x-a", &[b"3".to_vec()]));
    equal(fields.entries().len(), 1);
    equal(copy.entries().len(), 2);
    ok(fields.delete("x-a"));
    equal(fields.get("x-a").len(), 0);
    equal(copy.get("x-a").len(), 2);
    holds(matches!(fields.append("bad name", b"1"), Err(HeaderError::InvalidSyntax)));
    holds(matches!(fields.append("x-b", b"a\nb"), Err(HeaderError::InvalidSyntax)));
    holds(matches!(fields.append("connection", b"close"), Err(HeaderError::Forbidden)));
    let listed = ok(Fields::from_list(&[("x-b".to_string(), b"4".to_vec())]));
    equal(listed.get("x-b"), [b"4".to_vec()]);
    holds(Fields::from_list(&[("bad name".to_string(), Vec::new())]).is_err());
}

fn options() -> RequestOptions {
    let options = RequestOptions::new();
    equal(options.connect_timeout(), None);
    ok(options.set_connect_timeout(Some(11 * SECOND)));
    equal(options.connect_timeout(), Some(11 * SECOND));
    ok(options.set_first_byte_timeout(Some(12 * SECOND)));
    equal(options.first_byte_timeout(), Some(12 * SECOND));
    ok(options.set_between_bytes_timeout(Some(13 * SECOND)));
    equal(options.between_bytes_timeout(), Some(13 * SECOND));
    options
}

fn post(authority: &str) -> OutgoingRequest {
    let headers = Fields::new();
    ok(headers.append("x-probe", b"1"));
    ok(headers.append("te", b"trailers"));
    let request = OutgoingRequest::new(headers);
    holds(matches!(request.method(), Method::Get));
    ok(request.set_method(&Method::Post));
    holds(matches!(request.method(), Method::Post));
    err(request.set_method(&Method::Other("BAD METHOD".to_string())));
    holds(request.scheme().is_none());
    ok(request.set_scheme(Some(&Scheme::Http)));
    holds(matches!(request.scheme(), Some(Scheme::Http)));
    equal(request.authority(), None);
    ok(request.set_authority(Some(authority)));
    equal(request.authority().as_deref(), Some(authority));
    err(request.set_authority(Some("bad authority")));
    equal(request.path_with_query(), None);
    ok(request.set_path_with_query(Some("/echo?x=1")));
    equal(request.path_with_query().as_deref(), Some("/echo?x=1"));
    equal(request.headers().get("x-probe"), [b"1".to_vec()]);
    let body = ok(request.body());
    err(request.body().map(|_| ()));
    let stream = ok(body.write());
    err(body.write().map(|_| ()));
    ok(stream.blocking_write_and_flush(b"ping"));
    drop(stream);
    ok(OutgoingBody::finish(body, None));
    request
}

fn get(authority: &str, path: &str) -> IncomingResponse {
    let request = OutgoingRequest::new(Fields::new());
    ok(request.set_scheme(Some(&Scheme::Http)));
    ok(request.set_authority(Some(authority)));
    ok(request.set_path_with_query(Some(path)));
    answer(&ok(handle(request, None)))
}

fn answer(future: &FutureIncomingResponse) -> IncomingResponse {
    future.subscribe().block();
    let response = ok(ok(future.get().unwrap_or(Err(()))));
    holds(matches!(future.get(), Some(Err(()))));
    response
}

/// A body that ends before its time.
fn unfinished(response: &IncomingResponse) {
    equal(response.status(), 200);
    let body = ok(response.consume());
    let stream = ok(body.stream());
    let end = loop {
        match stream.blocking_read(100) {
            Ok(_chunk) => {}
            Err(end) => break end,
        }
    };
    let StreamError::LastOperationFailed(error) = end else {
        return holds(false);
    };
    holds(!error.to_debug_string().is_empty());
    // A host may tell the code; wasmtime-wasi-http has none for a body's errors.
    let _code = http_error_code(&error);
}
