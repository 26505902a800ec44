//! Answers the requests of `../p3` and checks them: a check that fails is a trap, which the other side sees as a status
//! of 500. `/refuse` answers with an error, `/` with
//! nothing.

use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{ErrorCode, Fields, HeaderError, Method, Request, Response, Scheme, Trailers};
use wasip3::{spawn_local, wit_future, wit_stream};

struct Handler;

impl Guest for Handler {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        match request.get_path_with_query().as_deref() {
            Some("/refuse") => Err(ErrorCode::InternalError(Some("no".to_string()))),
            Some("/") => Ok(answer(Fields::new(), Vec::new(), Fields::new())),
            Some("/echo?x=1") => Ok(echo(request).await),
            other => panic!("no such path: {other:?}"),
        }
    }
}

async fn echo(request: Request) -> Response {
    assert!(matches!(request.get_method(), Method::Post));
    assert!(matches!(request.get_scheme(), Some(Scheme::Http)));
    assert!(request.get_authority().is_some_and(|authority| authority.contains(':')));
    assert!(request.get_options().is_none());
    let headers = request.get_headers();
    assert_eq!(headers.get("x-probe"), [b"1".to_vec()]);
    assert!(matches!(headers.append("x-more", b"1"), Err(HeaderError::Immutable)));
    drop(headers);
    let (_done, done) = wit_future::new(|| Ok(()));
    let (data, end) = Request::consume_body(request, done);
    let text = data.collect().await;
    assert!(end.await.expect("a whole body").is_none());

    let headers = Fields::new();
    headers.append("x-answer", b"yes").expect("a header");
    headers.append("trailer", b"x-sum").expect("a header");
    let trailers = Fields::new();
    trailers.append("x-sum", text.len().to_string().as_bytes()).expect("a trailer");
    let response = answer(headers, [b"pong: ", &text[..]].concat(), trailers);
    assert_eq!(response.get_status_code(), 200);
    response.set_status_code(201).expect("a status");
    assert!(response.set_status_code(9_999).is_err());
    assert_eq!(response.get_status_code(), 201);
    assert_eq!(response.get_headers().get("x-answer"), [b"yes".to_vec()]);
    response
}

/// A response whose body and trailers are given after it was returned.
fn answer(headers: Fields, text: Vec<u8>, trailers: Trailers) -> Response {
    let (mut data, stream) = wit_stream::new();
    let (ending, end) = wit_future::new(|| Ok(None));
    spawn_local(async move {
        data.write_all(text).await;
        drop(data);
        let _ = ending.write(Ok(Some(trailers))).await;
    });
    Response::new(headers, Some(stream), end).0
}

wasip3::http::service::export!(Handler);
