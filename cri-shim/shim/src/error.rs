//! The one place where our errors become codes of the contract.

use std::error::Error;

use sampan_engine::{LoadError, StartError};
use sampan_image::{ModuleError, PullError};
use sampan_proto::{Code, CriError, PullReason};

use crate::capabilities::CapabilityError;
use crate::host::GrantError;
use crate::launch::LaunchError;
use crate::mounts::MountError;
use crate::phase::Refused;
use crate::ports::PortsError;
use crate::workload::WorkloadError;

/// An error with its causes on one line, as pod statuses show it.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some libraries repeat their cause in their own text.
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

pub(crate) fn unknown_sandbox(id: &str) -> CriError {
    CriError::not_found(format!("pod sandbox {id:?} not found"))
}

pub(crate) fn unknown_container(id: &str) -> CriError {
    CriError::not_found(format!("container {id:?} not found"))
}

pub(crate) fn unknown_image(reference: &str) -> CriError {
    CriError::not_found(format!("image {reference:?} not found on this node"))
}

pub(crate) fn from_module(error: &ModuleError) -> CriError {
    let code = match error {
        ModuleError::Io { .. } => Code::Internal,
        _ => Code::InvalidArgument,
    };
    CriError::new(code, chain(error))
}

pub(crate) fn from_load(error: &LoadError) -> CriError {
    let code = match error {
        LoadError::Io { .. } | LoadError::Cache { .. } => Code::Internal,
        LoadError::CompileMemory { .. } => Code::ResourceExhausted,
        LoadError::ReadTime { .. } | LoadError::CompileTime { .. } => Code::DeadlineExceeded,
        _ => Code::InvalidArgument,
    };
    CriError::new(code, chain(error))
}

pub(crate) fn from_start(error: &StartError) -> CriError {
    let code = match error {
        StartError::Listen { .. } | StartError::NoAddress => Code::FailedPrecondition,
        StartError::Mount { .. } | StartError::Entry(_) | StartError::TooManyMemories { .. } => {
            Code::InvalidArgument
        }
        StartError::TooManyInstances { .. } => Code::ResourceExhausted,
        StartError::NotGiven { .. } => Code::PermissionDenied,
        StartError::ShuttingDown => Code::Unavailable,
    };
    CriError::new(code, chain(error))
}

pub(crate) fn from_pull(error: &PullError) -> CriError {
    let code = match error {
        PullError::InvalidName { .. } => Code::InvalidArgument,
        PullError::NotFound { .. } => Code::NotFound,
        PullError::Unauthorized { .. } => Code::Unauthenticated,
        PullError::Unavailable { .. } => Code::Unavailable,
        PullError::Invalid { .. } => Code::FailedPrecondition,
        PullError::TooLarge { .. } => Code::ResourceExhausted,
        PullError::Storage { .. } => Code::Internal,
    };
    let message = chain(error);
    match error {
        // Kubelets read this word and show it as the waiting reason.
        PullError::Unavailable { .. } => CriError::new(
            code,
            format!("{}: {message}", PullReason::RegistryUnavailable.as_str()),
        ),
        _ => CriError::new(code, message),
    }
}

impl From<LaunchError> for CriError {
    fn from(error: LaunchError) -> CriError {
        CriError::invalid_argument(chain(&error))
    }
}

impl From<MountError> for CriError {
    fn from(error: MountError) -> CriError {
        let code = match error {
            MountError::ImageVolume { .. } => Code::Unimplemented,
            _ => Code::InvalidArgument,
        };
        CriError::new(code, chain(&error))
    }
}

impl From<CapabilityError> for CriError {
    fn from(error: CapabilityError) -> CriError {
        CriError::new(Code::PermissionDenied, chain(&error))
    }
}

impl From<GrantError> for CriError {
    fn from(error: GrantError) -> CriError {
        CriError::invalid_argument(chain(&error))
    }
}

impl From<PortsError> for CriError {
    fn from(error: PortsError) -> CriError {
        CriError::invalid_argument(chain(&error))
    }
}

impl From<WorkloadError> for CriError {
    fn from(error: WorkloadError) -> CriError {
        CriError::invalid_argument(chain(&error))
    }
}

impl From<Refused> for CriError {
    fn from(error: Refused) -> CriError {
        CriError::failed_precondition(error.to_string())
    }
}
