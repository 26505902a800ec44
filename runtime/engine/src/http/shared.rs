//! Instances of WASI 0.3 that answer several requests at once, where a container asks for that.
//!
//! An instance at work takes further requests while it has room, and goes back to those that wait (see `warm`) when it
//! has none left. A call that has begun cannot be taken back, and timers inside a store's event loop may be late while
//! its guest is busy; so whoever sends a request keeps its time outside. A request given up by its client closes its
//! instance to further ones, and when only such requests are left the instance is ended with them. A trap fails all
//! requests of its instance.

use super::instance::{Failure, Head, serve};
use super::request::Handler;
use super::response::Outcome;
use super::warm::Lease;
use crate::schedule::{Metered, Milestone};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use http::{Request, StatusCode};
use parking_lot::Mutex;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use wasmtime_wasi_http::WasiBody;

/// A request that an instance is to answer.
pub(super) struct Job {
    /// Boxed, since a job that finds no place is handed back.
    pub(super) request: Box<Request<WasiBody>>,
    pub(super) flight: Arc<Flight>,
}

/// A request under way, as both sides see it.
pub(super) struct Flight {
    /// Taken when it is answered. Held here, so that it ends only after `outcome` says why.
    head: Mutex<Option<oneshot::Sender<Head>>>,
    pub(super) outcome: Arc<Outcome>,
    end_by: Instant,
    /// Nobody waits for the answer any more.
    abandoned: AtomicBool,
    _permit: OwnedSemaphorePermit,
}

impl Flight {
    pub(super) fn new(
        head: oneshot::Sender<Head>,
        end_by: Instant,
        permit: OwnedSemaphorePermit,
    ) -> Arc<Self> {
        Arc::new(Flight {
            head: Mutex::new(Some(head)),
            outcome: Arc::default(),
            end_by,
            abandoned: AtomicBool::new(false),
            _permit: permit,
        })
    }

    pub(super) fn answer(&self, head: Head) {
        if let Some(sender) = self.head.lock().take() {
            // The client may have left.
            let _unheard = sender.send(head);
        }
    }

    fn fail(&self, status: StatusCode) {
        self.outcome.fail(status);
        drop(self.head.lock().take());
    }
}

/// An instance at work.
pub(super) struct Worker {
    jobs: mpsc::UnboundedSender<Job>,
    state: Mutex<State>,
    changed: Notify,
    /// Reached with every request that is over.
    milestone: Milestone,
}

#[derive(Default)]
struct State {
    flights: Vec<Arc<Flight>>,
    /// Requests the instance was given since it was made.
    requests: u32,
    /// No further request is taken.
    closed: bool,
    /// When the last request taken has to be over.
    end_by: Option<Instant>,
}

/// The instances of one container that are at work.
#[derive(Default)]
pub(super) struct Workers(Mutex<Vec<Arc<Worker>>>);

impl Workers {
    /// Gives a request to an instance at work, or back if there is none to take it: none with room, or so few that
    /// another one makes better use of the processors.
    pub(super) fn offer(&self, job: Job, limits: Limits) -> Result<Seat, Job> {
        let mut workers = self.0.lock();
        workers.retain(|worker| !worker.state.lock().closed);
        if workers.len() < limits.parallelism {
            return Err(job);
        }
        let least = workers
            .iter()
            .min_by_key(|worker| worker.state.lock().flights.len());
        match least {
            Some(worker) => worker.clone().take(job, limits),
            None => Err(job),
        }
    }

    fn add(&self, worker: Arc<Worker>) {
        self.0.lock().push(worker);
    }
}

/// How many requests an instance takes, and how many instances are better than one.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) max_requests: u32,
    pub(super) max_concurrent: u32,
    pub(super) parallelism: usize,
}

/// A request's tie to its instance. Dropped before the answer is there, it gives the request up.
pub(super) struct Seat {
    worker: Arc<Worker>,
    flight: Arc<Flight>,
    answered: bool,
}

impl Seat {
    /// The answer is there: from here the instance's own deadline bounds it.
    pub(super) fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if !self.answered {
            self.flight.abandoned.store(true, Ordering::Relaxed);
            self.worker.state.lock().closed = true;
            self.worker.changed.notify_one();
        }
    }
}

