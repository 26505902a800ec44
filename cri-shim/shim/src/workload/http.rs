//! What a pod says about its HTTP handlers: how far their instances are reused, and limits of a request. Pure.

use std::time::Duration;

use sampan_engine::{HttpLimits, Reuse};

use crate::annotations::Annotations;

/// Requests one instance answers before it is replaced; without it each request gets a fresh one.
const REQUESTS: &str = "sampan.dev/requests-per-instance";

/// Requests such an instance answers side by side, if it is a guest of WASI 0.3; 1 if the pod does not say.
const CONCURRENT: &str = "sampan.dev/concurrency-per-instance";

/// How long an instance waits for its next request, as in `30s`.
const IDLE: &str = "sampan.dev/idle-instance-timeout";

/// Time until a response begins.
const RESPONSE: &str = "sampan.dev/response-timeout";

/// Time until a request and its response are over.
const REQUEST: &str = "sampan.dev/request-timeout";

/// Bytes of a request's body, as in `64Mi`.
const BODY: &str = "sampan.dev/max-request-body";

/// The most requests one instance may be asked to answer.
const MAX_REQUESTS: u32 = 1_000_000;

/// The most requests one instance may be asked to answer side by side.
const MAX_CONCURRENT: u32 = 1_000;

/// How long an instance waits if the pod does not say.
const DEFAULT_IDLE: Duration = Duration::from_secs(30);

/// The longest an instance may be asked to wait, and a response to let wait for it.
const MAX_WAIT: Duration = Duration::from_secs(3_600);

/// The longest a request may take.
const MAX_REQUEST: Duration = Duration::from_secs(7 * 24 * 3_600);

/// The largest body: bytes pass through, so this is no matter of memory.
const MAX_BODY: u64 = 1 << 40;

/// Why a pod's wishes cannot be met.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("annotation {REQUESTS} is {0:?}; it must be a number from 1 to {MAX_REQUESTS}")]
    Requests(String),
    #[error("annotation {CONCURRENT} is {0:?}; it must be a number from 1 to {MAX_CONCURRENT}")]
    Concurrent(String),
    #[error(
        "annotation {key} is {value:?}; it must be a time up to {most}, as in 500ms, 30s or 5m"
    )]
    Time {
        key: &'static str,
        value: String,
        most: &'static str,
    },
    #[error(
        "annotation {BODY} is {0:?}; it must be a number of bytes up to 1Ti, as in 500k or 64Mi"
    )]
    Body(String),
    #[error("annotation {0} has no meaning without {REQUESTS}")]
    Alone(&'static str),
}

/// What is not said is as the node has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct HttpWishes {
    reuse: Option<Reuse>,
    response_timeout: Option<Duration>,
    request_timeout: Option<Duration>,
    max_body_bytes: Option<u64>,
}

impl HttpWishes {
    pub(super) fn read(annotations: &Annotations<'_>) -> Result<HttpWishes, HttpError> {
        let request_timeout = annotations
            .get(REQUEST)
            .map(|text| time_up_to(REQUEST, text, MAX_REQUEST, "a week"));
        let body = annotations.get(BODY).map(|text| {
            bytes(text)
                .filter(|bytes| *bytes <= MAX_BODY)
                .ok_or_else(|| HttpError::Body(text.to_string()))
        });
        Ok(HttpWishes {
            reuse: reuse(annotations)?,
            response_timeout: up_to_an_hour(annotations, RESPONSE)?,
            request_timeout: request_timeout.transpose()?,
            max_body_bytes: body.transpose()?,
        })
    }

    pub(crate) fn apply(self, limits: &mut HttpLimits) {
        limits.reuse = self.reuse;
        if let Some(timeout) = self.response_timeout {
            limits.response_timeout = timeout;
        }
        // A response that may begin late may end late.
        limits.request_timeout = self
            .request_timeout
            .unwrap_or(limits.request_timeout.max(limits.response_timeout));
        if let Some(bytes) = self.max_body_bytes {
            limits.max_body_bytes = bytes;
        }
    }
}

fn reuse(annotations: &Annotations<'_>) -> Result<Option<Reuse>, HttpError> {
    let (concurrent, idle) = (
        annotations.get(CONCURRENT),
        up_to_an_hour(annotations, IDLE)?,
    );
    let Some(requests) = annotations.get(REQUESTS) else {
        return match (concurrent, idle) {
            (Some(_), _) => Err(HttpError::Alone(CONCURRENT)),
            (None, Some(_)) => Err(HttpError::Alone(IDLE)),
            (None, None) => Ok(None),
        };
    };
    let max_requests =
        number(requests, MAX_REQUESTS).ok_or_else(|| HttpError::Requests(requests.to_string()))?;
    let max_concurrent = match concurrent {
        None => 1,
        Some(text) => {
            number(text, MAX_CONCURRENT).ok_or_else(|| HttpError::Concurrent(text.to_string()))?
        }
    };
    Ok(Some(Reuse {
        max_requests,
        max_concurrent,
        idle_timeout: idle.unwrap_or(DEFAULT_IDLE),
    }))
}

