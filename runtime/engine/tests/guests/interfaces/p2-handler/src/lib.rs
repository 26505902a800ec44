//! Answers the requests of `../p2` and checks them: a check that fails is a trap, which the other side sees as a status
//! of 500. `/refuse` answers with an error, `/` with
//! nothing.

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    ErrorCode, Fields, HeaderError, IncomingBody, IncomingRequest, Method, OutgoingBody, OutgoingResponse,
    ResponseOutparam, Scheme,
};

struct Handler;

impl Guest for Handler {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        match request.path_with_query().as_deref() {
            Some("/refuse") => ResponseOutparam::set(out, Err(ErrorCode::InternalError(Some("no".to_string())))),
            Some("/") => ResponseOutparam::set(out, Ok(OutgoingResponse::new(Fields::new()))),
            Some("/echo?x=1") => echo(&request, out),
            other => panic!("no such path: {other:?}"),
        }
    }
}

fn echo(request: &IncomingRequest, out: ResponseOutparam) {
    assert!(matches!(request.method(), Method::Post));
    assert!(matches!(request.scheme(), Some(Scheme::Http)));
    assert!(request.authority().is_some_and(|authority| authority.contains(':')));
    let headers = request.headers();
    assert_eq!(headers.get("x-probe"), [b"1".to_vec()]);
    assert!(matches!(headers.append("x-more", b"1"), Err(HeaderError::Immutable)));
    drop(headers);
    let text = read(request);

    let headers = Fields::new();
    headers.append("x-answer", b"yes").expect("a header");
    headers.append("trailer", b"x-sum").expect("a header");
    let response = OutgoingResponse::new(headers);
    assert_eq!(response.status_code(), 200);
    response.set_status_code(201).expect("a status");
    assert!(response.set_status_code(9_999).is_err());
    assert_eq!(response.status_code(), 201);
    assert_eq!(response.headers().get("x-answer"), [b"yes".to_vec()]);
    let body = response.body().expect("the body");
    assert!(response.body().is_err());
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().expect("the stream");
    assert!(body.write().is_err());
    stream.blocking_write_and_flush(b"pong: ").expect("written");
    stream.blocking_write_and_flush(&text).expect("written");
    drop(stream);
    let trailers = Fields::new();
    let sum = text.len().to_string();
    trailers.append("x-sum", sum.as_bytes()).expect("a trailer");
    OutgoingBody::finish(body, Some(trailers)).expect("finished");
}

fn read(request: &IncomingRequest) -> Vec<u8> {
    let body = request.consume().expect("the body");
    assert!(request.consume().is_err());
    let stream = body.stream().expect("the stream");
    assert!(body.stream().is_err());
    let mut text = Vec::new();
    while let Ok(chunk) = stream.blocking_read(100) {
        text.extend(chunk);
    }
    drop(stream);
    let trailers = IncomingBody::finish(body);
    trailers.subscribe().block();
    assert!(matches!(trailers.get(), Some(Ok(Ok(None)))));
    text
}

wasip2::http::proxy::export!(Handler);
