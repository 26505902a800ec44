//! `wasi:keyvalue@0.2.0-draft2`: text cursors, signed counters, compare and swap.

use super::{Bucket, Failure, GetKeyValue, HasKeyValue, KeyValue, KeyValueError, Swap};
use crate::state::ComponentState;
use bindings::wasi::keyvalue::store::KeyResponse;
use bindings::wasi::keyvalue::{atomics, batch, store};
use wasmtime::component::{Linker, Resource};

mod bindings {
    wasmtime::component::bindgen!({
        path: "wit/keyvalue-draft2",
        world: "wasi:keyvalue/imports",
        imports: { default: async | trappable },
        with: {
            "wasi:keyvalue/store.bucket": crate::host::keyvalue::Bucket,
            "wasi:keyvalue/atomics.cas": crate::host::keyvalue::Swap,
        },
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

fn told(failure: Failure) -> wasmtime::Result<store::Error> {
    Ok(match failure {
        Failure::Told(KeyValueError::NoSuchStore) => store::Error::NoSuchStore,
        Failure::Told(KeyValueError::AccessDenied) => store::Error::AccessDenied,
        Failure::Told(KeyValueError::Other(text)) => store::Error::Other(text),
        Failure::Trap(error) => return Err(error),
    })
}

impl store::Host for KeyValue<'_> {
    async fn open(&mut self, identifier: String) -> Result<Resource<Bucket>, Failure> {
        self.open_bucket(&identifier).await
    }

    fn convert_error(&mut self, failure: Failure) -> wasmtime::Result<store::Error> {
        told(failure)
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
        cursor: Option<String>,
    ) -> Result<KeyResponse, Failure> {
        let unknown = |_| KeyValueError::Other("this cursor is none that was given out".to_owned());
        let cursor = cursor
            .map(|text| text.parse().map_err(unknown))
            .transpose()?;
        let page = self.bucket(&bucket)?.keys(cursor).await?;
        Ok(KeyResponse {
            keys: page.keys,
            cursor: page.next.map(|next| next.to_string()),
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
        delta: i64,
    ) -> Result<i64, Failure> {
        Ok(self.bucket(&bucket)?.increment(key, delta).await?)
    }

    async fn swap(
        &mut self,
        cas: Resource<Swap>,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), atomics::CasError>> {
        let Swap { bucket, key, read } = self.table.delete(cas)?;
        let failure = match bucket.swap(key.clone(), read, value).await {
            Ok(true) => return Ok(Ok(())),
            Ok(false) => match self.begin(bucket, key).await {
                Ok(again) => return Ok(Err(atomics::CasError::CasFailed(again))),
                Err(failure) => failure,
            },
            Err(error) => error.into(),
        };
        told(failure).map(|error| Err(atomics::CasError::StoreError(error)))
    }
}

impl atomics::HostCas for KeyValue<'_> {
    async fn new(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> Result<Resource<Swap>, Failure> {
        let bucket = self.bucket(&bucket)?;
        self.begin(bucket, key).await
    }

    async fn current(&mut self, cas: Resource<Swap>) -> Result<Option<Vec<u8>>, Failure> {
        self.current(&cas).await
    }

    async fn drop(&mut self, cas: Resource<Swap>) -> wasmtime::Result<()> {
        self.table.delete(cas)?;
        Ok(())
    }
}

impl batch::Host for KeyValue<'_> {
    async fn get_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Result<Vec<(String, Option<Vec<u8>>)>, Failure> {
        let pairs = self.bucket(&bucket)?.get(keys.clone()).await?;
        let values = pairs.into_iter().map(|pair| pair.map(|pair| pair.value));
        Ok(keys.into_iter().zip(values).collect())
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
