//! One instance of a handler: how it is made, and how it answers requests, one after the other.

use super::response::Ending;
use crate::engine::Runner;
use crate::module::{Module, Prepared};
use crate::state::{ComponentState, Streams, Template, begin_slice, rest};
use http::uri::{Authority, Scheme};
use http::{Request, Response, header};
use std::future::poll_fn;
use tokio::sync::oneshot;
use wasmtime::component::Accessor;
use wasmtime::{PoolConcurrencyLimitError, Store};
use wasmtime_wasi_http::handler::{Proxy, ProxyPre};
use wasmtime_wasi_http::p2::bindings::http::types::Scheme as SchemeP2;
use wasmtime_wasi_http::p3::bindings::Service;
use wasmtime_wasi_http::{WasiBody, WasiHttpView, p2, p3};

/// An instance, with the store that is all it has.
pub(super) struct Instance {
    store: Store<ComponentState>,
    streams: Streams,
    proxy: Proxy,
}

/// An error of a guest, and whether it was refused memory before.
pub(super) type Failure = (wasmtime::Error, bool);

/// What an instance answers: a response, or the name of an error code.
pub(super) type Head = Result<Answer, String>;

/// A response whose body may still be under way.
pub(super) struct Answer {
    pub(super) response: Response<WasiBody>,
    /// Held until nobody reads the body any more; a body of 0.3 is carried by its instance until then.
    pub(super) ending: Option<Ending>,
}

/// How a call went that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Called {
    Answered,
    /// The request names no host, so it was not given to the guest.
    NoHost,
}

impl Instance {
    /// An instance out of the pool, or on demand when the pool is full.
    pub(super) async fn new(
        runner: &Runner,
        module: &Module,
        template: &Template,
    ) -> Result<Self, Failure> {
        let loaded = module.loaded();
        let backends = loaded.backends(&runner.backends);
        let backends = backends.map_err(|error| (error, false))?;
        if let Some(prepared) = loaded.pooled() {
            match Self::of(&backends.pooled.wasm, handler(prepared)?, template).await {
                Err((error, _)) if error.is::<PoolConcurrencyLimitError>() => {}
                decided => return decided,
            }
        }
        let backend = backends.on_demand().map_err(|error| (error, false))?;
        let prepared = loaded.on_demand(&backend).map_err(|error| (error, false))?;
        Self::of(&backend.wasm, handler(prepared)?, template).await
    }

    async fn of(
        engine: &wasmtime::Engine,
        pre: &ProxyPre<ComponentState>,
        template: &Template,
    ) -> Result<Self, Failure> {
        let (mut store, streams) = template.component_store(engine);
        match pre.instantiate_async(&mut store).await {
            Ok(proxy) => Ok(Instance {
                store,
                streams,
                proxy,
            }),
            Err(error) => Err((error, store.data().denied())),
        }
    }

    /// Gives the guest a request. Returns when the guest is done with it, which may be after its response.
    pub(super) async fn call(
        &mut self,
        request: Request<WasiBody>,
        head: oneshot::Sender<Head>,
    ) -> Result<Called, Failure> {
        begin_slice(&mut self.store);
        let result = match &self.proxy {
            Proxy::P2(proxy) => call_p2(&mut self.store, proxy, request, head).await,
            Proxy::P3(service) => call_p3(&mut self.store, service, request, head).await,
        };
        result.map_err(|error| (error, self.store.data().denied()))
    }

    /// Looks at what the guest makes the host hold, before it waits for another request. Too much is as memory that was
    /// refused.
    pub(super) fn rest(&mut self) {
        rest(&mut self.store);
    }

    /// What a guest of 0.3 is called by, for requests side by side.
    pub(super) fn service(&mut self) -> Option<(&mut Store<ComponentState>, &Service)> {
        match &self.proxy {
            Proxy::P2(_) => None,
            Proxy::P3(service) => {
                begin_slice(&mut self.store);
                Some((&mut self.store, service))
            }
        }
    }

    /// Whether the guest was ever refused memory.
    pub(super) fn denied(&self) -> bool {
        self.store.data().denied()
    }