impl Worker {
    fn new(requests: u32) -> (Arc<Self>, mpsc::UnboundedReceiver<Job>) {
        let (jobs, queue) = mpsc::unbounded_channel();
        let worker = Worker {
            jobs,
            state: Mutex::new(State {
                requests,
                ..State::default()
            }),
            changed: Notify::new(),
            milestone: Milestone::default(),
        };
        (Arc::new(worker), queue)
    }

    /// Puts an instance to work on its first request.
    pub(super) fn start(
        handler: &Arc<Handler>,
        workers: &Workers,
        waiting: Option<Lease>,
        job: Job,
        limits: Limits,
    ) -> Seat {
        let requests = waiting.as_ref().map_or(0, |lease| lease.requests);
        let (worker, queue) = Worker::new(requests);
        let flight = job.flight.clone();
        let Ok(seat) = worker.clone().take(job, limits) else {
            unreachable!("a new worker takes its first request");
        };
        debug_assert!(Arc::ptr_eq(&seat.flight, &flight));
        workers.add(worker.clone());
        tokio::spawn(run(handler.clone(), worker, queue, (waiting, limits)));
        seat
    }

    /// The instance has answered so many requests already. Whether those it was given meanwhile are within its limit.
    fn goes_on(&self, requests: u32, limits: Limits) -> bool {
        let mut state = self.state.lock();
        let all = state.requests.saturating_add(requests);
        let fits = all <= limits.max_requests;
        if fits {
            state.requests = all;
        }
        fits
    }

    fn take(self: Arc<Self>, job: Job, limits: Limits) -> Result<Seat, Job> {
        let flight = job.flight.clone();
        {
            let mut state = self.state.lock();
            let full = state.flights.len() >= limits.max_concurrent as usize
                || state.requests >= limits.max_requests;
            if state.closed || (full && !state.flights.is_empty()) {
                return Err(job);
            }
            state.requests = state.requests.saturating_add(1);
            state.end_by = Some(flight.end_by);
            state.flights.push(flight.clone());
            if let Err(mpsc::error::SendError(job)) = self.jobs.send(job) {
                state.flights.pop();
                return Err(job);
            }
        }
        self.changed.notify_one();
        Ok(Seat {
            worker: self,
            flight,
            answered: false,
        })
    }

    fn finished(&self, flight: &Arc<Flight>) {
        self.state
            .lock()
            .flights
            .retain(|other| !Arc::ptr_eq(other, flight));
        self.milestone.reach();
        self.changed.notify_one();
    }

    /// Takes no more requests if none is under way.
    fn close_if_idle(&self) -> bool {
        let mut state = self.state.lock();
        state.closed |= state.flights.is_empty();
        state.flights.is_empty()
    }

    /// Ends all requests that are under way.
    fn fail(&self, status: StatusCode) {
        let flights = {
            let mut state = self.state.lock();
            state.closed = true;
            std::mem::take(&mut state.flights)
        };
        for flight in flights {
            flight.fail(status);
        }
    }

    /// Returns when nobody waits for anything this instance still does, or when its time is over. Whether it is the
    /// time.
    async fn useless(&self) -> bool {
        loop {
            let deadline = {
                let state = self.state.lock();
                let left = |flight: &&Arc<Flight>| !flight.abandoned.load(Ordering::Relaxed);
                let waited_for = state.flights.iter().filter(left);
                match waited_for.map(|flight| flight.end_by).min() {
                    Some(deadline) => deadline,
                    None if !state.flights.is_empty() => return false,
                    // It works on after its last response.
                    None => state.end_by.unwrap_or_else(Instant::now),
                }
            };
            tokio::select! {
                () = self.changed.notified() => {}
                () = sleep_until(deadline) => if self.expire(deadline) {
                    return true;
                },
            }
        }
    }

    /// Gives up the requests whose time is over. Whether the instance has no other.
    fn expire(&self, now: Instant) -> bool {
        let mut state = self.state.lock();
        state.closed = true;
        let mut left = false;
        for flight in &state.flights {
            if flight.end_by <= now {
                flight.abandoned.store(true, Ordering::Relaxed);
                flight.fail(StatusCode::GATEWAY_TIMEOUT);
            }
            left |= !flight.abandoned.load(Ordering::Relaxed);
        }
        !left
    }
}

