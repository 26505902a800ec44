//! What commands say on their way.
//!
//! Whoever started a command may read no more: that is no reason to end, so a line that nobody takes is dropped where
//! `println!` would panic. Results that somebody asked for are printed by their commands, and do fail.

use std::fmt::Arguments;
use std::io::Write;

/// How refusals of the server begin.
pub(crate) const FROM_SERVER: &str = "Error from server";

/// A line on stdout.
pub(crate) fn say(line: Arguments<'_>) {
    note(writeln!(std::io::stdout(), "{line}"));
}

/// A line on stderr.
pub(crate) fn complain(line: Arguments<'_>) {
    note(writeln!(std::io::stderr(), "{line}"));
}

fn note(said: std::io::Result<()>) {
    if let Err(error) = said {
        tracing::debug!(%error, "nobody reads what is said");
    }
}

/// An error with its causes on one line. Of what the server refused, its own message counts, said as kubectl says it.
pub(crate) fn words(error: &anyhow::Error) -> String {
    let mut words: Vec<String> = Vec::new();
    for cause in error.chain() {
        if let Some(kube::Error::Api(status)) = cause.downcast_ref() {
            words.push(from_server(&status.reason, &status.message));
            break;
        }
        let text = cause.to_string();
        // Some errors hold their cause's text already.
        match words.last_mut() {
            Some(last) if last.ends_with(&text) => {}
            Some(last) if text.ends_with(last.as_str()) => *last = text,
            _ => words.push(text),
        }
    }
    words.join(": ")
}

/// What the server said, as kubectl says it.
pub(crate) fn from_server(reason: &str, message: &str) -> String {
    match reason {
        "" => format!("{FROM_SERVER}: {message}"),
        _ => format!("{FROM_SERVER} ({reason}): {message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;
    use kube::core::Status;

    #[test]
    fn the_server_is_quoted() {
        let refused = |reason: &str| {
            let status = Status::failure("pods \"p\" is forbidden: no", reason).with_code(403);
            kube::Error::Api(Box::new(status))
        };
        let plain = anyhow::Error::new(refused("Forbidden"));
        let quoted = "Error from server (Forbidden): pods \"p\" is forbidden: no";
        assert_eq!(words(&plain), quoted);
        let within = Err::<(), _>(refused("Forbidden")).context("a.yaml: Pod p");
        let within = within.expect_err("an error");
        assert_eq!(words(&within), format!("a.yaml: Pod p: {quoted}"));
        let unnamed = anyhow::Error::new(refused(""));
        assert!(words(&unnamed).starts_with("Error from server: pods"));
    }

    #[test]
    fn other_errors_are_said_with_their_causes_once() {
        let file = std::fs::read("/does/not/exist").map(drop);
        let error = file.context("cannot read").context("no module");
        let text = words(&error.expect_err("an error"));
        assert_eq!(
            text,
            "no module: cannot read: No such file or directory (os error 2)"
        );
    }
}
