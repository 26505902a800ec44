//! The real kubectl: `$KUBECTL`, else the one in PATH.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};

use super::{PATIENCE, Program, have, which};

/// kubectl, aimed at one cluster.
#[derive(Debug, Clone)]
pub(crate) struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    home: PathBuf,
}

/// What a call came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) command: String,
    pub(crate) success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Kubectl {
    pub(crate) fn find(kubeconfig: PathBuf, home: &Path) -> Option<Self> {
        let named = std::env::var_os("KUBECTL").map(PathBuf::from);
        let program = named.or_else(|| which("kubectl"));
        if !have("kubectl", program.is_some()) {
            return None;
        }
        Some(Self {
            program: program?,
            kubeconfig,
            home: home.to_path_buf(),
        })
    }

    /// A newer kubectl for the same cluster, where there is one: `$KUBECTL_NEWER`, else `kubectl-1.36` in PATH or among
    /// the programs that tests keep in the cache folder.
    pub(crate) fn newer(&self) -> Option<Self> {
        const NAME: &str = "kubectl-1.36";
        let named = std::env::var_os("KUBECTL_NEWER").map(PathBuf::from);
        let kept = || {
            let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
            let cache =
                cache.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cache")));
            let file = cache?.join("sampan/bin").join(NAME);
            file.is_file().then_some(file)
        };
        let program = named.or_else(|| which(NAME)).or_else(kept)?;
        Some(Self {
            program,
            ..self.clone()
        })
    }

    /// A call with `args`, not yet run: for input, environment or a look at its output while it runs.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        // Its own home: kubectl caches discovery there.
        command
            .args(args)
            .stdin(Stdio::null())
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", &self.home);
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.run_command(self.command(args), args)
    }

    /// Fails the test if kubectl does not end: some of its calls wait for ever.
    pub(crate) fn run_command(&self, mut command: Command, args: &[&str]) -> Ran {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().expect("kubectl runs");
        let id = child.id().to_string();
        let (ended, over) = channel::<()>();
        let watch = std::thread::spawn(move || {
            let hangs = over.recv_timeout(3 * PATIENCE) == Err(RecvTimeoutError::Timeout);
            if hangs {
                Command::new("kill").arg(&id).status().expect("kill runs");
            }
            hangs
        });
        let output = child.wait_with_output().expect("kubectl is waited for");
        drop(ended);
        let hung = watch.join().expect("no panic");
        let ran = Ran {
            command: args.join(" "),
            success: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        assert!(!hung, "never ended: {ran:?}");
        ran
    }

    /// The output of a call that must succeed.
    #[track_caller]
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        self.run(args).ok()
    }

    /// The errors of a call that must fail.
    #[track_caller]
    pub(crate) fn fails(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert!(
            !ran.success,
            "kubectl {} succeeded: {}",
            ran.command, ran.stdout
        );
        ran.stderr
    }

    /// A call that must succeed, with this on its standard input.
    #[track_caller]
    pub(crate) fn with_input(&self, args: &[&str], input: &str) -> Ran {
        let file = tempfile::NamedTempFile::new().expect("temp file");
        std::fs::write(file.path(), input).expect("write");
        let mut command = self.command(args);
        command.stdin(std::fs::File::open(file.path()).expect("open"));
        self.run_command(command, args)
    }

    #[track_caller]
    pub(crate) fn apply(&self, manifest: &str) -> String {
        self.with_input(&["apply", "-f", "-"], manifest).ok()
    }

    /// A call that keeps running.
    pub(crate) fn start(&self, args: &[&str]) -> Program {
        Program::start(&mut self.command(args))
    }

    /// A field of an object, by kubectl's JSONPath.
    #[track_caller]
    pub(crate) fn field(&self, object: &str, path: &str) -> String {
        self.ok(&["get", object, "-o", &format!("jsonpath={{{path}}}")])
    }
}

impl Ran {
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert!(
            self.success,
            "kubectl {}: {}{}",
            self.command, self.stdout, self.stderr
        );
        self.stdout
    }
}
