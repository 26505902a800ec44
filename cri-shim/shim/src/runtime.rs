//! `RuntimeService`: the calls on sandboxes and containers. Each is answered in a file of its own
//! concern; here is only the contract's surface.

mod containers;
mod info;
mod sandboxes;
mod start;
mod stop;

use async_trait::async_trait;
use sampan_proto::{Code, ContainerEvents, CriError, RuntimeService, v1};

use crate::shim::Shim;

#[async_trait]
impl RuntimeService for Shim {
    async fn version(&self, _request: v1::VersionRequest) -> Result<v1::VersionResponse, CriError> {
        Ok(info::version())
    }

    async fn status(&self, request: v1::StatusRequest) -> Result<v1::StatusResponse, CriError> {
        Ok(self.runtime_status(request.verbose))
    }

    async fn update_runtime_config(
        &self,
        request: v1::UpdateRuntimeConfigRequest,
    ) -> Result<v1::UpdateRuntimeConfigResponse, CriError> {
        self.keep_pod_cidr(request);
        Ok(v1::UpdateRuntimeConfigResponse {})
    }

    async fn runtime_config(
        &self,
        _request: v1::RuntimeConfigRequest,
    ) -> Result<v1::RuntimeConfigResponse, CriError> {
        Ok(info::runtime_config())
    }

    async fn run_pod_sandbox(
        &self,
        request: v1::RunPodSandboxRequest,
    ) -> Result<v1::RunPodSandboxResponse, CriError> {
        self.run_sandbox(request)
    }

    async fn stop_pod_sandbox(
        &self,
        request: v1::StopPodSandboxRequest,
    ) -> Result<v1::StopPodSandboxResponse, CriError> {
        self.stop_sandbox(&request.pod_sandbox_id).await?;
        Ok(v1::StopPodSandboxResponse {})
    }

    async fn remove_pod_sandbox(
        &self,
        request: v1::RemovePodSandboxRequest,
    ) -> Result<v1::RemovePodSandboxResponse, CriError> {
        if let Some(id) = self.stop_sandbox(&request.pod_sandbox_id).await? {
            self.pods.remove_sandbox(&id);
        }
        Ok(v1::RemovePodSandboxResponse {})
    }

    async fn update_pod_sandbox_resources(
        &self,
        request: v1::UpdatePodSandboxResourcesRequest,
    ) -> Result<v1::UpdatePodSandboxResourcesResponse, CriError> {
        self.update_sandbox(request)?;
        Ok(v1::UpdatePodSandboxResourcesResponse {})
    }

    async fn pod_sandbox_status(
        &self,
        request: v1::PodSandboxStatusRequest,
    ) -> Result<v1::PodSandboxStatusResponse, CriError> {
        self.sandbox_status(&request)
    }

    async fn list_pod_sandbox(
        &self,
        request: v1::ListPodSandboxRequest,
    ) -> Result<v1::ListPodSandboxResponse, CriError> {
        Ok(self.list_sandboxes(request.filter.as_ref()))
    }

    async fn create_container(
        &self,
        request: v1::CreateContainerRequest,
    ) -> Result<v1::CreateContainerResponse, CriError> {
        let container_id = self.create(request).await?;
        Ok(v1::CreateContainerResponse { container_id })
    }

    async fn start_container(
        &self,
        request: v1::StartContainerRequest,
    ) -> Result<v1::StartContainerResponse, CriError> {
        self.start(&request.container_id).await?;
        Ok(v1::StartContainerResponse {})
    }

    async fn stop_container(
        &self,
        request: v1::StopContainerRequest,
    ) -> Result<v1::StopContainerResponse, CriError> {
        self.stop(&request.container_id, request.timeout).await?;
        Ok(v1::StopContainerResponse {})
    }

    async fn remove_container(
        &self,
        request: v1::RemoveContainerRequest,
    ) -> Result<v1::RemoveContainerResponse, CriError> {
        self.remove(&request.container_id).await?;
        Ok(v1::RemoveContainerResponse {})
    }

    async fn list_containers(
        &self,
        request: v1::ListContainersRequest,
    ) -> Result<v1::ListContainersResponse, CriError> {
        Ok(self.list(request.filter.as_ref()))
    }

    async fn container_status(
        &self,
        request: v1::ContainerStatusRequest,
    ) -> Result<v1::ContainerStatusResponse, CriError> {
        let container = self.known(&request.container_id)?;
        Ok(v1::ContainerStatusResponse {
            status: Some(container.status()),
            info: match request.verbose {
                true => container.info(),
                false => Default::default(),
            },
        })
    }

    async fn update_container_resources(
        &self,
        request: v1::UpdateContainerResourcesRequest,
    ) -> Result<v1::UpdateContainerResourcesResponse, CriError> {
        self.update(request)?;
        Ok(v1::UpdateContainerResourcesResponse {})
    }

    async fn reopen_container_log(
        &self,
        request: v1::ReopenContainerLogRequest,
    ) -> Result<v1::ReopenContainerLogResponse, CriError> {
        self.reopen_log(&request.container_id)?;
        Ok(v1::ReopenContainerLogResponse {})
    }

    async fn container_stats(
        &self,
        request: v1::ContainerStatsRequest,
    ) -> Result<v1::ContainerStatsResponse, CriError> {
        let stats = self.known(&request.container_id)?.stats(&self.mountpoint());
        Ok(v1::ContainerStatsResponse { stats: Some(stats) })
    }

    async fn list_container_stats(
        &self,
        request: v1::ListContainerStatsRequest,
    ) -> Result<v1::ListContainerStatsResponse, CriError> {
        Ok(self.list_stats(request.filter.as_ref()))
    }

    async fn get_container_events(
        &self,
        _request: v1::GetEventsRequest,
    ) -> Result<ContainerEvents, CriError> {
        self.pods
            .events
            .subscribe()
            .map_err(|error| CriError::new(Code::ResourceExhausted, error.to_string()))
    }
}
