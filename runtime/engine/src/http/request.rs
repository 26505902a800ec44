//! One request: its checks, its instance, its deadlines, and what the client and the log hear of a failure.

use super::instance::{Called, Failure, Head, Instance};
use super::response::{self, Body, Outcome};
use super::warm::{Lease, Pool};
use crate::container::Control;
use crate::engine::Runner;
use crate::module::Module;
use crate::output::write_line;
use crate::schedule::Metered;
use crate::state::Template;
use crate::{Exit, HttpLimits, exit};
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

/// Answers the requests of one container.
pub(super) struct Handler {
    runner: Runner,
    module: Module,
    template: Arc<Template>,
    control: Control,
    requests: Arc<Semaphore>,
    /// Instances between requests, if they are reused.
    warm: Option<Arc<Pool>>,
}

/// What a request is answered by.
enum Server {
    Waiting(Lease),
    Fresh(OwnedSemaphorePermit),
}

impl Handler {
    pub(super) fn new(
        runner: Runner,
        module: Module,
        template: Arc<Template>,
        control: Control,
    ) -> Self {
        let requests = Arc::new(Semaphore::new(places(template.spec.http.max_requests)));
        let reuse = template.spec.http.reuse.clone();
        let warm = reuse.map(|reuse| Pool::new(reuse, template.meter.clone()));
        if let Some(pool) = &warm {
            runner.warm.add(pool);
            let pool = Arc::downgrade(pool);
            let relief = move || pool.upgrade().is_some_and(|pool| pool.give_up_one());
            template.meter.on_pressure(Box::new(relief));
        }
        Handler {
            runner,
            module,
            template,
            control,
            requests,
            warm,
        }
    }

    pub(super) fn limits(&self) -> &HttpLimits {
        &self.template.spec.http
    }

    /// Waits until no request is under way.
    pub(super) async fn idle(&self) {
        let all = places(self.limits().max_requests) as u32;
        // Fails only if the semaphore were closed, which nothing does.
        let _all = self.requests.acquire_many(all).await;
    }

    /// Ends the instances that wait for requests.
    pub(super) fn close(&self) {
        if let Some(pool) = &self.warm {
            pool.close();
        }
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
        let Ok(Some((permit, server))) = timeout_at(answer_by, self.server()).await else {
            return response::plain(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many requests under way",
            );
        };
        let (head, mut answer) = oneshot::channel();
        let outcome = Arc::new(Outcome::default());
        let run = self
            .clone()
            .run(request, head, outcome.clone(), end_by, permit, server);
        let mut run = Box::pin(run);
        // The guest runs right here, in its connection's task: a short request is over without a word to any other
        // thread, and a client that goes away takes the instance with it.
        let first = async {
            tokio::select! {
                biased;
                () = run.as_mut() => (true, answer.try_recv().ok()),
                head = &mut answer => (false, head.ok()),
            }
        };
        let (ended, head) = match timeout_at(answer_by, first).await {
            Ok(first) => first,
            Err(_elapsed) => {
                drop(run);
                let seconds = limits.response_timeout.as_secs_f32();
                self.log(&format!(
                    "a request was ended: no response after {seconds} s"
                ))
                .await;
                return response::plain(StatusCode::GATEWAY_TIMEOUT, "the handler took too long");
            }
        };
        if !ended && head.is_some() {
            // From here the instance's own deadline bounds it.
            tokio::spawn(run);
        } else if !ended {
            // It is about to say why there is no response.
            run.await;
        }
        match head {
            Some(Ok(answer)) => answer.response.map(|body| Body::Guest {
                body,
                outcome,
                _ending: answer.ending,
            }),
            Some(Err(code)) => {
                self.log(&format!("the handler failed a request: {code}"))
                    .await;
                response::plain(StatusCode::BAD_GATEWAY, "the handler failed the request")
            }
            None => response::plain(outcome.status(), "the handler gave no response"),
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

    /// The right to one more request, and what answers it.
    async fn server(&self) -> Option<(OwnedSemaphorePermit, Server)> {
        let own = self.requests.clone().acquire_owned().await.ok()?;
        if let Some(lease) = self.warm.as_ref().and_then(|pool| pool.take()) {
            return Some((own, Server::Waiting(lease)));
        }
        let place = match self.runner.place() {
            Some(place) => place,
            None => self.runner.instances.clone().acquire_owned().await.ok()?,
        };
        Some((own, Server::Fresh(place)))
    }

    /// Runs the instance to the end of this request, which may be after its response.
    async fn run(
        self: Arc<Self>,
        request: Request<Incoming>,
        head: oneshot::Sender<Head>,
        outcome: Arc<Outcome>,
        end_by: Instant,
        permit: OwnedSemaphorePermit,
        server: Server,
    ) {
        let guest = Metered::new(
            self.call(request, head, &outcome, server),
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
        drop(permit);
    }

    async fn call(
        &self,
        request: Request<Incoming>,
        head: oneshot::Sender<Head>,
        outcome: &Outcome,
        server: Server,
    ) {
        let result = match self.lease(server).await {
            Ok(lease) => self.call_instance(lease, request, head, outcome).await,
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

    async fn lease(&self, server: Server) -> Result<Lease, Failure> {
        match server {
            Server::Waiting(lease) => Ok(lease),
            Server::Fresh(place) => {
                let instance = Instance::new(&self.runner, &self.module, &self.template).await?;
                Ok(Lease {
                    instance,
                    _place: place,
                    requests: 0,
                })
            }
        }
    }

    async fn call_instance(
        &self,
        mut lease: Lease,
        request: Request<Incoming>,
        head: oneshot::Sender<Head>,
        outcome: &Outcome,
    ) -> Result<(), Failure> {
        let limit = usize::try_from(self.limits().max_body_bytes).unwrap_or(usize::MAX);
        let request =
            request.map(|body| Limited::new(body, limit).map_err(body_error).boxed_unsync());
        lease.requests = lease.requests.saturating_add(1);
        match lease.instance.call(request, head).await {
            Ok(Called::NoHost) => outcome.fail(StatusCode::BAD_REQUEST),
            Ok(Called::Answered) => {}
            Err(failure) => {
                // Before the store is dropped: that closes the response, and whoever reads it looks at the outcome.
                outcome.fail(status(&failure));
                lease.instance.end().await;
                return Err(failure);
            }
        }
        let Some(pool) = &self.warm else {
            lease.instance.end().await;
            return Ok(());
        };
        lease.instance.drained().await;
        if let Err(lease) = pool.keep(lease) {
            lease.instance.end().await;
        }
        Ok(())
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
