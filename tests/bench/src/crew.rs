//! Connections that work at once, on a thread for each processor. A connection stays on its thread: moved between them, it
//! takes twice the processor time for each answer, which is time of what is measured when they share the machine.

use tokio::runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::connection::{Connection, Endpoint};
use crate::table::Samples;

/// Connected, and waiting for the word.
pub(crate) struct Crew {
    threads: JoinSet<anyhow::Result<Samples>>,
    go: watch::Sender<bool>,
}

impl Crew {
    /// Opens so many connections; `work` is what is to be done with each.
    pub(crate) async fn connect<F, Fut>(
        endpoint: &Endpoint,
        connections: usize,
        work: F,
    ) -> anyhow::Result<Self>
    where
        F: Fn(Connection) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = anyhow::Result<Samples>> + Send + 'static,
    {
        let processors = std::thread::available_parallelism()?;
        let count = connections.clamp(1, processors.get());
        let (ready, mut all_ready) = mpsc::channel(count);
        let (go, gone) = watch::channel(false);
        let mut threads = JoinSet::new();
        for thread in 0..count {
            let share = (connections + thread) / count;
            let (endpoint, work) = (endpoint.clone(), work.clone());
            let (ready, mut gone) = (ready.clone(), gone.clone());
            let steps = async move {
                let mut connected = Vec::new();
                for _ in 0..share {
                    connected.push(endpoint.connect().await?);
                }
                ready.send(()).await?;
                drop(ready);
                gone.wait_for(|gone| *gone).await?;
                sum(connected.into_iter().map(work).collect()).await
            };
            threads.spawn_blocking(move || {
                let mut runtime = runtime::Builder::new_current_thread();
                runtime.enable_all().build()?.block_on(steps)
            });
        }
        drop(ready);
        for _ in 0..count {
            // One that cannot connect says why when it is waited for.
            if all_ready.recv().await.is_none() {
                break;
            }
        }
        Ok(Self { threads, go })
    }

    /// Lets them work to their end.
    pub(crate) async fn work(self) -> anyhow::Result<Samples> {
        self.go.send_replace(true);
        sum(self.threads).await
    }
}

async fn sum(mut tasks: JoinSet<anyhow::Result<Samples>>) -> anyhow::Result<Samples> {
    let mut samples = Samples::default();
    while let Some(done) = tasks.join_next().await {
        samples.extend(done??);
    }
    Ok(samples)
}