fn up_to_an_hour(
    annotations: &Annotations<'_>,
    key: &'static str,
) -> Result<Option<Duration>, HttpError> {
    let text = annotations.get(key);
    text.map(|text| time_up_to(key, text, MAX_WAIT, "an hour"))
        .transpose()
}

fn time_up_to(
    key: &'static str,
    text: &str,
    limit: Duration,
    most: &'static str,
) -> Result<Duration, HttpError> {
    time(text)
        .filter(|time| *time <= limit)
        .ok_or_else(|| HttpError::Time {
            key,
            value: text.to_string(),
            most,
        })
}

/// A whole number from 1 up.
fn number(text: &str, most: u32) -> Option<u32> {
    let number = text.parse::<u32>().ok()?;
    (1..=most).contains(&number).then_some(number)
}

/// A whole number and its unit.
fn time(text: &str) -> Option<Duration> {
    let (number, unit) = number_and_unit(text)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

/// A whole number of bytes, with a unit of Kubernetes' quantities or without.
fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let factor = match unit {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(factor)
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn check(pod: &[(&str, &str)]) -> Result<HttpWishes, HttpError> {
        let pod = pod.iter();
        let pod = pod.map(|(key, value)| (key.to_string(), value.to_string()));
        HttpWishes::read(&Annotations {
            pod: &pod.collect(),
            container: &BTreeMap::new(),
            name: "web",
        })
    }

    fn not_a_time(key: &'static str, value: &str, most: &'static str) -> HttpError {
        HttpError::Time {
            key,
            value: value.to_string(),
            most,
        }
    }

    #[test]
    fn reuse_is_bounded() {
        let of = |requests: &str, idle: &str| check(&[(REQUESTS, requests), (IDLE, idle)]);
        for (idle, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
        ] {
            let expected = Reuse {
                max_requests: 100,
                max_concurrent: 1,
                idle_timeout: Duration::from_millis(millis),
            };
            assert_eq!(of("100", idle).expect(idle).reuse, Some(expected));
        }
        let default = check(&[(REQUESTS, "2")]).expect("valid").reuse;
        assert_eq!(default.map(|reuse| reuse.idle_timeout), Some(DEFAULT_IDLE));
        for requests in ["0", "-1", "1000001", "many", ""] {
            let error = HttpError::Requests(requests.to_string());
            assert_eq!(of(requests, "1s"), Err(error));
        }
        for idle in ["", "30", "s", "2h", "1d", "-1s", "99999999999999999999s"] {
            assert_eq!(of("1", idle), Err(not_a_time(IDLE, idle, "an hour")));
        }
        for (key, value) in [(IDLE, "1s"), (CONCURRENT, "1")] {
            assert_eq!(check(&[(key, value)]), Err(HttpError::Alone(key)));
        }
        let of = |text: &str| check(&[(REQUESTS, "2"), (CONCURRENT, text)]);
        let shared = of("16").expect("valid").reuse;
        assert_eq!(shared.map(|reuse| reuse.max_concurrent), Some(16));
        assert_eq!(of("1001"), Err(HttpError::Concurrent("1001".to_string())));
    }

    #[test]
    fn limits_of_a_request_are_the_pods_if_it_says_so() {
        let limits = |pod: &[(&str, &str)]| {
            let mut limits = HttpLimits::default();
            check(pod).map(|wishes| {
                wishes.apply(&mut limits);
                (
                    limits.response_timeout.as_secs(),
                    limits.request_timeout.as_secs(),
                    limits.max_body_bytes,
                )
            })
        };
        assert_eq!(limits(&[]), Ok((30, 600, 64 << 20)));
        assert_eq!(limits(&[(RESPONSE, "1h")]), Ok((3_600, 3_600, 64 << 20)));
        let own = [
            ("sampan.dev/response-timeout.web", "2m"),
            ("sampan.dev/response-timeout.db", "3m"),
            (REQUEST, "168h"),
            (BODY, "2Gi"),
        ];
        assert_eq!(limits(&own), Ok((120, 604_800, 2 << 30)));
        assert_eq!(limits(&[(BODY, "500k")]), Ok((30, 600, 500_000)));
        for (key, value, most) in [(RESPONSE, "61m", "an hour"), (REQUEST, "169h", "a week")] {
            assert_eq!(limits(&[(key, value)]), Err(not_a_time(key, value, most)));
        }
        for value in ["", "-1", "1.5Mi", "2Ti", "1Kb", "99999999999Gi"] {
            let error = HttpError::Body(value.to_string());
            assert_eq!(limits(&[(BODY, value)]), Err(error), "{value}");
        }
    }
}
