//! A neighbour whose latency tells whether an attack is felt: an HTTP pod, and reads of the API.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;

use crate::support::{Cluster, Kubectl, PATIENCE, PodSpec, client_of};

/// Between two requests: neighbours need less than their share of the processors.
const PAUSE: Duration = Duration::from_millis(5);
/// Requests of a measurement before an attack.
const BEFORE: usize = 200;
/// What other work on the machine may add to p50 and to p99 of a debug build.
const NOISE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

pub(crate) struct Neighbour {
    address: String,
    kubeconfig: PathBuf,
}

/// Latencies of the pod and of the API.
pub(crate) struct Latencies {
    pod: Vec<Duration>,
    api: Vec<Duration>,
}

/// A measurement that goes on until it is ended.
pub(crate) struct Measuring {
    end: Arc<AtomicBool>,
    thread: JoinHandle<Latencies>,
}

impl Neighbour {
    /// Makes the pod, and returns when it answers.
    pub(crate) fn start(cluster: &Cluster, kubectl: &Kubectl) -> Self {
        cluster.push_engine_guest("http-handler");
        let pod = PodSpec::new("neighbour", "http-handler");
        kubectl.apply(&pod.with("/spec/restartPolicy", "Always".into()).to_string());
        kubectl.ok(&[
            "wait",
            "--for=condition=Ready",
            "pod/neighbour",
            "--timeout=60s",
        ]);
        let ip = kubectl.field("pod/neighbour", ".status.podIP");
        Self {
            address: format!("{ip}:8080"),
            kubeconfig: cluster.kubeconfig(),
        }
    }

    /// The latencies without an attack. The first of anything takes longer, and is not among them.
    pub(crate) fn alone(&self) -> Latencies {
        let mut requests = 2 * BEFORE;
        let mut latencies = self.requests(|| {
            requests -= 1;
            requests > 0
        });
        latencies.pod.drain(..BEFORE);
        latencies.api.drain(..BEFORE);
        latencies
    }

    /// Measures on a thread of its own.
    pub(crate) fn measure(self) -> Measuring {
        let end = Arc::new(AtomicBool::new(false));
        let ended = end.clone();
        let thread = std::thread::spawn(move || self.requests(|| !ended.load(Ordering::Relaxed)));
        Measuring { end, thread }
    }

    fn requests(&self, mut go_on: impl FnMut() -> bool) -> Latencies {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let client = runtime.block_on(client_of(&self.kubeconfig));
        let namespaces: Api<Namespace> = Api::all(client);
        let (mut pod, mut api) = (Vec::new(), Vec::new());
        while go_on() {
            std::thread::sleep(PAUSE);
            let begun = Instant::now();
            let answer = self.get().expect("the neighbour answers");
            pod.push(begun.elapsed());
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            let begun = Instant::now();
            runtime
                .block_on(namespaces.get("default"))
                .expect("the API answers");
            api.push(begun.elapsed());
        }
        Latencies { pod, api }
    }

    fn get(&self) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: pod\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

impl Measuring {
    #[track_caller]
    pub(crate) fn end(self) -> Latencies {
        self.end.store(true, Ordering::Relaxed);
        self.thread.join().expect("the neighbour is well")
    }
}

impl Latencies {
    /// Prints both, and fails the test if these, under an attack, are much worse than those before.
    #[track_caller]
    pub(crate) fn compare(mut self, mut before: Latencies) {
        let both = [
            ("HTTP pod", &mut before.pod, &mut self.pod),
            ("API", &mut before.api, &mut self.api),
        ];
        for (what, before, during) in both {
            let (before, during) = (quantiles(before), quantiles(during));
            println!("{what:8} before: {before:.1?}; during: {during:.1?} (p50, p99, slowest)");
            let within =
                |before: Duration, during, noise| during <= (2 * before).max(before + noise);
            assert!(
                within(before.0, during.0, NOISE.0) && within(before.1, during.1, NOISE.1),
                "{what} suffers: {before:?} before, {during:?} during"
            );
        }
    }
}

/// The median, the 99th of a hundred, and the slowest.
fn quantiles(times: &mut [Duration]) -> (Duration, Duration, Duration) {
    times.sort();
    let at = |per_cent: usize| times[(times.len() * per_cent / 100).min(times.len() - 1)];
    (at(50), at(99), at(100))
}
