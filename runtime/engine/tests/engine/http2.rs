//! HTTP/2 with prior knowledge, spoken frame by frame: what a client may leave lying, and for how long.

use crate::support::{Bench, Running, listen_locally, soon, until};
use sampan_engine::HttpLimits;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;

const ACK: u8 = 1;

/// End of the head, and of the request.
const WHOLE: u8 = 5;

async fn handler(bench: &Bench, change: impl FnOnce(&mut HttpLimits)) -> Running {
    let listening = |spec: &mut sampan_engine::ContainerSpec| {
        listen_locally(spec);
        change(&mut spec.http);
    };
    bench.start_with("http-handler", &[], listening).await
}

/// A frame.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream];
    frame.extend(payload);
    frame
}

/// GET / of x: three headers of the static table and a literal one.
fn get(stream: u8) -> Vec<u8> {
    frame(HEADERS, WHOLE, stream, &[0x82, 0x84, 0x86, 0x41, 1, b'x'])
}

/// A connection that has sent its preface, with these settings.
async fn connect(handler: &Running, settings: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(handler.addr()).await.unwrap();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let hello = [preface, frame(SETTINGS, 0, 0, settings)].concat();
    stream.write_all(&hello).await.unwrap();
    stream
}

/// The next frame: kind, flags, content. `None` at the connection's end.
async fn next(stream: &mut TcpStream) -> Option<(u8, u8, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await.ok()?;
    Some((head[3], head[4], payload))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_closed_though_it_answers_pings() {
    let bench = Bench::new();
    let handler = handler(&bench, |http| {
        http.header_timeout = Duration::from_millis(200)
    })
    .await;
    let mut stream = connect(&handler, &[]).await;
    stream.write_all(&get(1)).await.unwrap();
    let mut body = Vec::new();
    let polite = async {
        while let Some((kind, flags, payload)) = next(&mut stream).await {
            let answer = match (kind, flags) {
                (DATA, _) => {
                    body.extend(payload);
                    continue;
                }
                (SETTINGS, 0) => frame(SETTINGS, ACK, 0, &[]),
                (PING, 0) => frame(PING, ACK, 0, &payload),
                _ => continue,
            };
            // Closed meanwhile: the next read says so.
            let _gone = stream.write_all(&answer).await;
        }
    };
    soon(polite).await;
    assert_eq!(body, b"hello\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_send_little_that_nobody_reads() {
    const MAX_CONCURRENT_STREAMS: u16 = 3;
    const INITIAL_WINDOW_SIZE: u16 = 4;
    let bench = Bench::new();
    let handler = handler(&bench, |_| {}).await;
    let mut stream = connect(&handler, &[]).await;
    let (mut streams, mut each) = (u32::MAX, 65_535);
    // What a connection has without a word.
    let mut all = 65_535;
    stream.write_all(&get(1)).await.unwrap();
    loop {
        let (kind, _, payload) = soon(next(&mut stream)).await.unwrap();
        let number = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
        match kind {
            SETTINGS => {
                for (at, pair) in payload.chunks(6).enumerate() {
                    match u16::from_be_bytes([pair[0], pair[1]]) {
                        MAX_CONCURRENT_STREAMS => streams = number(6 * at + 2),
                        INITIAL_WINDOW_SIZE => each = number(6 * at + 2),
                        _ => {}
                    }
                }
            }
            WINDOW_UPDATE => all += number(0),
            // Whatever it allows it has said before it answers.
            DATA => break,
            _ => {}
        }
    }
    assert!(streams <= 32, "{streams} requests");
    assert!(each <= 16 << 10, "{each} bytes of one");
    // As many as all of them may send: those nobody reads keep no others from coming.
    assert_eq!(all, streams * each, "bytes of all");
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_that_wait_for_their_client_are_memory() {
    const NO_WINDOW: [u8; 6] = [0, 4, 0, 0, 0, 0];
    const REQUESTS: u8 = 16;
    // One of WASI 0.3 carries its response until that is read, and has 128 KiB of its own.
    for (guest, instances) in [("http-handler", 0), ("p3-http-handler", REQUESTS)] {
        let bench = Bench::new();
        let handler = bench.start_with(guest, &[], listen_locally).await;
        let mut stream = connect(&handler, &NO_WINDOW).await;
        for number in 0..REQUESTS {
            stream.write_all(&get(2 * number + 1)).await.unwrap();
        }
        let waiting = u64::from(REQUESTS + instances) * (128 << 10);
        until(|| {
            let stats = handler.container.stats();
            bench.engine.stats().instances == usize::from(instances)
                && stats.memory_bytes >= waiting
        })
        .await;
        drop(stream);
        until(|| handler.container.stats().memory_bytes == 0).await;
        handler.is_healthy().await;
    }
}
