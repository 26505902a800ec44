//! `wasi:keyvalue@0.2.0-draft`: numeric cursors, unsigned counters, no compare and swap.

use super::{Bucket, Failure, GetKeyValue, HasKeyValue, KeyValue, KeyValueError};
use crate::state::ComponentState;
use bindings::wasi::keyvalue::store::KeyResponse;
use bindings::wasi::keyvalue::{atomics, batch, store};
use wasmtime::component::{Linker, Resource};

mod bindings {
    wasmtime::component::bindgen!({
        path: "wit/keyvalue-draft",
        world: "wasi:keyvalue/imports",
        imports: { default: async | trappable },
        with: { "wasi:keyvalue/store.bucket": crate::host::keyvalue::Bucket },
        trappable_error_type: { "wasi:keyvalue/store.error" => crate::host::keyvalue::Failure },
    });
}

pub(super) fn add_to_linker(
    linker: &mut Linker<ComponentState>,
    get: GetKeyValue,
) -> wasmtime::Result<()> {
    store::add_to_linker::<ComponentState, HasKeyValue>(linker, get)?;
    atomics::add_to_linker::<ComponentState, HasKeyValue>(linker, get)?;
    batch::add_to_linker::<ComponentState, HasKeyValue>(linker, get)
}

impl store::Host for KeyValue<'_> {
    async fn open(&mut self, identifier: String) -> Result<Resource<Bucket>, Failure> {
        self.open_bucket(&identifier).await
    }

    fn convert_error(&mut self, failure: Failure) -> wasmtime::Result<store::Error> {
        Ok(match failure {
            Failure::Told(KeyValueError::NoSuchStore) => store::Error::NoSuchStore,
            Failure::Told(KeyValueError::AccessDenied) => store::Error::AccessDenied,
            Failure::Told(KeyValueError::Other(text)) => store::Error::Other(text),
            Failure::Trap(error) => return Err(error),
        })
    }
}

impl store::HostBucket for KeyValue<'_> {
    async fn get(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> Result<Option<Vec<u8>>, Failure> {
        self.get_one(&bucket, key).await
    }

    async fn set(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
    ) -> Result<(), Failure> {
        Ok(self.bucket(&bucket)?.set(vec![(key, value)]).await?)
    }

    async fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> Result<(), Failure> {
        Ok(self.bucket(&bucket)?.delete(vec![key]).await?)
    }

    async fn exists(&mut self, bucket: Resource<Bucket>, key: String) -> Result<bool, Failure> {
        Ok(self.bucket(&bucket)?.exists(key).await?)
    }

    async fn list_keys(
        &mut self,
        bucket: Resource<Bucket>,
        cursor: Option<u64>,
    ) -> Result<KeyResponse, Failure> {
        let page = self.bucket(&bucket)?.keys(cursor).await?;
        Ok(KeyResponse {
            keys: page.keys,
            cursor: page.next,
        })
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.drop_bucket(bucket)
    }
}

impl atomics::Host for KeyValue<'_> {
    async fn increment(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        delta: u64,
    ) -> Result<u64, Failure> {
        // Numbers end at the largest signed one, so that both drafts can read them.
        let too_large = |_| KeyValueError::Other("the number would be too large".to_owned());
        let delta = i64::try_from(delta).map_err(too_large)?;
        let sum = self.bucket(&bucket)?.increment(key, delta).await?;
        let negative = |_| KeyValueError::Other("the number is negative".to_owned());
        Ok(u64::try_from(sum).map_err(negative)?)
    }
}

impl batch::Host for KeyValue<'_> {
    async fn get_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Result<Vec<Option<(String, Vec<u8>)>>, Failure> {
        let pairs = self.bucket(&bucket)?.get(keys.clone()).await?;
        let named = keys.into_iter().zip(pairs);
        Ok(named
            .map(|(key, pair)| pair.map(|pair| (key, pair.value)))
            .collect())
    }

    async fn set_many(
        &mut self,
        bucket: Resource<Bucket>,
        pairs: Vec<(String, Vec<u8>)>,
    ) -> Result<(), Failure> {
        Ok(self.bucket(&bucket)?.set(pairs).await?)
    }

    async fn delete_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Result<(), Failure> {
        Ok(self.bucket(&bucket)?.delete(keys).await?)
    }
}
