//! The calls of the contract. Names and requests are CRI's; streams are `BoxStream`s.

use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::error::CriError;
use crate::v1;

/// The stream of [`RuntimeService::get_container_events`]. It ends when the runtime goes away or
/// when the subscriber fell too far behind: list and status calls then tell the present state.
pub type ContainerEvents = BoxStream<'static, v1::ContainerEventResponse>;

/// Sandboxes and containers.
///
/// Stop and remove calls succeed for ids that are unknown or already stopped; status calls answer
/// `NotFound` for them.
#[async_trait]
pub trait RuntimeService: Send + Sync + 'static {
    async fn version(&self, request: v1::VersionRequest) -> Result<v1::VersionResponse, CriError>;
    async fn status(&self, request: v1::StatusRequest) -> Result<v1::StatusResponse, CriError>;
    async fn update_runtime_config(
        &self,
        request: v1::UpdateRuntimeConfigRequest,
    ) -> Result<v1::UpdateRuntimeConfigResponse, CriError>;
    async fn runtime_config(
        &self,
        request: v1::RuntimeConfigRequest,
    ) -> Result<v1::RuntimeConfigResponse, CriError>;

    /// Makes a sandbox and starts it: it is READY when the call returns.
    async fn run_pod_sandbox(
        &self,
        request: v1::RunPodSandboxRequest,
    ) -> Result<v1::RunPodSandboxResponse, CriError>;
    /// Kills what runs in the sandbox and gives back its network.
    async fn stop_pod_sandbox(
        &self,
        request: v1::StopPodSandboxRequest,
    ) -> Result<v1::StopPodSandboxResponse, CriError>;
    /// Removes the sandbox and its containers, killing what still runs.
    async fn remove_pod_sandbox(
        &self,
        request: v1::RemovePodSandboxRequest,
    ) -> Result<v1::RemovePodSandboxResponse, CriError>;
    /// Changes the limits of all containers of a sandbox together, which may run.
    async fn update_pod_sandbox_resources(
        &self,
        request: v1::UpdatePodSandboxResourcesRequest,
    ) -> Result<v1::UpdatePodSandboxResourcesResponse, CriError>;
    async fn pod_sandbox_status(
        &self,
        request: v1::PodSandboxStatusRequest,
    ) -> Result<v1::PodSandboxStatusResponse, CriError>;
    async fn list_pod_sandbox(
        &self,
        request: v1::ListPodSandboxRequest,
    ) -> Result<v1::ListPodSandboxResponse, CriError>;

    async fn create_container(
        &self,
        request: v1::CreateContainerRequest,
    ) -> Result<v1::CreateContainerResponse, CriError>;
    /// The log file exists when the call returns.
    async fn start_container(
        &self,
        request: v1::StartContainerRequest,
    ) -> Result<v1::StartContainerResponse, CriError>;
    /// Returns when the container has stopped, at the latest after the request's timeout.
    async fn stop_container(
        &self,
        request: v1::StopContainerRequest,
    ) -> Result<v1::StopContainerResponse, CriError>;
    /// Kills the container first when it runs.
    async fn remove_container(
        &self,
        request: v1::RemoveContainerRequest,
    ) -> Result<v1::RemoveContainerResponse, CriError>;
    async fn list_containers(
        &self,
        request: v1::ListContainersRequest,
    ) -> Result<v1::ListContainersResponse, CriError>;
    async fn container_status(
        &self,
        request: v1::ContainerStatusRequest,
    ) -> Result<v1::ContainerStatusResponse, CriError>;
    /// Changes the limits of a container, running or not.
    async fn update_container_resources(
        &self,
        request: v1::UpdateContainerResourcesRequest,
    ) -> Result<v1::UpdateContainerResourcesResponse, CriError>;
    /// Opens the log path anew after the file was renamed. The new file exists on return.
    async fn reopen_container_log(
        &self,
        request: v1::ReopenContainerLogRequest,
    ) -> Result<v1::ReopenContainerLogResponse, CriError>;

    async fn container_stats(
        &self,
        request: v1::ContainerStatsRequest,
    ) -> Result<v1::ContainerStatsResponse, CriError>;
    async fn list_container_stats(
        &self,
        request: v1::ListContainerStatsRequest,
    ) -> Result<v1::ListContainerStatsResponse, CriError>;

    /// Changes of containers from now on, in order.
    async fn get_container_events(
        &self,
        request: v1::GetEventsRequest,
    ) -> Result<ContainerEvents, CriError>;
}

/// Images on the node.
#[async_trait]
pub trait ImageService: Send + Sync + 'static {
    async fn list_images(
        &self,
        request: v1::ListImagesRequest,
    ) -> Result<v1::ListImagesResponse, CriError>;
    /// An image that is not on the node is an answer without `image`, not an error.
    async fn image_status(
        &self,
        request: v1::ImageStatusRequest,
    ) -> Result<v1::ImageStatusResponse, CriError>;
    async fn pull_image(
        &self,
        request: v1::PullImageRequest,
    ) -> Result<v1::PullImageResponse, CriError>;
    /// Removes every name of the image with it; succeeds when it is not there.
    async fn remove_image(
        &self,
        request: v1::RemoveImageRequest,
    ) -> Result<v1::RemoveImageResponse, CriError>;
    async fn image_fs_info(
        &self,
        request: v1::ImageFsInfoRequest,
    ) -> Result<v1::ImageFsInfoResponse, CriError>;
}
