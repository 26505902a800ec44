//! What a module can reach outside itself, told by its imports before it runs.
//!
//! Pure: names in, capabilities out. The names are an interface of their own: people write them into policies, so they
//! stay as they are.

use std::fmt;

/// One way out of the sandbox. The order is the order of display.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// Arguments and environment variables.
    Environment,
    /// Standard input, output and error.
    Stdio,
    /// The files of its mounts.
    Filesystem,
    /// The time, and waiting for it.
    Clocks,
    /// Random numbers.
    Random,
    /// TCP and UDP, and looking names up.
    Sockets,
    /// HTTP requests of its own.
    HttpClient,
    /// Answering HTTP requests: the one capability that is told by exports.
    HttpServer,
    /// `wasi:config`: settings.
    Config,
    /// `wasi:keyvalue`: durable buckets.
    KeyValue,
    /// `wasi:logging`: lines with a level.
    Logging,
}

impl Capability {
    /// Every capability, in the order of display.
    pub const ALL: [Capability; 11] = [
        Capability::Environment,
        Capability::Stdio,
        Capability::Filesystem,
        Capability::Clocks,
        Capability::Random,
        Capability::Sockets,
        Capability::HttpClient,
        Capability::HttpServer,
        Capability::Config,
        Capability::KeyValue,
        Capability::Logging,
    ];

    /// Its name, such as `http-client`. Names never change.
    pub fn name(self) -> &'static str {
        match self {
            Capability::Environment => "environment",
            Capability::Stdio => "stdio",
            Capability::Filesystem => "filesystem",
            Capability::Clocks => "clocks",
            Capability::Random => "random",
            Capability::Sockets => "sockets",
            Capability::HttpClient => "http-client",
            Capability::HttpServer => "http-server",
            Capability::Config => "config",
            Capability::KeyValue => "keyvalue",
            Capability::Logging => "logging",
        }
    }

    /// The capability of this name.
    pub fn from_name(name: &str) -> Option<Capability> {
        Capability::ALL
            .into_iter()
            .find(|capability| capability.name() == name)
    }

    /// What an import gives: `module.name` of a core module, `namespace:package/interface@version` of a component.
    /// None for what reaches nothing outside, such as the types other interfaces share.
    pub fn of_import(import: &str) -> Option<Capability> {
        if let Some(function) = import.strip_prefix("wasi_snapshot_preview1.") {
            return of_p1(function);
        }
        let interface = import.split('@').next().unwrap_or(import);
        let (package, name) = interface.split_once('/')?;
        match (package, name) {
            ("wasi:cli", "environment") => Some(Capability::Environment),
            ("wasi:cli", "stdin" | "stdout" | "stderr") => Some(Capability::Stdio),
            ("wasi:cli", name) if name.starts_with("terminal-") => Some(Capability::Stdio),
            ("wasi:filesystem", _) => Some(Capability::Filesystem),
            ("wasi:clocks", _) => Some(Capability::Clocks),
            ("wasi:random", _) => Some(Capability::Random),
            ("wasi:sockets", _) => Some(Capability::Sockets),
            ("wasi:http", "outgoing-handler" | "client" | "handler") => {
                Some(Capability::HttpClient)
            }
            ("wasi:config", _) => Some(Capability::Config),
            ("wasi:keyvalue", _) => Some(Capability::KeyValue),
            ("wasi:logging", _) => Some(Capability::Logging),
            _ => None,
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The capabilities of a module, each once, in the order of display. `serves` tells that it can answer HTTP requests.
pub(crate) fn capabilities(imports: &[String], serves: bool) -> Vec<Capability> {
    let server = serves.then_some(Capability::HttpServer);
    let mut all: Vec<Capability> = imports
        .iter()
        .filter_map(|import| Capability::of_import(import))
        .chain(server)
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The functions of WASI p1. Its `sock_` functions work on sockets the host has opened, and there never is one: a
/// program that imports them (every Go program does) reaches nothing by them.
fn of_p1(function: &str) -> Option<Capability> {
    match function {
        "fd_prestat_get" | "fd_prestat_dir_name" | "fd_readdir" => Some(Capability::Filesystem),
        "poll_oneoff" => Some(Capability::Clocks),
        _ => match function.split('_').next()? {
            "args" | "environ" => Some(Capability::Environment),
            "clock" => Some(Capability::Clocks),
            "random" => Some(Capability::Random),
            "path" => Some(Capability::Filesystem),
            // Without the functions above the only descriptors are the standard streams.
            "fd" => Some(Capability::Stdio),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_capability() {
        for capability in Capability::ALL {
            assert_eq!(Capability::from_name(capability.name()), Some(capability));
        }
        assert_eq!(Capability::from_name("Sockets"), None);
        assert!(Capability::ALL.is_sorted());
    }

    #[test]
    fn imports_tell_capabilities() {
        for (import, expected) in [
            ("wasi_snapshot_preview1.fd_write", Some("stdio")),
            ("wasi_snapshot_preview1.path_open", Some("filesystem")),
            ("wasi_snapshot_preview1.fd_prestat_get", Some("filesystem")),
            ("wasi_snapshot_preview1.environ_get", Some("environment")),
            ("wasi_snapshot_preview1.clock_time_get", Some("clocks")),
            ("wasi_snapshot_preview1.poll_oneoff", Some("clocks")),
            ("wasi_snapshot_preview1.random_get", Some("random")),
            ("wasi_snapshot_preview1.sock_accept", None),
            ("wasi_snapshot_preview1.proc_exit", None),
            ("wasi:cli/environment@0.2.3", Some("environment")),
            ("wasi:cli/terminal-stdout@0.2.0", Some("stdio")),
            ("wasi:cli/exit@0.2.0", None),
            ("wasi:io/streams@0.2.3", None),
            ("wasi:filesystem/preopens@0.2.3", Some("filesystem")),
            ("wasi:clocks/monotonic-clock@0.3.0", Some("clocks")),
            ("wasi:sockets/ip-name-lookup@0.2.0", Some("sockets")),
            ("wasi:http/types@0.2.0", None),
            ("wasi:http/outgoing-handler@0.2.0", Some("http-client")),
            ("wasi:http/client@0.3.0", Some("http-client")),
            ("wasi:config/store@0.2.0-rc.1", Some("config")),
            ("wasi:keyvalue/batch@0.2.0-draft", Some("keyvalue")),
            ("wasi:logging/logging@0.1.0-draft", Some("logging")),
            ("acme:db/sql@1.0.0", None),
            ("env.random_get", None),
        ] {
            let got = Capability::of_import(import).map(Capability::name);
            assert_eq!(got, expected, "{import}");
        }
    }

    #[test]
    fn each_is_told_once_and_in_order() {
        let imports = [
            "wasi:sockets/udp@0.2.0",
            "wasi:io/poll@0.2.0",
            "wasi:sockets/tcp@0.2.0",
            "wasi:cli/stderr@0.2.0",
        ];
        let imports: Vec<String> = imports.map(str::to_owned).to_vec();
        let told = capabilities(&imports, true);
        let expected = [
            Capability::Stdio,
            Capability::Sockets,
            Capability::HttpServer,
        ];
        assert_eq!(told, expected);
        assert_eq!(capabilities(&[], false), []);
    }
}
