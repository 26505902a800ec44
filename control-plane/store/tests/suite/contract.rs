//! The contract, against any store: each test takes a fresh `dyn Store`, and runs once per implementation.

/// Declares the tests of one file of the contract, for each implementation.
macro_rules! contract {
    ($($test:ident)*) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let folder = crate::support::folder();
                    let store: crate::support::DynStore = crate::support::open(folder.path()).await;
                    super::$test(store.clone()).await;
                    store.close().await;
                }
            )*
        }
    };
}

#[path = "contract/lists.rs"]
mod lists;
#[path = "contract/watches.rs"]
mod watches;
#[path = "contract/writes.rs"]
mod writes;
