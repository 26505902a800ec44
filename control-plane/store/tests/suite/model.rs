//! Random operations against one sequential model, with three watchers that come along through restarts.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use sampan_store::{
    Durability, EventKind, Expect, Key, Op, Prefix, RangeError, RangeRequest, Revision,
    SqliteStore, Store, StoreConfig, TxnError, Watch, WatchError,
};

use crate::support::*;

#[derive(Clone, Debug)]
enum Step {
    Put {
        key: usize,
        expect: Guess,
        durability: Durability,
        text: String,
    },
    Delete {
        key: usize,
        expect: Guess,
    },
    /// Several writes at once, so that they share a batch.
    Burst {
        keys: Vec<usize>,
        durability: Durability,
    },
    List {
        prefix: usize,
        limit: usize,
        back: u64,
    },
    Compact {
        back: u64,
    },
    Watch {
        watcher: usize,
    },
    Reopen,
}

/// How the expected revision relates to the truth.
#[derive(Clone, Copy, Debug)]
enum Guess {
    Any,
    Absent,
    Right,
    Stale,
}

fn keys() -> Vec<Key> {
    let paths = ["a/x", "a/y", "a-b/x", "b/x"];
    let pods = paths.iter().map(|path| pod(path));
    pods.chain(
        ["a/x", "n1", "n10"]
            .iter()
            .map(|path| Key::new("leases", path)),
    )
    .collect()
}

