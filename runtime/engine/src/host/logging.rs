//! `wasi:logging`: a message is one line of standard error, `LEVEL context: message`.

use crate::exit::truncate;
use crate::output::Output;
use crate::state::ComponentState;
use bindings::wasi::logging::logging::{Host, Level, add_to_linker as add_logging};
use bytes::Bytes;
use wasmtime::component::{HasData, Linker};

/// Bytes of a context; longer ones are cut.
const MAX_CONTEXT: usize = 256;

/// Bytes of a message; longer ones are cut. With its level and context a line stays below the 16 KiB at which logs cut
/// lines.
const MAX_MESSAGE: usize = 15 << 10;

mod bindings {
    wasmtime::component::bindgen!({
        path: "wit/logging",
        world: "wasi:logging/imports",
        imports: { default: async | trappable },
    });
}

/// The log of one instance; nothing for a container without.
pub(crate) struct Logging<'a>(pub(super) Option<&'a Output>);

struct HasLogging;

impl HasData for HasLogging {
    type Data<'a> = Logging<'a>;
}

pub(super) fn add_to_linker(
    linker: &mut Linker<ComponentState>,
    get: fn(&mut ComponentState) -> Logging<'_>,
) -> wasmtime::Result<()> {
    add_logging::<ComponentState, HasLogging>(linker, get)
}

impl Host for Logging<'_> {
    async fn log(
        &mut self,
        level: Level,
        context: String,
        message: String,
    ) -> wasmtime::Result<()> {
        if let Some(output) = self.0 {
            output.put(Bytes::from(line(level, context, message))).await;
        }
        Ok(())
    }
}

fn line(level: Level, mut context: String, mut message: String) -> String {
    truncate(&mut context, MAX_CONTEXT);
    truncate(&mut message, MAX_MESSAGE);
    let mut line = String::with_capacity(context.len() + message.len() + 16);
    line.push_str(name(level));
    line.push(' ');
    if !context.is_empty() {
        push_escaped(&mut line, &context);
        line.push_str(": ");
    }
    push_escaped(&mut line, &message);
    truncate(&mut line, MAX_CONTEXT + MAX_MESSAGE);
    line.push('\n');
    line
}

fn name(level: Level) -> &'static str {
    match level {
        Level::Trace => "TRACE",
        Level::Debug => "DEBUG",
        Level::Info => "INFO",
        Level::Warn => "WARN",
        Level::Error => "ERROR",
        Level::Critical => "CRITICAL",
    }
}

/// One message is one line, whatever is in it: nobody can forge another's line.
fn push_escaped(line: &mut String, text: &str) {
    for c in text.chars() {
        if c.is_control() && c != '\t' {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line() {
        let cases = [
            (Level::Info, "", "hello", "INFO hello\n"),
            (Level::Critical, "db", "no disk", "CRITICAL db: no disk\n"),
            (
                Level::Warn,
                "a\nb",
                "c\r\n\x1b[2Jd\te",
                "WARN a\\nb: c\\r\\n\\u{1b}[2Jd\te\n",
            ),
            (Level::Trace, "x", "", "TRACE x: \n"),
        ];
        for (level, context, message, expected) in cases {
            assert_eq!(
                line(level, context.to_owned(), message.to_owned()),
                expected
            );
        }
    }

    #[test]
    fn a_line_is_bounded() {
        let long = line(Level::Error, "é".repeat(1_000), "\0".repeat(1 << 20));
        assert!(
            long.len() <= MAX_CONTEXT + MAX_MESSAGE + 1,
            "{}",
            long.len()
        );
        assert!(long.ends_with('\n') && long.starts_with("ERROR éé"));
    }
}
