//! Interfaces beyond WASI proper: refused unless given, and what guests see of them.

use crate::support::{Bench, Collected};
use parking_lot::Mutex;
use sampan_engine::{
    Capability, ContainerSpec, Exit, KeyPage, KeyValueBucket, KeyValueError, KeyValuePair,
    KeyValueStore, Settings, StartError,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Buckets in memory: "full" takes nothing, "locked" lets nobody in, others do not exist, but "default".
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<BTreeMap<String, KeyValuePair>>>);

struct Bucket {
    pairs: Memory,
    full: bool,
}

#[async_trait::async_trait]
impl KeyValueStore for Memory {
    async fn open(&self, identifier: &str) -> Result<Arc<dyn KeyValueBucket>, KeyValueError> {
        let pairs = self.clone();
        match identifier {
            "locked" => Err(KeyValueError::AccessDenied),
            "full" => Ok(Arc::new(Bucket { pairs, full: true })),
            "default" => Ok(Arc::new(Bucket { pairs, full: false })),
            _ => Err(KeyValueError::NoSuchStore),
        }
    }
}

#[async_trait::async_trait]
impl KeyValueBucket for Bucket {
    async fn get(&self, keys: Vec<String>) -> Result<Vec<Option<KeyValuePair>>, KeyValueError> {
        // A store that takes its time: the guest waits, nobody else does.
        tokio::task::yield_now().await;
        let pairs = self.pairs.0.lock();
        Ok(keys.iter().map(|key| pairs.get(key).cloned()).collect())
    }

    async fn exists(&self, key: String) -> Result<bool, KeyValueError> {
        Ok(self.pairs.0.lock().contains_key(&key))
    }

    async fn keys(&self, _cursor: Option<u64>) -> Result<KeyPage, KeyValueError> {
        Ok(KeyPage {
            keys: self.pairs.0.lock().keys().cloned().collect(),
            next: None,
        })
    }

    async fn set(&self, new: Vec<(String, Vec<u8>)>) -> Result<(), KeyValueError> {
        if self.full {
            return Err(KeyValueError::Other("no room".into()));
        }
        let mut pairs = self.pairs.0.lock();
        for (key, value) in new {
            let version = pairs.get(&key).map_or(1, |pair| pair.version + 1);
            pairs.insert(key, KeyValuePair { value, version });
        }
        Ok(())
    }

    async fn delete(&self, keys: Vec<String>) -> Result<(), KeyValueError> {
        self.pairs.0.lock().retain(|key, _| !keys.contains(key));
        Ok(())
    }

    async fn increment(&self, key: String, delta: i64) -> Result<i64, KeyValueError> {
        let found = self.get(vec![key.clone()]).await?.remove(0);
        let text = found.map_or_else(|| "0".into(), |pair| String::from_utf8(pair.value).unwrap());
        let sum = text.parse::<i64>().unwrap() + delta;
        self.set(vec![(key, sum.to_string().into())]).await?;
        Ok(sum)
    }

