//! Signals of CRI as Linux numbers them. Pure.

use sampan_proto::v1::Signal;

/// The first and the last real-time signal, as C libraries have them.
const REAL_TIME: (i32, i32) = (34, 64);

/// The number of a signal of CRI; `None` for what leaves the choice to the runtime.
pub(crate) fn number(signal: i32) -> Option<i32> {
    let name = Signal::try_from(signal).ok()?.as_str_name();
    if let Some(more) = name.strip_prefix("SIGRTMINPLUS") {
        return Some(REAL_TIME.0 + more.parse::<i32>().ok()?);
    }
    if let Some(less) = name.strip_prefix("SIGRTMAXMINUS") {
        return Some(REAL_TIME.1 - less.parse::<i32>().ok()?);
    }
    Some(match name {
        "SIGHUP" => 1,
        "SIGINT" => 2,
        "SIGQUIT" => 3,
        "SIGILL" => 4,
        "SIGTRAP" => 5,
        "SIGABRT" | "SIGIOT" => 6,
        "SIGBUS" => 7,
        "SIGFPE" => 8,
        "SIGKILL" => 9,
        "SIGUSR1" => 10,
        "SIGSEGV" => 11,
        "SIGUSR2" => 12,
        "SIGPIPE" => 13,
        "SIGALRM" => 14,
        "SIGTERM" => 15,
        "SIGSTKFLT" => 16,
        "SIGCHLD" | "SIGCLD" => 17,
        "SIGCONT" => 18,
        "SIGSTOP" => 19,
        "SIGTSTP" => 20,
        "SIGTTIN" => 21,
        "SIGTTOU" => 22,
        "SIGURG" => 23,
        "SIGXCPU" => 24,
        "SIGXFSZ" => 25,
        "SIGVTALRM" => 26,
        "SIGPROF" => 27,
        "SIGWINCH" => 28,
        "SIGIO" | "SIGPOLL" => 29,
        "SIGPWR" => 30,
        "SIGSYS" => 31,
        "SIGRTMIN" => REAL_TIME.0,
        "SIGRTMAX" => REAL_TIME.1,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_has_the_number_of_linux() {
        let of = |signal: Signal| number(signal.into());
        assert_eq!(of(Signal::RuntimeDefault), None);
        assert_eq!(number(1_000), None);
        assert_eq!(of(Signal::Sigterm), Some(15));
        assert_eq!(of(Signal::Sigusr1), Some(10));
        assert_eq!(of(Signal::Sigrtminplus3), Some(37));
        assert_eq!(of(Signal::Sigrtmaxminus14), Some(50));
        let all: Vec<i32> = (1..=65)
            .map(|signal| number(signal).expect("a number"))
            .collect();
        assert!(all.iter().all(|number| (1..=64).contains(number)));
    }
}
