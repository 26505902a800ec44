//! What the user is told while a container waits for its module to be compiled.

use std::time::{Duration, Instant};

use sampan_proto::{COMPILING, CriError, v1};

use super::start::Start;
use crate::events::Severity;

/// Compilations that are over sooner are nobody's business.
const TOLD_AFTER: Duration = Duration::from_secs(1);

impl Start {
    /// Makes the container; if that takes long because its module is compiled, events say so.
    pub(super) async fn create_container(
        &self,
        request: v1::CreateContainerRequest,
    ) -> Result<v1::CreateContainerResponse, CriError> {
        let begun = Instant::now();
        let mut call = self.shared.runtime.create_container(request);
        if let Ok(done) = tokio::time::timeout(TOLD_AFTER, &mut call).await {
            return done;
        }
        let Some(size) = self.compiling().await else {
            return call.await;
        };
        let image = self.container.image.as_deref().unwrap_or_default();
        let what = format!("the module of image \"{image}\" ({size} bytes)");
        self.tell("Compiling", &format!("Compiling {what}"));
        let done = call.await;
        if done.is_ok() {
            let seconds = begun.elapsed().as_secs_f32();
            self.tell("Compiled", &format!("Compiled {what} in {seconds:.1}s"));
        }
        done
    }

    /// The size of the module that the runtime is compiling for this pod.
    async fn compiling(&self) -> Option<String> {
        let request = v1::PodSandboxStatusRequest {
            pod_sandbox_id: self.sandbox_id.clone(),
            verbose: true,
        };
        let status = self.shared.runtime.pod_sandbox_status(request).await;
        status.ok()?.info.remove(COMPILING)
    }

    fn tell(&self, reason: &str, message: &str) {
        let name = &self.container.name;
        self.recorder
            .container(name, Severity::Normal, reason, message);
    }
}