    async fn swap(
        &self,
        key: String,
        expected: Option<u64>,
        value: Vec<u8>,
    ) -> Result<bool, KeyValueError> {
        let found = self.get(vec![key.clone()]).await?.remove(0);
        let same = found.map(|pair| pair.version) == expected;
        if same {
            self.set(vec![(key, value)]).await?;
        }
        Ok(same)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_given_is_refused_before_anything_runs() {
    let bench = Bench::new();
    for (guest, capability, import) in [
        (
            "host-config",
            Capability::Config,
            "wasi:config/store@0.2.0-rc.1",
        ),
        (
            "host-logging",
            Capability::Logging,
            "wasi:logging/logging@0.1.0-draft",
        ),
        (
            "keyvalue",
            Capability::KeyValue,
            "wasi:keyvalue/store@0.2.0-draft",
        ),
        (
            "keyvalue-swap",
            Capability::KeyValue,
            "wasi:keyvalue/store@0.2.0-draft2",
        ),
    ] {
        let module = bench.load(guest).await;
        assert!(module.capabilities().contains(&capability));
        let spec = ContainerSpec::new(guest, Collected::new(), Collected::new());
        let error = bench.engine.start(&module, spec).await.unwrap_err();
        let StartError::NotGiven {
            import: named,
            capability: missing,
        } = error
        else {
            panic!("{guest}: {error:?}")
        };
        assert_eq!((named.as_str(), missing), (import, capability));
    }
    assert_eq!(bench.engine.stats().instances, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_what_the_specification_says() {
    let bench = Bench::new();
    let run = async |args: &[&str]| {
        let (exit, stdout, _) = bench
            .run_with("host-config", args, |spec| {
                let pairs = [("b", "1"), ("a", "é"), ("b", "2")];
                let pairs = pairs.map(|(k, v)| (k.to_owned(), v.to_owned()));
                spec.host.config = Some(pairs.into_iter().collect::<Settings>());
                spec.env = vec![("secret".into(), "not a setting".into())];
            })
            .await;
        assert_eq!(exit, Exit::Code(0));
        stdout
    };
    assert_eq!(run(&["a"]).await, "é\n");
    assert_eq!(run(&["b"]).await, "2\n");
    assert_eq!(run(&["secret"]).await, "none\n");
    let all = run(&[]).await;
    let mut all: Vec<&str> = all.lines().collect();
    all.sort_unstable();
    assert_eq!(all, ["a=é", "b=2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn log_lines_go_to_standard_error() {
    let bench = Bench::new();
    let long = "x".repeat(40_000);
    for (message, shown) in [("two\nlines", "two\\nlines"), (&long, &long[..15 << 10])] {
        let (exit, stdout, stderr) = bench
            .run_with("host-logging", &["start", message], |spec| {
                spec.host.logging = true;
            })
            .await;
        assert_eq!((exit, stdout.as_str()), (Exit::Code(0), ""));
        let levels = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "CRITICAL"];
        let expected: String = levels
            .iter()
            .map(|level| format!("{level} start: {shown}\n"))
            .collect();
        assert_eq!(stderr, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_are_read_and_written() {
    let bench = Bench::new();
    let memory = Memory::default();
    let run = async |args: &[&str]| {
        let store = memory.clone();
        let (exit, stdout, _) = bench
            .run_with("keyvalue", args, |spec| {
                spec.host.keyvalue = Some(Arc::new(store));
            })
            .await;
        (exit, stdout)
    };
    for (args, code, printed) in [
        (&["g", "default", "k"][..], 0, "none\n"),
        (&["s", "default", "k", "value"], 0, ""),
        (&["g", "default", "k"], 0, "value\n"),
        (&["i", "default", "n"], 0, "1\n"),
        (&["i", "default", "n"], 0, "2\n"),
        (&["l", "default"], 0, "k\nn\n"),
        (&["d", "default", "k"], 0, ""),
        (&["l", "default"], 0, "n\n"),
        (&["s", "full", "k", "value"], 1, "no room\n"),
        (&["g", "locked", "k"], 1, "access-denied\n"),
        (&["g", "other", "k"], 1, "no-such-store\n"),
    ] {
        assert_eq!(
            run(args).await,
            (Exit::Code(code), printed.to_owned()),
            "{args:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_that_came_too_late_is_told_so() {
    let bench = Bench::new();
    let run = async |bucket: &str| {
        bench
            .run_with("keyvalue-swap", &[bucket], |spec| {
                spec.host.keyvalue = Some(Arc::new(Memory::default()));
            })
            .await
    };
    let (exit, stdout, stderr) = run("default").await;
    assert_eq!((exit, stdout.as_str()), (Exit::Code(0), "d"), "{stderr}");
    let (exit, stdout, _) = run("other").await;
    assert_eq!((exit, stdout.as_str()), (Exit::Code(1), "no-such-store\n"));
}
