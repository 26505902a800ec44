//! `wasi:http` as a client; the other side is `../p3-handler`, and a server that ends in the middle of a body.

use crate::check::{equal, err, holds, ok};
use wasip3::http::client::send;
use wasip3::http::types::{
    ErrorCode, Fields, HeaderError, Method, Request, RequestOptions, Response, Scheme, Trailers,
};
use wasip3::wit_bindgen::FutureReader;
use wasip3::{spawn_local, wit_future, wit_stream};

const SECOND: u64 = 1_000_000_000;

pub async fn run(authority: &str, cut: &str) {
    fields();
    let (request, sent) = post(authority);
    let response = ok(send(request).await);
    equal(response.get_status_code(), 201);
    let headers = response.get_headers();
    equal(headers.get("x-answer"), [b"yes".to_vec()]);
    holds(matches!(headers.set("x-answer", &[]), Err(HeaderError::Immutable)));
    let (data, end) = Response::consume_body(response, done());
    equal(data.collect().await, b"pong: ping");
    let trailers = ok(end.await);
    equal(trailers.map(|fields| fields.get("x-sum")), Some(vec![b"4".to_vec()]));
    ok(sent.await);

    let refused = ok(send(get(authority, "/refuse")).await);
    holds((500..600).contains(&refused.get_status_code()));
    // An empty path is sent as `/`.
    equal(ok(send(get(authority, "")).await).get_status_code(), 200);
    let unfinished = ok(send(get(cut, "/")).await);
    let (data, end) = Response::consume_body(unfinished, done());
    equal(data.collect().await, b"half");
    err(end.await);
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
    equal(fields.copy_all().len(), 1);
    equal(copy.copy_all().len(), 2);
    ok(fields.delete("x-a"));
    equal(fields.get("x-a").len(), 0);
    equal(ok(copy.get_and_delete("x-a")).len(), 2);
    holds(!copy.has("x-a"));
    holds(matches!(fields.append("bad name", b"1"), Err(HeaderError::InvalidSyntax)));
    holds(matches!(fields.append("x-b", b"a\nb"), Err(HeaderError::InvalidSyntax)));
    holds(matches!(fields.append("connection", b"close"), Err(HeaderError::Forbidden)));
    let listed = ok(Fields::from_list(&[("x-b".to_string(), b"4".to_vec())]));
    equal(listed.get("x-b"), [b"4".to_vec()]);
    holds(Fields::from_list(&[("bad name".to_string(), Vec::new())]).is_err());
}

fn options() -> RequestOptions {
    let options = RequestOptions::new();
    equal(options.get_connect_timeout(), None);
    ok(options.set_connect_timeout(Some(11 * SECOND)));
    equal(options.get_connect_timeout(), Some(11 * SECOND));
    ok(options.set_first_byte_timeout(Some(12 * SECOND)));
    equal(options.get_first_byte_timeout(), Some(12 * SECOND));
    ok(options.set_between_bytes_timeout(Some(13 * SECOND)));
    equal(options.get_between_bytes_timeout(), Some(13 * SECOND));
    let copy = options.clone();
    ok(copy.set_connect_timeout(None));
    equal(options.get_connect_timeout(), Some(11 * SECOND));
    equal(copy.get_between_bytes_timeout(), Some(13 * SECOND));
    options
}

fn post(authority: &str) -> (Request, FutureReader<Result<(), ErrorCode>>) {
    let headers = Fields::new();
    ok(headers.append("x-probe", b"1"));
    ok(headers.append("te", b"trailers"));
    let (mut data, stream) = wit_stream::new();
    spawn_local(async move {
        data.write_all(b"ping".to_vec()).await;
    });
    let (request, sent) = Request::new(headers, Some(stream), no_trailers(), Some(options()));
    holds(matches!(request.get_method(), Method::Get));
    ok(request.set_method(&Method::Post));
    holds(matches!(request.get_method(), Method::Post));
    err(request.set_method(&Method::Other("BAD METHOD".to_string())));
    holds(request.get_scheme().is_none());
    ok(request.set_scheme(Some(&Scheme::Http)));
    holds(matches!(request.get_scheme(), Some(Scheme::Http)));
    equal(request.get_authority(), None);
    ok(request.set_authority(Some(authority)));
    equal(request.get_authority().as_deref(), Some(authority));
    err(request.set_authority(Some("bad authority")));
    equal(request.get_path_with_query(), None);
    ok(request.set_path_with_query(Some("/echo?x=1")));
    equal(request.get_path_with_query().as_deref(), Some("/echo?x=1"));
    equal(request.get_headers().get("x-probe"), [b"1".to_vec()]);
    let options = ok(request.get_options().ok_or("no options"));
    equal(options.get_connect_timeout(), Some(11 * SECOND));
    err(options.set_connect_timeout(None));
    (request, sent)
}

fn get(authority: &str, path: &str) -> Request {
    let (request, _sent) = Request::new(Fields::new(), None, no_trailers(), None);
    ok(request.set_scheme(Some(&Scheme::Http)));
    ok(request.set_authority(Some(authority)));
    ok(request.set_path_with_query(Some(path)));
    request
}

fn no_trailers() -> FutureReader<Result<Option<Trailers>, ErrorCode>> {
    let (_writer, reader) = wit_future::new(|| Ok(None));
    reader
}

fn done() -> FutureReader<Result<(), ErrorCode>> {
    let (_writer, reader) = wit_future::new(|| Ok(()));
    reader
}
