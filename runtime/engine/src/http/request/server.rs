//! What answers a request: an instance of its container that has nothing else to do, or a new one in a place of its own.

use super::*;
use futures::FutureExt;
use std::pin::pin;

/// What a request is answered by.
pub(super) enum Server {
    Waiting(Lease),
    Fresh(Place),
}

impl Handler {
    /// The right to one more request, and what answers it.
    pub(super) async fn server(&self) -> Option<(OwnedSemaphorePermit, Server)> {
        let own = self.requests.clone().acquire_owned().await.ok()?;
        Some((own, self.server_in_line().await?))
    }

    /// An instance that waits, or a place, or an instance that would have to give its own up for this one.
    async fn server_in_line(&self) -> Option<Server> {
        // Whoever asks for a place ends one that waits, if there is no other.
        if let Some(lease) = self.warm.as_ref().and_then(|pool| pool.take()) {
            return Some(Server::Waiting(lease));
        }
        let mut place = pin!(self.place());
        if let Some(place) = (&mut place).now_or_never() {
            return place.map(Server::Fresh);
        }
        let Some(pool) = &self.warm else {
            return place.await.map(Server::Fresh);
        };
        let wanted = pool.want();
        // An instance that began to wait before this was known is handed to nobody.
        if let Some(lease) = pool.take() {
            return Some(Server::Waiting(lease));
        }
        tokio::select! {
            biased;
            Some(lease) = wanted => Some(Server::Waiting(lease)),
            place = place => place.map(Server::Fresh),
        }
    }

    /// An instance for requests side by side, when there is none that waits. One that has answered so many already that it
    /// does not `fit` is replaced by a new one.
    pub(in super::super) async fn lease_in_line(
        &self,
        fits: impl Fn(u32) -> bool,
    ) -> Result<Lease, Failure> {
        let server = match self.server_in_line().await {
            Some(Server::Waiting(lease)) if !fits(lease.requests) => {
                lease.instance.end().await;
                Server::Fresh(lease.place)
            }
            Some(server) => server,
            None => {
                let message = "the engine is shutting down";
                return Err((wasmtime::Error::msg(message), false));
            }
        };
        self.lease(server).await
    }

    pub(super) async fn lease(&self, server: Server) -> Result<Lease, Failure> {
        match server {
            Server::Waiting(lease) => Ok(lease),
            Server::Fresh(place) => {
                let instance = Instance::new(&self.runner, &self.module, &self.template).await?;
                Ok(Lease {
                    instance,
                    place,
                    requests: 0,
                })
            }
        }
    }

    /// The right to one more instance: within the container's own share, then within the engine's.
    async fn place(&self) -> Option<Place> {
        let own = match &self.places {
            Some(own) => Some(own.take(1, self.id()).await?),
            None => None,
        };
        let places = self.module.loaded().places();
        let place = self.runner.instances.take(places, self.id()).await?;
        Some(Place { place, _own: own })
    }

    /// Whose requests these are, for those who wait in line.
    fn id(&self) -> usize {
        Arc::as_ptr(&self.template) as usize
    }

    /// Lets an instance wait for further requests, or ends it.
    pub(in super::super) async fn keep(&self, mut lease: Lease) {
        let Some(pool) = &self.warm else {
            return lease.instance.end().await;
        };
        lease.instance.rest();
        lease.instance.drained().await;
        match pool.keep(lease) {
            Ok(()) => self.give_way(pool),
            Err(lease) => lease.instance.end().await,
        }
    }

    /// An instance that has nothing to do gives its place to whoever waits for one; if that is a request of its own
    /// container, with itself in it.
    fn give_way(&self, pool: &Pool) {
        let own = self.places.as_ref();
        let (is_own, must) = match self.runner.instances.first_in_line() {
            Some(owner) => (owner == self.id(), true),
            None => (true, own.is_some_and(|own| own.are_waited_for())),
        };
        if !(is_own && pool.hand_over()) && must {
            pool.give_up_one();
        }
    }
}
