//! Keys, prefixes and revisions. The only place that knows how a key is spelled.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// A point in the store's history. Global, starts at 1 with the first write, grows with every write and is never
/// reused, not even after a crash. Gaps are allowed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `/{bucket}/{path}`. The bucket is the unit of watch history and fan-out; the path is `name` or `namespace/name`.
///
/// The spelling decides: a slash inside `bucket` simply ends the bucket there, so no input is refused.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key(Arc<str>);

impl Key {
    /// The key of `path` in `bucket`.
    pub fn new(bucket: &str, path: &str) -> Key {
        Key(join(bucket, path).into())
    }

    /// Reads a key as it is spelled in the file.
    pub(crate) fn parse(text: &str) -> Option<Key> {
        let (bucket, path) = text.strip_prefix('/')?.split_once('/')?;
        (!bucket.is_empty() && !path.is_empty()).then(|| Key(text.into()))
    }

    /// The whole key, `/{bucket}/{path}`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first segment.
    pub fn bucket(&self) -> &str {
        self.split().0
    }

    /// Everything after the bucket.
    pub fn path(&self) -> &str {
        self.split().1
    }

    fn split(&self) -> (&str, &str) {
        let rest = self.0.strip_prefix('/').unwrap_or(&self.0);
        rest.split_once('/').unwrap_or((rest, ""))
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A set of keys of one bucket that lie together in key order.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Prefix {
    text: Arc<str>,
    bucket_len: usize,
}

impl Prefix {
    /// Every key of a bucket.
    pub fn bucket(bucket: &str) -> Prefix {
        Prefix::within(bucket, "")
    }

    /// The key `path` itself and all keys below it. With a trailing slash only those below, so `default/` is a
    /// namespace and `n1` is one object; neither matches `default-2/...` or `n10`.
    pub fn within(bucket: &str, path: &str) -> Prefix {
        let bucket_len = bucket.find('/').unwrap_or(bucket.len());
        Prefix {
            text: join(bucket, path).into(),
            bucket_len,
        }
    }

    /// Whether `key` belongs to this set.
    pub fn matches(&self, key: &Key) -> bool {
        match key.as_str().strip_prefix(&*self.text) {
            Some(rest) => self.text.ends_with('/') || rest.is_empty() || rest.starts_with('/'),
            None => false,
        }
    }

    /// The bucket the keys live in.
    pub fn bucket_name(&self) -> &str {
        &self.text[1..1 + self.bucket_len]
    }

    /// Whether it covers its whole bucket.
    pub(crate) fn is_bucket(&self) -> bool {
        self.text.len() == self.bucket_len + 2
    }

    /// Whether every key between the prefix and its end matches.
    pub(crate) fn is_contiguous(&self) -> bool {
        self.text.ends_with('/')
    }

    /// A text that sorts after every key starting with the prefix, and before every other key that sorts after those.
    pub(crate) fn end(&self) -> String {
        let mut end = self.text.to_string();
        match end.strip_suffix('/') {
            // The character after the slash.
            Some(stem) => end = format!("{stem}0"),
            // No key holds a character above the last one there is, so this is after all of them.
            None => end.push(char::MAX),
        }
        end
    }

    /// The text every matching key starts with. Keys starting with it need not match: see [`Prefix::matches`].
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn join(bucket: &str, path: &str) -> String {
    let mut text = String::with_capacity(bucket.len() + path.len() + 2);
    text.push('/');
    text.push_str(bucket);
    text.push('/');
    text.push_str(path);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_parts() {
        let key = Key::new("pods", "default/web-0");
        assert_eq!(
            (key.as_str(), key.bucket(), key.path()),
            ("/pods/default/web-0", "pods", "default/web-0")
        );
        assert_eq!(Key::parse("/pods/default/web-0"), Some(key));
        for bad in ["", "/", "pods/a", "/pods", "/pods/", "//a"] {
            assert_eq!(Key::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn prefix_ends_at_a_segment() {
        let cases = [
            (Prefix::bucket("foo"), Key::new("foo", "a"), true),
            (Prefix::bucket("foo"), Key::new("foobar", "a"), false),
            (
                Prefix::within("pods", "default/"),
                Key::new("pods", "default/a"),
                true,
            ),
            (
                Prefix::within("pods", "default/"),
                Key::new("pods", "default-2/a"),
                false,
            ),
            (
                Prefix::within("pods", "default"),
                Key::new("pods", "default/a"),
                true,
            ),
            (
                Prefix::within("pods", "default"),
                Key::new("pods", "default-2/a"),
                false,
            ),
            (Prefix::within("nodes", "n1"), Key::new("nodes", "n1"), true),
            (
                Prefix::within("nodes", "n1"),
                Key::new("nodes", "n10"),
                false,
            ),
        ];
        for (prefix, key, expected) in cases {
            assert_eq!(prefix.matches(&key), expected, "{prefix:?} {key}");
        }
        assert_eq!(Prefix::within("pods", "default/").bucket_name(), "pods");
    }

    #[test]
    fn prefix_end_is_after_its_keys() {
        for (prefix, inside, outside) in [
            (Prefix::bucket("pods"), "/pods/\u{ffff}", "/pods0"),
            (Prefix::within("pods", "a/"), "/pods/a/zz", "/pods/a0"),
            (Prefix::within("pods", "a"), "/pods/a/zz", "/pods/b"),
        ] {
            let end = prefix.end();
            assert!(
                prefix.as_str() < inside && *inside < *end && *end <= *outside,
                "{prefix:?}"
            );
        }
        assert!(Prefix::bucket("pods").is_bucket() && !Prefix::within("pods", "a/").is_bucket());
    }

    #[test]
    fn odd_buckets_stay_consistent() {
        let key = Key::new("a/b", "c");
        assert_eq!(key, Key::new("a", "b/c"));
        assert_eq!(Prefix::bucket("a/b").bucket_name(), "a");
        assert!(Prefix::bucket("a/b").matches(&key));
        assert_eq!(Prefix::bucket("").bucket_name(), "");
    }
}