fn prefixes() -> Vec<Prefix> {
    vec![
        Prefix::bucket("pods"),
        Prefix::within("pods", "a/"),
        Prefix::bucket("leases"),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..keys().len();
    let guess = prop_oneof![
        4 => Just(Guess::Any), 2 => Just(Guess::Absent), 3 => Just(Guess::Right), 1 => Just(Guess::Stale),
    ];
    let durability = prop_oneof![2 => Just(Durability::Durable), 1 => Just(Durability::Lazy)];
    prop_oneof![
        10 => (key.clone(), guess.clone(), durability.clone(), "[a-z]{0,12}")
            .prop_map(|(key, expect, durability, text)| Step::Put { key, expect, durability, text }),
        5 => (key.clone(), guess).prop_map(|(key, expect)| Step::Delete { key, expect }),
        2 => (prop::collection::vec(key, 1..12), durability)
            .prop_map(|(keys, durability)| Step::Burst { keys, durability }),
        4 => (0..3usize, 1..5usize, 0..12u64)
            .prop_map(|(prefix, limit, back)| Step::List { prefix, limit, back }),
        1 => (0..12u64).prop_map(|back| Step::Compact { back }),
        5 => (0..3usize).prop_map(|watcher| Step::Watch { watcher }),
        1 => Just(Step::Reopen),
    ]
}

/// The state at a revision: text, create revision and revision of each key.
type State = BTreeMap<Key, (String, Revision, Revision)>;

/// Every state there ever was.
struct Model {
    states: Vec<State>,
}

impl Model {
    fn revision(&self) -> Revision {
        Revision(self.states.len() as u64 - 1)
    }

    fn now(&self) -> &State {
        self.states.last().unwrap()
    }

    fn at(&self, revision: Revision) -> &State {
        &self.states[revision.0 as usize]
    }

    fn expect(&self, key: &Key, guess: Guess) -> Expect {
        let current = self
            .now()
            .get(key)
            .map_or(Revision(0), |(_, _, revision)| *revision);
        match guess {
            Guess::Any => Expect::Any,
            Guess::Absent => Expect::Absent,
            Guess::Right => Expect::Revision(current),
            Guess::Stale => Expect::Revision(Revision(current.0 + 1)),
        }
    }

    /// What the write should do: the new revision, or the revision in the way.
    fn apply(
        &mut self,
        key: &Key,
        expect: Expect,
        text: Option<&str>,
    ) -> Result<Revision, Option<Revision>> {
        let current = self.now().get(key).cloned();
        let found = current.as_ref().map(|(_, _, revision)| *revision);
        let holds = match expect {
            Expect::Any => true,
            Expect::Absent => found.is_none(),
            Expect::Revision(revision) => found == Some(revision),
        };
        if !holds || (text.is_none() && found.is_none()) {
            return Err(found);
        }
        let revision = Revision(self.revision().0 + 1);
        let mut next = self.now().clone();
        match text {
            Some(text) => {
                let created = current.map_or(revision, |(_, created, _)| created);
                next.insert(key.clone(), (text.to_owned(), created, revision));
            }
            None => _ = next.remove(key),
        }
        self.states.push(next);
        Ok(revision)
    }
}

/// A watcher and the state it has built from its events.
struct Watcher {
    prefix: Prefix,
    watch: Option<Watch<Text>>,
    state: State,
    revision: Revision,
}

impl Watcher {
    /// Reads everything there is and checks each event against the model.
    async fn catch_up(&mut self, store: &TextStore, model: &Model) {
        if self.watch.is_none() {
            match store.watch(self.prefix.clone(), self.revision).await {
                Ok(watch) => self.watch = Some(watch),
                Err(WatchError::Compacted { compacted }) => {
                    assert!(self.revision < compacted && compacted <= model.revision());
                    return self.list_again(store, model).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
        loop {
            let watch = self.watch.as_mut().unwrap();
            match futures::future::FutureExt::now_or_never(watch.next()) {
                None => break,
                Some(Ok(events)) => {
                    assert!(!events.is_empty());
                    for event in events {
                        self.apply(&event, model);
                    }
                }
                Some(Err(WatchError::Compacted { .. })) => {
                    self.watch = None;
                    return self.list_again(store, model).await;
                }
                Some(Err(error)) => panic!("{error}"),
            }
        }
        self.revision = self.watch.as_ref().unwrap().revision();
        assert_eq!(self.revision, model.revision(), "it has caught up");
        assert_eq!(
            &self.state,
            &matching(model.now(), &self.prefix),
            "events replay to the list"
        );
    }

    fn apply(&mut self, event: &sampan_store::Event<Text>, model: &Model) {
        assert!(event.revision > self.revision, "in order");
        let key = &event.entry.key;
        assert!(self.prefix.matches(key));
        // Nothing that matches was skipped: just before the event the states agree.
        let before = matching(model.at(Revision(event.revision.0 - 1)), &self.prefix);
        assert_eq!(self.state, before, "no gap before {}", event.revision);
        let previous = event.previous.as_ref().map(|entry| version(entry));
        assert_eq!(
            previous.as_ref(),
            before.get(key),
            "the previous version is right"
        );
        match event.kind {
            EventKind::Put => _ = self.state.insert(key.clone(), version(&event.entry)),
            EventKind::Delete => {
                let (text, created, _) = self.state.remove(key).unwrap();
                assert_eq!(version(&event.entry), (text, created, event.revision));
            }
        }
        self.revision = event.revision;
        assert_eq!(self.state, matching(model.at(event.revision), &self.prefix));
    }

    async fn list_again(&mut self, store: &TextStore, model: &Model) {
        let page = list(&**store, self.prefix.clone()).await;
        assert_eq!(page.revision, model.revision());
        self.state = page
            .entries
            .iter()
            .map(|e| (e.key.clone(), version(e)))
            .collect();
        self.revision = page.revision;
        self.watch = Some(
            store
                .watch(self.prefix.clone(), page.revision)
                .await
                .unwrap(),
        );
    }
}

fn version(entry: &sampan_store::Entry<Text>) -> (String, Revision, Revision) {
    assert_eq!(entry.object.revision, entry.revision);
    (
        entry.object.text.clone(),
        entry.create_revision,
        entry.revision,
    )
}

fn matching(state: &State, prefix: &Prefix) -> State {
    let matches = state.iter().filter(|(key, _)| prefix.matches(key));
    matches
        .map(|(key, version)| (key.clone(), version.clone()))
        .collect()
}

async fn list_and_compare(
    store: &TextStore,
    model: &Model,
    prefix: Prefix,
    limit: usize,
    back: u64,
) {
    let at = Revision(model.revision().0.saturating_sub(back));
    let expected = matching(model.at(at), &prefix);
    let mut found = State::new();
    let mut start_after = None;
    loop {
        let request = RangeRequest {
            prefix: prefix.clone(),
            start_after: start_after.take(),
            limit: Some(limit),
            at: (back > 0).then_some(at),
            count: true,
        };
        let page = match store.range(request).await {
            Ok(page) => page,
            Err(RangeError::Compacted { compacted }) => {
                assert!(at < compacted && compacted <= model.revision());
                return;
            }
            Err(error) => panic!("{error}"),
        };
        assert_eq!(page.revision, at);
        found.extend(
            page.entries
                .iter()
                .map(|entry| (entry.key.clone(), version(entry))),
        );
        assert_eq!(page.remaining as usize, expected.len() - found.len());
        assert_eq!(page.more, page.remaining > 0);
        start_after = page.entries.last().map(|entry| entry.key.clone());
        if !page.more {
            break;
        }
    }
    assert_eq!(found, expected, "at {at}");
}

async fn reopened(folder: &Path) -> TextStore {
    let config = StoreConfig {
        // Small enough that history also ends by itself now and then.
        history_bytes: 6_000,
        checkpoint_bytes: 16 << 10,
        ..config(folder)
    };
    SqliteStore::open(config, TextCodec).await.unwrap()
}

async fn write_and_compare(
    store: &TextStore,
    model: &mut Model,
    key: &Key,
    expect: Expect,
    op: Op,
) {
    let text = match &op {
        Op::Put { value, .. } => Some(String::from_utf8(value.to_vec()).unwrap()),
        Op::Delete => None,
    };
    let expected = model.apply(key, expect, text.as_deref());
    let result = store.txn(key.clone(), expect, op).await;
    match (expected, result) {
        (Ok(revision), Ok(done)) => assert_eq!(done.revision, revision),
        (Err(found), Err(TxnError::Conflict { current })) => {
            assert_eq!(current.map(|entry| entry.revision), found);
        }
        (expected, result) => panic!("expected {expected:?}, got {result:?}"),
    }
}

async fn run(steps: Vec<Step>) {
    let folder = folder();
    let mut store = reopened(folder.path()).await;
    let mut model = Model {
        states: vec![State::new()],
    };
    let watcher = |prefix| Watcher {
        prefix,
        watch: None,
        state: State::new(),
        revision: Revision(0),
    };
    let mut watchers: Vec<Watcher> = prefixes().into_iter().map(watcher).collect();
    let keys = keys();
    for step in steps {
        match step {
            Step::Put {
                key,
                expect,
                durability,
                text,
            } => {
                let expect = model.expect(&keys[key], expect);
                let op = Op::Put {
                    value: text.into(),
                    durability,
                };
                write_and_compare(&store, &mut model, &keys[key], expect, op).await;
            }
            Step::Delete { key, expect } => {
                let expect = model.expect(&keys[key], expect);
                write_and_compare(&store, &mut model, &keys[key], expect, Op::Delete).await;
            }
            Step::Burst {
                keys: burst,
                durability,
            } => {
                // Polled in order, so they queue in order and share batches.
                let writes = burst.iter().enumerate().map(|(n, key)| {
                    let op = Op::Put {
                        value: n.to_string().into(),
                        durability,
                    };
                    store.txn(keys[*key].clone(), Expect::Any, op)
                });
                for (n, done) in futures::future::join_all(writes)
                    .await
                    .into_iter()
                    .enumerate()
                {
                    let revision = model.apply(&keys[burst[n]], Expect::Any, Some(&n.to_string()));
                    assert_eq!(done.unwrap().revision, revision.unwrap());
                }
            }
            Step::List {
                prefix,
                limit,
                back,
            } => {
                list_and_compare(&store, &model, prefixes()[prefix].clone(), limit, back).await;
            }
            Step::Compact { back } => {
                let to = Revision(model.revision().0.saturating_sub(back));
                assert!(store.compact(to).await.unwrap() >= to);
            }
            Step::Watch { watcher } => watchers[watcher].catch_up(&store, &model).await,
            Step::Reopen => {
                watchers.iter_mut().for_each(|watcher| watcher.watch = None);
                store.close().await;
                store = reopened(folder.path()).await;
                assert_eq!(store.current_revision(), model.revision());
            }
        }
        assert_eq!(store.current_revision(), model.revision());
    }
    for watcher in &mut watchers {
        watcher.catch_up(&store, &model).await;
    }
    store.close().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_like_the_model(steps in prop::collection::vec(step(), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(steps));
    }
}
