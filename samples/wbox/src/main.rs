//! Small tools in one module: which of them runs is the name it is called by, as with busybox.
//!
//! In an image its names are links to it: `/bin/cat -> wbox.wasm`. `wbox cat FILE` works as well.

mod files;
mod system;
mod test;
mod text;

use std::io::{self, Write};
use std::process::ExitCode;

/// What a tool comes to: its exit code, or an error that is printed for it.
type Outcome = io::Result<u8>;

/// A tool.
type Applet = fn(&[String]) -> Outcome;

const APPLETS: &[(&str, Applet)] = &[
    ("[", test::bracket),
    ("cat", files::cat),
    ("cp", files::cp),
    ("date", system::date),
    ("echo", text::echo),
    ("env", system::env),
    ("false", |_| Ok(1)),
    ("head", text::head),
    ("hostname", system::hostname),
    ("id", system::id),
    ("ls", files::ls),
    ("mkdir", files::mkdir),
    ("printf", text::printf),
    ("pwd", system::pwd),
    ("rm", files::rm),
    ("seq", text::seq),
    ("sleep", system::sleep),
    ("test", test::test),
    ("touch", files::touch),
    ("true", |_| Ok(0)),
    ("wc", text::wc),
];

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().collect();
    let mut name = args.first().map(|name| base(name)).unwrap_or_default();
    if find(&name).is_none() && args.len() > 1 {
        args.remove(0);
        name = base(&args[0]);
    }
    let Some(applet) = find(&name) else {
        let names: Vec<&str> = APPLETS.iter().map(|(name, _)| *name).collect();
        eprintln!("{name}: applet not found; there are: {}", names.join(" "));
        return ExitCode::from(127);
    };
    let outcome = applet(&args[1..]).and_then(|code| io::stdout().flush().map(|()| code));
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn find(name: &str) -> Option<Applet> {
    let found = APPLETS.iter().find(|(known, _)| *known == name);
    found.map(|(_, applet)| *applet)
}

fn base(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.trim_end_matches(".wasm").to_owned()
}

/// An error of usage.
fn usage(text: &str) -> io::Error {
    io::Error::other(format!("usage: {text}"))
}

/// An error of a file, with its name.
fn at(path: &str) -> impl Fn(io::Error) -> io::Error + '_ {
    // The system's own text, without Rust's number behind it.
    move |error| {
        let text = error.to_string();
        let text = text.split(" (os error").next().unwrap_or_default().to_owned();
        io::Error::new(error.kind(), format!("{path}: {text}"))
    }
}
