//! What guests may put into the file, and how the texts of keys are checked.

use crate::KeyValueError;

/// Bounds of one file.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a key, which is not empty either.
    pub key_bytes: usize,
    /// Bytes of a value.
    pub value_bytes: usize,
    /// Pairs or keys of one call.
    pub call_items: usize,
    /// Bytes of keys and values in one call or one answer.
    pub call_bytes: usize,
    /// Keys of one page of a list.
    pub page_keys: usize,
    /// Keys of one bucket.
    pub bucket_keys: i64,
    /// Buckets of one namespace.
    pub namespace_buckets: usize,
    /// Bytes of keys and values of one namespace.
    pub namespace_bytes: i64,
    /// Bytes of the whole file.
    pub file_bytes: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            key_bytes: 1 << 10,
            value_bytes: 1 << 20,
            call_items: 1_000,
            call_bytes: 8 << 20,
            page_keys: 1_000,
            bucket_keys: 100_000,
            namespace_buckets: 64,
            namespace_bytes: 256 << 20,
            file_bytes: 4 << 30,
        }
    }
}

impl Limits {
    pub(crate) fn check_key(&self, key: &str) -> Result<(), KeyValueError> {
        match key.len() {
            0 => Err(KeyValueError::EmptyKey),
            bytes if bytes > self.key_bytes => Err(KeyValueError::KeyTooLong {
                bytes,
                limit: self.key_bytes,
            }),
            _ => Ok(()),
        }
    }

    pub(crate) fn check_keys(&self, keys: &[String]) -> Result<(), KeyValueError> {
        self.check_count(keys.len())?;
        keys.iter().try_for_each(|key| self.check_key(key))
    }

    pub(crate) fn check_pairs(&self, pairs: &[(String, Vec<u8>)]) -> Result<(), KeyValueError> {
        self.check_count(pairs.len())?;
        let mut bytes = 0_usize;
        for (key, value) in pairs {
            self.check_key(key)?;
            self.check_value(value)?;
            bytes += key.len() + value.len();
        }
        self.check_bytes(bytes)
    }

    pub(crate) fn check_value(&self, value: &[u8]) -> Result<(), KeyValueError> {
        match value.len() <= self.value_bytes {
            true => Ok(()),
            false => Err(KeyValueError::ValueTooLarge {
                bytes: value.len(),
                limit: self.value_bytes,
            }),
        }
    }

    pub(crate) fn check_bytes(&self, bytes: usize) -> Result<(), KeyValueError> {
        match bytes <= self.call_bytes {
            true => Ok(()),
            false => Err(KeyValueError::CallTooLarge {
                limit: self.call_bytes,
            }),
        }
    }

    fn check_count(&self, count: usize) -> Result<(), KeyValueError> {
        match count <= self.call_items {
            true => Ok(()),
            false => Err(KeyValueError::TooManyItems {
                count,
                limit: self.call_items,
            }),
        }
    }
}
