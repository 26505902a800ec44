//! What the user is told while a container waits for its module to be compiled.

use std::time::{Duration, Instant};

use sampan_proto::{COMPILING, Code, CriError, WAITING_TO_COMPILE, v1};

use super::start::{Place, Start};
use crate::events::Severity;

/// Compilations that are over sooner are nobody's business. Until it is compiled, it is looked at again as often.
const TOLD_AFTER: Duration = Duration::from_secs(1);

/// What the runtime does about a module.
enum Work {
    /// Others are before it.
    Waits,
    /// It is compiled, and so large.
    Compiles(String),
    /// Something else takes long.
    Other,
}

impl Start {
    /// Makes the container; if that takes long because its module is compiled, events say so, and `place` is given up
    /// for others. Nothing is made once the pod is to stop.
    pub(super) async fn create_container(
        &self,
        request: v1::CreateContainerRequest,
        place: &mut Option<Place<'_>>,
    ) -> Result<v1::CreateContainerResponse, CriError> {
        tokio::select! {
            biased;
            // Whoever else waits for the module gets it all the same.
            () = self.cancel.cancelled() => {
                Err(CriError::new(Code::Cancelled, "the pod is to stop"))
            }
            done = self.create_and_tell(request, place) => done,
        }
    }

    async fn create_and_tell(
        &self,
        request: v1::CreateContainerRequest,
        place: &mut Option<Place<'_>>,
    ) -> Result<v1::CreateContainerResponse, CriError> {
        let mut begun = Instant::now();
        let mut call = self.shared.runtime.create_container(request);
        let image = self.container.image.as_deref().unwrap_or_default();
        let mut told = false;
        let size = loop {
            if let Ok(done) = tokio::time::timeout(TOLD_AFTER, &mut call).await {
                return done;
            }
            let work = self.work().await;
            if !matches!(work, Work::Other) {
                *place = None;
            }
            match work {
                Work::Compiles(size) => break size,
                Work::Waits if !told => {
                    told = true;
                    let what = format!("the module of image \"{image}\" waits for others");
                    self.tell("WaitingToCompile", &format!("Waiting to compile: {what}"));
                }
                // A large module is read before it is compiled.
                Work::Waits | Work::Other => {}
            }
            begun = Instant::now();
        };
        let what = format!("the module of image \"{image}\" ({size} bytes)");
        self.tell("Compiling", &format!("Compiling {what}"));
        let done = call.await;
        if done.is_ok() {
            let seconds = begun.elapsed().as_secs_f32();
            self.tell("Compiled", &format!("Compiled {what} in {seconds:.1}s"));
        }
        done
    }

    /// What the runtime does about the module of this pod.
    async fn work(&self) -> Work {
        let request = v1::PodSandboxStatusRequest {
            pod_sandbox_id: self.sandbox_id.clone(),
            verbose: true,
        };
        let status = self.shared.runtime.pod_sandbox_status(request).await;
        let mut info = status.map(|status| status.info).unwrap_or_default();
        match info.remove(COMPILING) {
            Some(size) => Work::Compiles(size),
            None if info.contains_key(WAITING_TO_COMPILE) => Work::Waits,
            None => Work::Other,
        }
    }

    fn tell(&self, reason: &str, message: &str) {
        let name = &self.container.name;
        self.recorder
            .container(name, Severity::Normal, reason, message);
    }
}
