//! Point reads and lists are served from two structures: they must never differ.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sampan_store::{Expect, Key, Op, Prefix, Store};

use crate::support::*;

const BUCKETS: [&str; 3] = ["pods", "leases", "pods2"];
const KEYS: u32 = 300;

fn key(n: u32) -> Key {
    let bucket = BUCKETS[(n % 3) as usize];
    Key::new(bucket, &format!("default/{n}"))
}

#[tokio::test]
async fn a_get_answers_what_a_list_shows() {
    let seed = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let folder = folder();
    for _ in 0..4 {
        let store = open(folder.path()).await;
        compare(&store).await;
        // More and fewer keys in turn, each round with some of a key's writes in one batch.
        for round in 0..12 {
            let deletes = if round % 4 < 2 { 0.2 } else { 0.8 };
            let writes = (0..200).map(|_| {
                let key = key(random.random_range(0..KEYS));
                let op = match random.random_bool(deletes) {
                    true => Op::Delete,
                    false if random.random_bool(0.5) => put(&format!("{}", random.random::<u32>())),
                    false => lazy(&format!("{}", random.random::<u32>())),
                };
                store.txn(key, Expect::Any, op)
            });
            for outcome in futures::future::join_all(writes).await {
                // A delete of what is not there.
                if outcome.is_err() {
                    conflict(outcome);
                }
            }
            compare(&store).await;
        }
        store.close().await;
    }
}

async fn compare(store: &TextStore) {
    let mut listed = BTreeMap::new();
    for bucket in BUCKETS {
        let page = list(&**store, Prefix::bucket(bucket)).await;
        listed.extend(
            page.entries
                .into_iter()
                .map(|entry| (entry.key.clone(), entry)),
        );
    }
    for n in 0..KEYS {
        let key = key(n);
        let (got, listed) = (store.get(&key).await.unwrap(), listed.remove(&key));
        match (&got, &listed) {
            (Some(got), Some(listed)) if Arc::ptr_eq(got, listed) => {}
            (None, None) => {}
            _ => panic!("{key}: a get answers {got:?}, a list {listed:?}"),
        }
    }
    assert!(listed.is_empty(), "{listed:?}");
}
