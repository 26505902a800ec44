//! How a CRI call fails: a gRPC code and a message.

use std::fmt;

/// The gRPC status codes of failure, by their protocol numbers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(i32)]
pub enum Code {
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

impl Code {
    const ALL: [Code; 16] = [
        Code::Cancelled,
        Code::Unknown,
        Code::InvalidArgument,
        Code::DeadlineExceeded,
        Code::NotFound,
        Code::AlreadyExists,
        Code::PermissionDenied,
        Code::ResourceExhausted,
        Code::FailedPrecondition,
        Code::Aborted,
        Code::OutOfRange,
        Code::Unimplemented,
        Code::Internal,
        Code::Unavailable,
        Code::DataLoss,
        Code::Unauthenticated,
    ];

    /// The number on the wire.
    pub fn number(self) -> i32 {
        self as i32
    }

    /// The code of a number on the wire. A number outside the protocol is `Unknown`, as gRPC
    /// asks; zero is success and so no code of failure.
    pub fn from_number(number: i32) -> Option<Code> {
        if number == 0 {
            return None;
        }
        Some(
            Code::ALL
                .into_iter()
                .find(|code| code.number() == number)
                .unwrap_or(Code::Unknown),
        )
    }
}

/// Prints as gRPC libraries do: `NotFound`.
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A failed call. The message is written for the reader of a pod's status.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct CriError {
    pub code: Code,
    pub message: String,
}

impl CriError {
    pub fn new(code: Code, message: impl Into<String>) -> CriError {
        CriError {
            code,
            message: message.into(),
        }
    }

    pub fn not_found(message: impl Into<String>) -> CriError {
        CriError::new(Code::NotFound, message)
    }

    pub fn invalid_argument(message: impl Into<String>) -> CriError {
        CriError::new(Code::InvalidArgument, message)
    }

    pub fn failed_precondition(message: impl Into<String>) -> CriError {
        CriError::new(Code::FailedPrecondition, message)
    }

    pub fn internal(message: impl Into<String>) -> CriError {
        CriError::new(Code::Internal, message)
    }

    pub fn is_not_found(&self) -> bool {
        self.code == Code::NotFound
    }

    /// The reason the message of a failed pull starts with, if it has one.
    pub fn pull_reason(&self) -> Option<PullReason> {
        [
            PullReason::RegistryUnavailable,
            PullReason::SignatureValidationFailed,
        ]
        .into_iter()
        .find(|reason| self.message.starts_with(reason.as_str()))
    }
}

/// Words by which a runtime tells a kubelet why a pull failed: its message starts with one, and
/// the kubelet shows it as the container's waiting reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PullReason {
    RegistryUnavailable,
    SignatureValidationFailed,
}

impl PullReason {
    pub fn as_str(self) -> &'static str {
        match self {
            PullReason::RegistryUnavailable => "RegistryUnavailable",
            PullReason::SignatureValidationFailed => "SignatureValidationFailed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip_through_their_numbers() {
        for code in Code::ALL {
            assert_eq!(Code::from_number(code.number()), Some(code));
        }
        assert_eq!(Code::from_number(0), None);
        assert_eq!(Code::from_number(99), Some(Code::Unknown));
        assert_eq!(Code::NotFound.number(), 5);
        assert_eq!(Code::Unauthenticated.number(), 16);
    }

    #[test]
    fn pull_reason_is_read_from_the_message() {
        let down = CriError::new(Code::Unavailable, "RegistryUnavailable: connection refused");
        assert_eq!(down.pull_reason(), Some(PullReason::RegistryUnavailable));
        assert_eq!(CriError::not_found("no such image").pull_reason(), None);
    }
}
