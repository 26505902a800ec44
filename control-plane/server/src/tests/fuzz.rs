//! Outside input at random: bodies, patches, selectors, tokens, query parameters and watches. Whatever comes, the
//! answer is no 5xx and no panic, and a refusal has stored nothing.
//!
//! Every run takes the same path through the same seed; `SAMPAN_FUZZ_SEED` and `SAMPAN_FUZZ_ROUNDS` take others.

mod objects;
mod requests;

use axum::body::Body;
use http::Request;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use sampan_api::resource::{Resource, resources};
use serde_json::Value;

use super::{Answer, Client, Cluster};

/// What one test sends when nobody asks for more.
const ROUNDS: usize = 1500;

fn number(name: &str, default: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// A server, and the dice.
struct Game {
    cluster: Cluster,
    admin: Client,
    dice: StdRng,
    rounds: usize,
}

impl Game {
    async fn start() -> Game {
        let cluster = Cluster::with_account().await;
        let seed = number("SAMPAN_FUZZ_SEED", 7);
        Game {
            admin: cluster.admin(),
            dice: StdRng::seed_from_u64(seed as u64),
            rounds: number("SAMPAN_FUZZ_ROUNDS", ROUNDS),
            cluster,
        }
    }

    fn revision(&self) -> u64 {
        self.cluster.server.api().store.current_revision().0
    }

    /// A stored kind; the namespace of namespaced ones is `default`.
    fn row(&mut self) -> &'static Resource {
        let stored: Vec<&'static Resource> = resources()
            .iter()
            .filter(|row| row.verbs.contains(&"create") && row.verbs.contains(&"get"))
            .collect();
        stored.choose(&mut self.dice).expect("kinds are served")
    }
}

fn collection(row: &Resource) -> String {
    let group = match row.group {
        "" => format!("/api/{}", row.version),
        group => format!("/apis/{group}/{}", row.version),
    };
    match row.namespaced {
        true => format!("{group}/namespaces/default/{}", row.plural),
        false => format!("{group}/{}", row.plural),
    }
}

/// What every answer must be.
#[track_caller]
fn check(answer: &Answer, what: &str) {
    let code = answer.status.as_u16();
    // 501: streams that are absent; 504: a revision of the future.
    assert!(
        code < 500 || matches!(code, 501 | 504),
        "{what}: {code} {}",
        String::from_utf8_lossy(&answer.bytes)
    );
    if code < 400 {
        return;
    }
    // A refusal comes in the format asked for.
    let status: Value = match answer.header("content-type") {
        "application/yaml" => {
            serde_saphyr::from_str(&String::from_utf8_lossy(&answer.bytes)).unwrap_or_default()
        }
        "application/vnd.kubernetes.protobuf" => sampan_api::protobuf::decode(&answer.bytes)
            .map(|(_, value)| value)
            .unwrap_or_default(),
        _ => serde_json::from_slice(&answer.bytes).unwrap_or_default(),
    };
    assert_eq!(
        (&status["kind"], &status["code"]),
        (&"Status".into(), &code.into()),
        "{what}: {}",
        String::from_utf8_lossy(&answer.bytes)
    );
}

#[tokio::test]
async fn bodies_in_every_encoding() {
    let mut game = Game::start().await;
    for round in 0..game.rounds {
        let row = game.row();
        let mut value = objects::object(&mut game.dice, row);
        if game.dice.random_bool(0.6) {
            objects::damage(&mut game.dice, &mut value);
        }
        let (media, body) = objects::encode(&mut game.dice, &value);
        let before = game.revision();
        let what = format!("round {round}: {} {media} {value}", row.kind);
        let answer = game
            .admin
            .send("POST", &collection(row), &[("content-type", media)], body)
            .await;
        check(&answer, &what);
        if !answer.status.is_success() {
            assert_eq!(
                game.revision(),
                before,
                "{what}: refused, and yet something was written"
            );
            continue;
        }
        // What was answered is what is there, whole.
        let created = answer.json();
        let name = created["metadata"]["name"].as_str().unwrap_or_default();
        let path = format!("{}/{name}", collection(row));
        let read = game.admin.get(&path).await;
        assert_eq!(read.expect(200), created, "{what}");
        // An object is a valid replacement of itself, and changes nothing.
        let again = game.admin.put(&path, &created).await;
        assert_eq!(again.expect(200), created, "{what}");
        let gone = game
            .admin
            .delete(&format!("{path}?gracePeriodSeconds=0"))
            .await;
        check(&gone, &what);
    }
}

