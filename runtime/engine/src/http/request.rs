//! One request: its checks, its instance, its deadlines, and what the client and the log hear of a failure.

mod server;

use super::instance::{Answer, Called, Failure, Head, Instance, absolute};
use super::response::{self, Body, Outcome};
use super::rest::Rest;
use super::shared::{Flight, Job, Limits, Worker, Workers};
use super::warm::{Lease, Place, Pool};
use crate::container::Control;
use crate::engine::Runner;
use crate::held;
use crate::limits::{Charge, Meter};
use crate::module::Module;
use crate::output::write_line;
use crate::places::Places;
use crate::schedule::{Clock, Metered};
use crate::state::Template;
use crate::{Exit, HttpLimits, exit};
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body::Body as _;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use server::Server;
use std::sync::{Arc, Weak};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};
use wasmtime_wasi_http::WasiBody;

/// Answers the requests of one container.
pub(super) struct Handler {
    runner: Runner,
    module: Module,
    template: Arc<Template>,
    control: Control,
    requests: Arc<Semaphore>,
    /// The instances there may be, where one takes several places: no more places than if it took one.
    places: Option<Arc<Places>>,
    /// Instances between requests, if they are reused.
    warm: Option<Arc<Pool>>,
    /// Instances at work that take further requests, and how many they take.
    shared: Option<(Workers, Limits)>,
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
        let concurrent = template.spec.http.reuse.as_ref();
        let shared = concurrent
            .filter(|reuse| reuse.max_concurrent > 1 && module.loaded().answers_side_by_side());
        let shared = shared.map(|reuse| {
            let limits = Limits {
                max_requests: reuse.max_requests,
                max_concurrent: reuse.max_concurrent,
                parallelism: template.config.worker_threads.max(1),
            };
            (Workers::default(), limits)
        });
        let taken = module.loaded().places() as usize;
        let most = places(template.spec.http.max_requests) / taken;
        let idle = warm.as_ref().map_or_else(Weak::new, Arc::downgrade);
        Handler {
            places: (taken > 1).then(|| Places::new(most.max(1), idle)),
            shared,
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
    /// `rest` takes what the guest has to do after its response has begun.
    pub(super) async fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        rest: Option<Rest>,
    ) -> Response<Body> {
        if let Some(refused) = self.check(request.headers()) {
            return refused;
        }
        let limits = self.limits();
        // Of HTTP/1 there are as many as connections; those of HTTP/2 may wait for their turn in numbers.
        let waiting = match &rest {
            Some(_) => None,
            None => Some(self.charge_head(&request)),
        };
        if let Some(None) = waiting {
            return no_memory();
        }
        let arrived = Instant::now();
        let answer_by = arrived + limits.response_timeout;
        let end_by = arrived + limits.request_timeout;
        if let Some((workers, limits)) = &self.shared {
            return self
                .handle_shared(request, rest, (workers, *limits), (answer_by, end_by))
                .await;
        }
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
                return self.too_late().await;
            }
        };
        if !ended && head.is_some() {
            // From here the instance's own deadline bounds it.
            match &rest {
                Some(rest) => rest.begin(run),
                None => drop(tokio::spawn(run)),
            }
        } else if !ended {
            // It is about to say why there is no response.
            run.await;
        }
        self.respond(head, outcome, rest).await
    }

    /// Answers a request by an instance that may have others under way.
    async fn handle_shared(
        self: &Arc<Self>,
        request: Request<Incoming>,
        rest: Option<Rest>,
        (workers, limits): (&Workers, Limits),
        (answer_by, end_by): (Instant, Instant),
    ) -> Response<Body> {
        let permit = self.requests.clone().acquire_owned();
        let Ok(Ok(permit)) = timeout_at(answer_by, permit).await else {
            return response::plain(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many requests under way",
            );
        };
        let Some(request) = absolute(self.bounded(request)) else {
            return response::plain(StatusCode::BAD_REQUEST, "the request names no host");
        };
        let (head, answer) = oneshot::channel();
        let flight = Flight::new(head, end_by, permit);
        let outcome = flight.outcome.clone();
        let request = Box::new(request);
        let seat = workers.offer(Job { request, flight }, limits);
        let seat = seat.unwrap_or_else(|job| {
            let waiting = self.warm.as_ref().and_then(|pool| pool.take());
            Worker::start(self, workers, waiting, job, limits)
        });
        match timeout_at(answer_by, answer).await {
            Ok(head) => {
                let head = head.ok();
                if head.is_some() {
                    seat.answered();
                }
                self.respond(head, outcome, rest).await
            }
            Err(_elapsed) => {
                drop(seat);
                self.too_late().await
            }
        }
    }

    async fn respond(
        &self,
        head: Option<Head>,
        outcome: Arc<Outcome>,
        rest: Option<Rest>,
    ) -> Response<Body> {
        match head {
            Some(Ok(Answer { response, ending })) => {
                // Of HTTP/2 it may wait for its client when its instance has long ended.
                let may_wait = rest.is_none() && !response.body().is_end_stream();
                let charge = match may_wait {
                    true => match self.template.meter.charge(held::BODY as u64) {
                        Some(charge) => Some(Arc::new(charge)),
                        None => return no_memory(),
                    },
                    false => None,
                };
                response.map(|body| Body::Guest {
                    body,
                    outcome,
                    rest,
                    charge,
                    _ending: ending,
                })
            }
            Some(Err(code)) => {
                self.log(&format!("the handler failed a request: {code}"))
                    .await;
                response::plain(StatusCode::BAD_GATEWAY, "the handler failed the request")
            }
            None => response::plain(outcome.status(), "the handler gave no response"),
        }
    }

    async fn too_late(&self) -> Response<Body> {
        let seconds = self.limits().response_timeout.as_secs_f32();
        self.log(&format!(
            "a request was ended: no response after {seconds} s"
        ))
        .await;
        response::plain(StatusCode::GATEWAY_TIMEOUT, "the handler took too long")
    }

    /// The request with a body that ends where the container's limit is.
    fn bounded(&self, request: Request<Incoming>) -> Request<WasiBody> {
        let limit = usize::try_from(self.limits().max_body_bytes).unwrap_or(usize::MAX);
        request.map(|body| Limited::new(body, limit).map_err(body_error).boxed_unsync())
    }

    /// The memory of a request that may wait.
    fn charge_head<T>(&self, request: &Request<T>) -> Option<Charge> {
        let most = self.limits().max_field_bytes();
        let bytes = held::head(request.uri(), request.headers(), most);
        self.template.meter.charge(bytes as u64)
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
        let (handler, told) = (self.clone(), outcome.clone());
        let guest = async move {
            handler.call(request, head, &told, server).await;
            // Given back when nothing of the guest is left, wherever that is.
            drop(permit);
        };
        let mut guest = Metered::new(guest, self.clock(), self.meter());
        let failed = tokio::select! {
            biased;
            () = self.control.kill.cancelled() => Some(StatusCode::SERVICE_UNAVAILABLE),
            ended = timeout_at(end_by, &mut guest) => ended.is_err().then_some(StatusCode::GATEWAY_TIMEOUT),
        };
        let Some(status) = failed else {
            return;
        };
        // Before the guest is freed: that closes the response, and whoever reads it looks at the outcome.
        outcome.fail(status);
        guest.end().await;
        if status == StatusCode::GATEWAY_TIMEOUT {
            self.log("a request was ended: its time was over").await;
        }
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
        if let Err(failure) = result {
            self.log_failure(failure).await;
        }
    }

    /// Tells the reader of the log why a request failed.
    pub(super) async fn log_failure(&self, (error, denied): Failure) {
        let reason = match exit::from_error(&error, denied) {
            Exit::Trap { message } => message,
            Exit::OutOfMemory => "the container's memory limit was reached".to_owned(),
            Exit::Code(code) => format!("the handler called exit with code {code}"),
            Exit::Signal(_) | Exit::Failed { .. } => format!("{error:#}"),
        };
        self.log(&format!("a request failed: {reason}")).await;
    }

    pub(super) fn clock(&self) -> Arc<Clock> {
        self.runner.clock.clone()
    }

    pub(super) fn meter(&self) -> Arc<Meter> {
        self.template.meter.clone()
    }

    pub(super) async fn killed(&self) {
        self.control.kill.cancelled().await;
    }

    async fn call_instance(
        &self,
        mut lease: Lease,
        request: Request<Incoming>,
        head: oneshot::Sender<Head>,
        outcome: &Outcome,
    ) -> Result<(), Failure> {
        let request = self.bounded(request);
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
        self.keep(lease).await;
        Ok(())
    }

    pub(super) async fn log(&self, line: &str) {
        write_line(&*self.template.spec.stderr, line).await;
    }
}

fn no_memory() -> Response<Body> {
    let text = "the container's memory limit has no room for the request";
    response::plain(StatusCode::SERVICE_UNAVAILABLE, text)
}

/// A limit as semaphores can have it.
pub(super) fn places(limit: usize) -> usize {
    limit.clamp(1, u32::MAX as usize)
}

/// The status for a client whose request failed so.
pub(super) fn status((_, denied): &Failure) -> StatusCode {
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
