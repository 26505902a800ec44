//! A cluster per test, in a fresh folder, on a free port; and ways to wait for conditions.

// The paths are said because two test targets have this module, from different places.
#[path = "support/guests.rs"]
mod guests;
#[path = "support/kubectl.rs"]
mod kubectl;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use kube::config::{KubeConfigOptions, Kubeconfig};

pub(crate) use guests::{Guest, PodSpec};
pub(crate) use kubectl::{Kubectl, Ran};

/// How long anything may take. Far more than it does, since the machines are shared.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The binary under test: the one just built, or the one `$SAMPAN` names.
pub(crate) fn sampan() -> Command {
    let named = std::env::var_os("SAMPAN");
    let mut command = Command::new(named.unwrap_or_else(|| env!("CARGO_BIN_EXE_sampan").into()));
    command
        .env_remove("KUBECONFIG")
        .env_remove("SAMPAN_DATA_DIR")
        .env_remove("SAMPAN_LOG");
    command
}

/// The repository.
pub(crate) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Whether the machine has what a test needs. In CI it must; elsewhere the test says that it was skipped.
pub(crate) fn have(tool: &str, found: bool) -> bool {
    if !found {
        assert!(std::env::var_os("CI").is_none(), "needs {tool}");
        println!("skipped: needs {tool}");
    }
    found
}

/// Where a program is, by PATH.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Asks again until it gives something; fails the test if it never does.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(POLL);
    }
}

const POLL: Duration = Duration::from_millis(50);

/// A running program whose lines can be waited for. Killed when dropped.
pub(crate) struct Program {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Program {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let (sender, lines) = channel();
        let out = child.stdout.take().expect("piped");
        let err = child.stderr.take().expect("piped");
        let also = sender.clone();
        std::thread::spawn(move || forward(out, &sender));
        std::thread::spawn(move || forward(err, &also));
        Self {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// Waits for a line of its output that holds `text`, and returns the line.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    let found = line.contains(text);
                    self.seen.push(line.clone());
                    if found {
                        return line;
                    }
                }
                Err(_) => panic!("never printed {text:?}; printed:\n{}", self.seen.join("\n")),
            }
        }
    }

    /// Sends a signal by its name, as `kill` takes it.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill")
            .args(["-s", name, &id])
            .status()
            .expect("kill runs");
        assert!(sent.success(), "kill -s {name} {id}");
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end; returns how it ended and everything it printed.
    #[track_caller]
    pub(crate) fn finish(mut self) -> (ExitStatus, String) {
        let status = eventually("the program ends", || self.child.try_wait().expect("waits"));
        self.seen.extend(self.lines.try_iter());
        // The readers end with the pipes, which nobody else holds.
        while let Ok(line) = self.lines.recv_timeout(POLL) {
            self.seen.push(line);
        }
        (status, self.seen.join("\n"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Errors mean that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn forward(from: impl std::io::Read, to: &std::sync::mpsc::Sender<String>) {
    for line in BufReader::new(from).lines() {
        let Ok(line) = line else { return };
        if to.send(line).is_err() {
            return;
        }
    }
}

pub(crate) async fn client_of(kubeconfig: &Path) -> kube::Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("the kubeconfig");
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await;
    kube::Client::try_from(config.expect("a config")).expect("a client")
}

/// `sampan up` in a folder of its own.
pub(crate) struct Cluster {
    pub(crate) program: Program,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) url: String,
}

impl Cluster {
    #[track_caller]
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    #[track_caller]
    pub(crate) fn start_with(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("temp dir");
        Self::start_in(folder, args)
    }

    #[track_caller]
    pub(crate) fn start_in(folder: tempfile::TempDir, args: &[&str]) -> Self {
        let mut command = sampan();
        command.args([
            "up",
            "--port",
            "0",
            "--node-name",
            "test-node",
            "--data-dir",
        ]);
        command.arg(folder.path().join("data")).args(args);
        let mut program = Program::start(&mut command);
        let line = program.wait_for("The cluster is up: ");
        let url = line.split(": ").nth(1).expect("a URL").trim().to_string();
        Self {
            program,
            folder,
            url,
        }
    }

    /// `sampan server`: no node.
    #[track_caller]
    pub(crate) fn serve(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("temp dir");
        let mut command = sampan();
        command.args(["server", "--port", "0", "--data-dir"]);
        command.arg(folder.path().join("data")).args(args);
        let mut program = Program::start(&mut command);
        let line = program.wait_for("The API listens on ");
        let url = line.rsplit(' ').next().expect("a URL").to_string();
        program.wait_for("sampan agent --kubeconfig");
        Self {
            program,
            folder,
            url,
        }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.data().join("admin.kubeconfig")
    }

    /// kubectl for this cluster; None if there is none, which CI does not forgive.
    pub(crate) fn kubectl(&self) -> Option<Kubectl> {
        Kubectl::find(self.kubeconfig(), self.folder.path())
    }

    /// A kube-rs client, as any program would make it.
    pub(crate) async fn client(&self) -> kube::Client {
        client_of(&self.kubeconfig()).await
    }

    /// Another `sampan` command against this cluster.
    pub(crate) fn sampan(&self, verb: &str) -> Command {
        let mut command = sampan();
        command.arg(verb).arg("--kubeconfig").arg(self.kubeconfig());
        command
    }

    /// Puts a guest into the cluster's registry.
    #[track_caller]
    pub(crate) fn push(&self, guest: Guest, image: &str) {
        let path = guest.write(self.folder.path());
        self.push_file(&path, image);
    }

    /// One of the guests of the engine's tests, compiled to a file.
    pub(crate) fn engine_guest(&self, guest: &str) -> PathBuf {
        let text = repository().join(format!("runtime/engine/tests/guests/{guest}.wat"));
        let module = wat::parse_file(text).expect("the guest's text is valid");
        let path = self.folder.path().join(format!("{guest}.wasm"));
        std::fs::write(&path, module).expect("write");
        path
    }

    /// Puts one of them into the cluster's registry.
    #[track_caller]
    pub(crate) fn push_engine_guest(&self, guest: &str) {
        self.push_file(&self.engine_guest(guest), guest);
    }

    #[track_caller]
    pub(crate) fn push_file(&self, module: &Path, image: &str) {
        let output = self
            .sampan("push")
            .arg(module)
            .arg(image)
            .output()
            .expect("sampan runs");
        assert!(
            output.status.success(),
            "push: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Ends the process as a power cut would.
    pub(crate) fn kill(mut self) -> tempfile::TempDir {
        self.program.child.kill().expect("kill -9");
        self.program.child.wait().expect("it is gone");
        self.folder
    }

    /// Asks it to stop; returns what it printed.
    #[track_caller]
    pub(crate) fn stop(self) -> String {
        self.program.signal("TERM");
        let (status, output) = self.program.finish();
        assert!(status.success(), "{status}: {output}");
        output
    }
}