#[tokio::test]
async fn patches_of_every_type() {
    let mut game = Game::start().await;
    for round in 0..game.rounds {
        let row = game.row();
        let value = objects::object(&mut game.dice, row);
        let created = game.admin.post(&collection(row), &value).await;
        check(&created, &format!("round {round}: {} {value}", row.kind));
        if !created.status.is_success() {
            continue;
        }
        let created = created.json();
        let name = created["metadata"]["name"].as_str().unwrap_or_default();
        let path = format!("{}/{name}", collection(row));
        for _ in 0..3 {
            let (media, patch) = requests::patch(&mut game.dice, row, &created);
            let query = requests::write_query(&mut game.dice);
            let before = game.revision();
            let what = format!(
                "round {round}: {} {media} {query} {patch} on {created}",
                row.kind
            );
            let answer = game
                .admin
                .send(
                    "PATCH",
                    &format!("{path}?{query}"),
                    &[("content-type", media)],
                    patch,
                )
                .await;
            check(&answer, &what);
            if !answer.status.is_success() {
                assert_eq!(
                    game.revision(),
                    before,
                    "{what}: refused, and yet something was written"
                );
            }
        }
        let gone = game
            .admin
            .delete(&format!("{path}?gracePeriodSeconds=0"))
            .await;
        check(&gone, "cleaning up");
    }
}

#[tokio::test]
async fn selectors_tokens_and_parameters() {
    let mut game = Game::start().await;
    for name in ["a", "b", "c", "d"] {
        game.admin
            .create(super::CONFIGMAPS, super::configmap(name))
            .await;
    }
    let page = game
        .admin
        .get(&format!("{}?limit=1", super::CONFIGMAPS))
        .await
        .expect(200);
    let token = page["metadata"]["continue"]
        .as_str()
        .expect("goes on")
        .to_owned();
    for round in 0..game.rounds {
        let row = game.row();
        let query = requests::read_query(&mut game.dice, &token);
        let accept = requests::accept(&mut game.dice);
        let path = format!("{}?{query}", collection(row));
        let answer = game
            .admin
            .send("GET", &path, &[("accept", accept)], Body::empty())
            .await;
        check(&answer, &format!("round {round}: {accept} {path}"));
    }
}

#[tokio::test]
async fn watches() {
    let mut game = Game::start().await;
    for round in 0..game.rounds {
        let row = game.row();
        let query = requests::watch_query(&mut game.dice);
        let path = format!("{}?{query}", collection(row));
        let request = Request::get(&path)
            .header("accept", requests::accept(&mut game.dice))
            .body(Body::empty())
            .expect("a request");
        // Only its beginning: a watch has no end, and letting go of it ends it.
        let response = game.admin.raw(request).await;
        let code = response.status().as_u16();
        assert!(code < 500 || code == 504, "round {round}: {path}: {code}");
    }
}

#[tokio::test]
async fn paths_and_methods() {
    let mut game = Game::start().await;
    for round in 0..game.rounds {
        let (method, path) = requests::line(&mut game.dice);
        let request = Request::builder()
            .method(method)
            .uri(&path)
            .body(Body::empty());
        let Ok(request) = request else { continue };
        let response = game.admin.raw(request).await;
        let code = response.status().as_u16();
        assert!(
            code < 500 || matches!(code, 501 | 504),
            "round {round}: {method} {path}: {code}"
        );
    }
}