    /// Waits until the sinks have taken what the guest has written so far.
    pub(super) fn drained(&self) -> impl Future<Output = ()> {
        // A reference to the instance itself cannot be held while waiting: it is not made to be shared.
        self.streams.drained()
    }

    /// Frees the instance, then waits until its last output was taken.
    pub(super) async fn end(self) {
        drop(self.store);
        self.streams.drained().await;
    }
}

fn handler(prepared: &Prepared) -> Result<&ProxyPre<ComponentState>, Failure> {
    let http = match prepared {
        Prepared::Component(component) => component.http.as_ref(),
        Prepared::Core(_) => None,
    };
    http.ok_or_else(|| {
        let message = "the module is not an HTTP handler";
        (wasmtime::Error::msg(message), false)
    })
}

async fn call_p2(
    store: &mut Store<ComponentState>,
    proxy: &p2::bindings::Proxy,
    request: Request<WasiBody>,
    head: oneshot::Sender<Head>,
) -> wasmtime::Result<Called> {
    store.data_mut().begin(&request);
    let mut http = store.data_mut().http();
    let request = match http.new_incoming_request(SchemeP2::Http, request) {
        Ok(request) => request,
        Err(error) => {
            tracing::debug!(%error, "a request has no host");
            return Ok(Called::NoHost);
        }
    };
    let out = http.new_response_outparam_from_callback(move |result| {
        let answer = result.map(|response| Answer {
            response,
            ending: None,
        });
        // The client may have left.
        let _unheard = head.send(answer.map_err(|code| format!("{code:?}")));
    })?;
    let handler = proxy.wasi_http_incoming_handler();
    handler.call_handle(store, request, out).await?;
    Ok(Called::Answered)
}

async fn call_p3(
    store: &mut Store<ComponentState>,
    service: &Service,
    request: Request<WasiBody>,
    head: oneshot::Sender<Head>,
) -> wasmtime::Result<Called> {
    let Some(request) = absolute(request) else {
        return Ok(Called::NoHost);
    };
    let running = store.run_concurrent(async |accessor| {
        let answer = |answer| {
            let _unheard = head.send(answer);
        };
        serve(accessor, service, request, answer).await?;
        poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
        wasmtime::Result::Ok(())
    });
    running.await.flatten()?;
    Ok(Called::Answered)
}

/// How the sending of a response ended.
type Sent = std::pin::Pin<Box<dyn Future<Output = Result<(), wasmtime_wasi_http::Error>> + Send>>;

/// Answers a request and returns when the body of the response was read. The guest may have more to do.
pub(super) async fn serve(
    accessor: &Accessor<ComponentState>,
    service: &Service,
    request: Request<WasiBody>,
    answer: impl FnOnce(Head),
) -> wasmtime::Result<()> {
    let (request, sent) = accessor.with(|mut store| {
        store.data_mut().answers(true);
        let http = store.data_mut().http();
        let (request, sent) = p3::Request::from_http(http.hooks, request);
        (request, Box::pin(sent) as Sent)
    });
    let result = service.handle(accessor, request).await?;
    let ended = match result {
        Ok(response) => {
            let response = accessor.with(|store| response.into_http(store, sent))?;
            let (ending, ended) = Ending::new();
            answer(Ok(Answer {
                response,
                ending: Some(ending),
            }));
            Some(ended)
        }
        Err(code) => {
            answer(Err(format!("{code:?}")));
            None
        }
    };
    if let Some(ended) = ended {
        ended.reached().await;
    }
    accessor.with(|mut store| store.data_mut().answers(false));
    Ok(())
}

/// The request with scheme and authority in its URI; `None` if it names no host.
pub(super) fn absolute(mut request: Request<WasiBody>) -> Option<Request<WasiBody>> {
    let mut parts = request.uri().clone().into_parts();
    parts.scheme = Some(Scheme::HTTP);
    if parts.authority.is_none() {
        let host = request.headers().get(header::HOST)?;
        parts.authority = Some(Authority::try_from(host.as_bytes()).ok()?);
    }
    *request.uri_mut() = http::Uri::from_parts(parts).ok()?;
    Some(request)
}