/// Dropped at the end of an instance's work, whatever that is: a panic must not leave requests that count for ever.
struct Ends(Arc<Worker>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.fail(StatusCode::INTERNAL_SERVER_ERROR);
    }
}

/// The instance's work, from its first request until it has none.
async fn run(
    handler: Arc<Handler>,
    worker: Arc<Worker>,
    mut jobs: mpsc::UnboundedReceiver<Job>,
    (waiting, limits): (Option<Lease>, Limits),
) {
    let (at_work, _ends) = (worker.clone(), Ends(worker.clone()));
    let milestone = worker.milestone.clone();
    let maker = handler.clone();
    let work = Metered::with_milestone(
        async move {
            let mut lease = match waiting {
                Some(lease) => lease,
                None => {
                    let fits = |requests| at_work.goes_on(requests, limits);
                    maker.lease_in_line(fits).await?
                }
            };
            work(&mut lease, &at_work, &mut jobs).await?;
            lease.requests = at_work.state.lock().requests;
            Ok::<_, Failure>(lease)
        },
        handler.clock(),
        handler.meter(),
        milestone,
    );
    let result = tokio::select! {
        biased;
        () = handler.killed() => return worker.fail(StatusCode::SERVICE_UNAVAILABLE),
        too_late = worker.useless() => {
            worker.fail(StatusCode::GATEWAY_TIMEOUT);
            if too_late {
                handler.log("an instance was ended: the time of its requests was over").await;
            }
            return;
        }
        result = work => result,
    };
    match result {
        Ok(lease) => handler.keep(lease).await,
        Err(failure) => {
            worker.fail(super::request::status(&failure));
            handler.log_failure(failure).await;
        }
    }
}

/// Answers requests side by side until none is left.
async fn work(
    lease: &mut Lease,
    worker: &Worker,
    jobs: &mut mpsc::UnboundedReceiver<Job>,
) -> Result<(), Failure> {
    let Some((store, service)) = lease.instance.service() else {
        let message = "this guest answers one request at a time";
        return Err((wasmtime::Error::msg(message), false));
    };
    let running = store.run_concurrent(async |accessor| {
        let mut calls = FuturesUnordered::new();
        while !(calls.is_empty() && worker.close_if_idle()) {
            tokio::select! {
                biased;
                Some(done) = calls.next(), if !calls.is_empty() => done?,
                Some(Job { request, flight }) = jobs.recv() => calls.push(async move {
                    serve(accessor, service, *request, |head| flight.answer(head)).await?;
                    worker.finished(&flight);
                    Ok::<_, wasmtime::Error>(())
                }),
            }
        }
        poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
        wasmtime::Result::Ok(())
    });
    let result = running.await.flatten();
    result.map_err(|error| (error, lease.instance.denied()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Empty};
    use tokio::sync::Semaphore;

    #[tokio::test]
    async fn a_panic_gives_up_the_requests_of_its_instance() {
        let places = Arc::new(Semaphore::new(1));
        let permit = places.clone().try_acquire_owned().expect("free");
        let (head, answer) = oneshot::channel();
        let flight = Flight::new(head, Instant::now(), permit);
        let body = Empty::new().map_err(|never| match never {});
        let request = Box::new(Request::new(body.boxed_unsync()));
        let (worker, queue) = Worker::new(0);
        let limits = Limits {
            max_requests: 1,
            max_concurrent: 1,
            parallelism: 1,
        };
        let job = Job { request, flight };
        let Ok(seat) = worker.clone().take(job, limits) else {
            panic!("it is free");
        };
        let ends = Ends(worker.clone());
        let work = tokio::spawn(async move {
            let _ends = ends;
            panic!("as asked");
        });
        work.await.expect_err("it panics");
        assert!(answer.await.is_err(), "there is no answer");
        let outcome = seat.flight.outcome.clone();
        assert_eq!(outcome.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(worker.state.lock().closed);
        drop((seat, queue));
        assert_eq!(places.available_permits(), 1);
    }
}
