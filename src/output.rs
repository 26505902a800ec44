//! What commands say on their way.
//!
//! Whoever started a command may read no more: that is no reason to end, so a line that nobody takes is dropped where
//! `println!` would panic. Results that somebody asked for are printed by their commands, and do fail.

use std::fmt::Arguments;
use std::io::Write;

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
