//! One request: its checks, its instance, its deadlines, and what the client and the log hear of a failure.

use super::response::{self, Body, Outcome};
use crate::container::Control;
use crate::engine::Runner;
use crate::module::{Module, Prepared};
use crate::output::write_line;
use crate::schedule::Metered;
use crate::state::{ComponentState, Streams, Template};
use crate::{Exit, HttpLimits, exit};
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};
use wasmtime::{PoolConcurrencyLimitError, Store};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::bindings::{Proxy, ProxyPre};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

/// Answers the requests of one container.
pub(super) struct Handler {
    runner: Runner,
    module: Module,
    template: Arc<Template>,
    control: Control,
    requests: Arc<Semaphore>,
}

type Head = Result<Response<HyperOutgoingBody>, ErrorCode>;

/// An instance that was not called yet.
struct Instance {
    store: Store<ComponentState>,
    streams: Streams,
    proxy: Proxy,
}

/// An error of a guest, and whether it was refused memory before.
type Failure = (wasmtime::Error, bool);

/// Ends a task unless told to let it go on.
struct EndOnDrop(Option<AbortHandle>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

impl Handler {
    pub(super) fn new(
        runner: Runner,
        module: Module,
        template: Arc<Template>,
        control: Control,
    ) -> Self {
        let requests = Arc::new(Semaphore::new(places(template.spec.http.max_requests)));
        Handler {
            runner,
            module,
            template,
            control,
            requests,
        }
    }

    pub(super) fn limits(&self) -> &HttpLimits {
        &self.template.spec.http
    }

    /// Waits until no instance is left.
    pub(super) async fn idle(&self) {
        let all = places(self.limits().max_requests) as u32;
        // Fails only if the semaphore were closed, which nothing does.
        let _all = self.requests.acquire_many(all).await;
    }

    /// Answers a request, whatever happens.
    pub(super) async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        if let Some(refused) = self.check(request.headers()) {
            return refused;
        }
        let limits = self.limits();
        let arrived = Instant::now();
        let answer_by = arrived + limits.response_timeout;
        let end_by = arrived + limits.request_timeout;
        let Ok(Some(permits)) = timeout_at(answer_by, self.permits()).await else {
            return response::plain(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many requests under way",
            );
        };
        let (head, answer) = oneshot::channel();
        let outcome = Arc::new(Outcome::default());
        let task = tokio::spawn(
            self.clone()
                .run(request, head, outcome.clone(), end_by, permits),
        );
        // Until the head is there, a client that goes away takes the instance with it.
        let mut task = EndOnDrop(Some(task.abort_handle()));
        match timeout_at(answer_by, answer).await {
            Ok(Ok(Ok(response))) => {
                // From here the instance's own deadline bounds it.
                task.0 = None;
                response.map(|body| Body::Guest { body, outcome })
            }
            Ok(Ok(Err(code))) => {
                self.log(&format!("the handler failed a request: {code:?}"))
                    .await;
                response::plain(StatusCode::BAD_GATEWAY, "the handler failed the request")
            }
            Ok(Err(_no_head)) => response::plain(outcome.status(), "the handler gave no response"),
            Err(_elapsed) => {
                let seconds = limits.response_timeout.as_secs_f32();
                self.log(&format!(
                    "a request was ended: no response after {seconds} s"
                ))
                .await;
                response::plain(StatusCode::GATEWAY_TIMEOUT, "the handler took too long")
            }
        }
    }

    /// Refuses what no instance has to see.
    fn check(&self, headers: &HeaderMap) -> Option<Response<Body>> {
        let length = headers
            .get(header::CONTENT_LENGTH)?
            .to_str()
            .ok()?
            .parse::<u64>()
            .ok()?;
        (length > self.limits().max_body_bytes)
            .then(|| response::plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"))
    }

    /// The right to one more instance, of this container and of the engine.
    async fn permits(&self) -> Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let own = self.requests.clone().acquire_owned().await.ok()?;
        let shared = self.runner.instances.clone().acquire_owned().await.ok()?;
        Some((own, shared))
    }

    /// Runs the instance to its end, which may be after its response.
    async fn run(
        self: Arc<Self>,
        request: Request<Incoming>,
        head: oneshot::Sender<Head>,
        outcome: Arc<Outcome>,
        end_by: Instant,
        permits: (OwnedSemaphorePermit, OwnedSemaphorePermit),
    ) {
        let guest = Metered::new(
            self.call(request, head, &outcome),
            self.runner.clock.clone(),
            self.template.meter.clone(),
        );
        tokio::select! {
            biased;
            () = self.control.kill.cancelled() => outcome.fail(StatusCode::SERVICE_UNAVAILABLE),
            ended = timeout_at(end_by, guest) => if ended.is_err() {
                outcome.fail(StatusCode::GATEWAY_TIMEOUT);
                self.log("a request was ended: its time was over").await;
            }
        }
        drop(permits);
    }

    async fn call(
        &self,
        request: Request<Incoming>,
        head: oneshot::Sender<Head>,
        outcome: &Outcome,
    ) {
        let result = match self.instantiate().await {
            Ok(instance) => self.call_instance(instance, request, head, outcome).await,
            Err(failure) => {
                outcome.fail(status(&failure));
                // Only now: its end is what the client's side waits for before it looks at the outcome.
                drop(head);
                Err(failure)
            }
        };
        if let Err((error, denied)) = result {
            let reason = match exit::from_error(&error, denied) {
                Exit::Trap { message } => message,
                Exit::OutOfMemory => "the container's memory limit was reached".to_owned(),
                Exit::Code(code) => format!("the handler called exit with code {code}"),
                Exit::Signal(_) | Exit::Failed { .. } => format!("{error:#}"),
            };
            self.log(&format!("a request failed: {reason}")).await;
        }
    }

    async fn call_instance(
        &self,
        instance: Instance,
        request: Request<Incoming>,
        head: oneshot::Sender<Head>,
        outcome: &Outcome,
    ) -> Result<(), Failure> {
        let Instance {
            mut store,
            streams,
            proxy,
        } = instance;
        let mut http = store.data_mut().http();
        let limit = usize::try_from(self.limits().max_body_bytes).unwrap_or(usize::MAX);
        let request = request.map(|body| Limited::new(body, limit).map_err(body_error));
        let request = match http.new_incoming_request(Scheme::Http, request) {
            Ok(request) => request,
            Err(error) => {
                tracing::debug!(%error, "a request has no host");
                outcome.fail(StatusCode::BAD_REQUEST);
                return Ok(());
            }
        };
        let result = match http.new_response_outparam(head) {
            Ok(out) => {
                proxy
                    .wasi_http_incoming_handler()
                    .call_handle(&mut store, request, out)
                    .await
            }
            Err(error) => Err(error),
        };
        let result = result.map_err(|error| (error, store.data().denied()));
        if let Err(failure) = &result {
            // Before the store is dropped: that closes the response, and whoever reads it looks at the outcome.
            outcome.fail(status(failure));
        }
        drop(store);
        streams.drained().await;
        result
    }

    /// An instance out of the pool, or on demand when the pool is full.
    async fn instantiate(&self) -> Result<Instance, Failure> {
        let loaded = self.module.loaded();
        let backends = &self.runner.backends;
        if let Some(Prepared::Http(pre)) = loaded.pooled() {
            match self.instance(&backends.pooled.wasm, pre).await {
                Err((error, _)) if error.is::<PoolConcurrencyLimitError>() => {}
                decided => return decided,
            }
        }
        let backend = backends.on_demand().map_err(|error| (error, false))?;
        match loaded.on_demand(&backend).map_err(|error| (error, false))? {
            Prepared::Http(pre) => self.instance(&backend.wasm, pre).await,
            _ => Err((
                wasmtime::Error::msg("the module is not an HTTP handler"),
                false,
            )),
        }
    }

    async fn instance(
        &self,
        engine: &wasmtime::Engine,
        pre: &ProxyPre<ComponentState>,
    ) -> Result<Instance, Failure> {
        let (mut store, streams) = self.template.component_store(engine);
        match pre.instantiate_async(&mut store).await {
            Ok(proxy) => Ok(Instance {
                store,
                streams,
                proxy,
            }),
            Err(error) => Err((error, store.data().denied())),
        }
    }

    async fn log(&self, line: &str) {
        write_line(&*self.template.spec.stderr, line).await;
    }
}

/// A limit as semaphores can have it.
pub(super) fn places(limit: usize) -> usize {
    limit.clamp(1, u32::MAX as usize)
}

/// The status for a client whose request failed so.
fn status((_, denied): &Failure) -> StatusCode {
    match denied {
        true => StatusCode::SERVICE_UNAVAILABLE,
        false => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn body_error(error: Box<dyn std::error::Error + Send + Sync>) -> wasmtime_wasi_http::Error {
    match error.downcast::<hyper::Error>() {
        Ok(error) => wasmtime_wasi_http::Error::Hyper(*error),
        Err(_too_long) => wasmtime_wasi_http::Error::HttpRequestBodySize(None),
    }
}
