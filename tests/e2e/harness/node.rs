//! One `granary up` process with a data directory of its own.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};

use super::client::{Client, Reply};
use super::{guests, until, without_settings};

/// The program under test; cargo has just built it.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_granary");

/// What a node is started with.
#[derive(Default)]
pub(crate) struct NodeBuilder {
    settings: String,
    data: Option<PathBuf>,
    listen: Option<String>,
    token: Option<String>,
    https: bool,
    environment: Vec<(String, String)>,
}

impl NodeBuilder {
    /// Adds lines to `node.toml`. Sections `[http]` and `[store]` are the harness's own.
    pub(crate) fn settings(mut self, text: &str) -> Self {
        writeln!(self.settings, "{text}").unwrap();
        self
    }

    /// Keeps the data somewhere else than in the node's own folder.
    pub(crate) fn data(mut self, path: &Path) -> Self {
        self.data = Some(path.to_owned());
        self
    }

    /// Listens elsewhere than on 127.0.0.1; the port should be 0.
    pub(crate) fn listen(mut self, address: &str) -> Self {
        self.listen = Some(address.to_owned());
        self
    }

    /// Sends a bearer token with every request of the node's client.
    pub(crate) fn token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// Expects TLS on the listener, with a certificate of the test's own.
    pub(crate) fn https(mut self) -> Self {
        self.https = true;
        self
    }

    /// Sets an environment variable.
    pub(crate) fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes `node.toml` without starting anything.
    pub(crate) fn prepare(self) -> Node {
        let folder = TempDir::new().unwrap();
        let data = self
            .data
            .clone()
            .unwrap_or_else(|| folder.path().join("data"));
        let listen = self
            .listen
            .clone()
            .unwrap_or_else(|| "127.0.0.1:0".to_owned());
        let file = format!(
            "{}\n[http]\nlisten = {listen:?}\n[store]\npath = {:?}\n",
            self.settings,
            data.to_str().unwrap()
        );
        std::fs::write(folder.path().join("node.toml"), file).unwrap();
        let client = Client::new(String::new(), self.token.clone(), self.https);
        Node {
            builder: self,
            folder,
            data,
            child: None,
            output: Output::default(),
            client,
        }
    }

    /// Starts the node and waits until it is ready.
    pub(crate) async fn start(self) -> Node {
        let mut node = self.prepare();
        node.start_again().await;
        node
    }
}

/// Everything that a process printed so far, for the ready line and for a failed test.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<String>>>);

impl Output {
    fn follow(&self, stream: impl AsyncRead + Unpin + Send + 'static) {
        let kept = self.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(stream).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                kept.0
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(line);
            }
        });
    }

    fn lines(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// A node. Dropping it kills the process.
pub(crate) struct Node {
    builder: NodeBuilder,
    folder: TempDir,
    data: PathBuf,
    child: Option<Child>,
    output: Output,
    client: Client,
}

impl Node {
    /// A node with every default.
    pub(crate) async fn start() -> Self {
        NodeBuilder::default().start().await
    }

    /// A node to which something is said first.
    pub(crate) fn with(settings: &str) -> NodeBuilder {
        NodeBuilder::default().settings(settings)
    }

    /// A node with these sample grains deployed.
    pub(crate) async fn serving(kinds: &[&str]) -> Self {
        // First, for it may take a minute: a node closes the connection that has been idle for so long, and the next request goes nowhere.
        kinds.iter().for_each(|kind| drop(guests::component(kind)));
        let node = Self::start().await;
        for kind in kinds {
            node.deploy(kind).await.ok();
        }
        node
    }

    /// The client of this node.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Where it keeps everything.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Its `node.toml`.
    pub(crate) fn settings_file(&self) -> PathBuf {
        self.folder.path().join("node.toml")
    }

    /// A folder for the test's own files.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `http://127.0.0.1:port`.
    pub(crate) fn url(&self) -> &str {
        self.client.base()
    }

    /// What it printed.
    pub(crate) fn printed(&self) -> String {
        self.output.lines().join("\n")
    }

    /// The process id.
    pub(crate) fn process_id(&self) -> u32 {
        self.child
            .as_ref()
            .and_then(Child::id)
            .expect("the node runs")
    }

    fn spawn(&mut self) {
        let mut command = Command::new(PROGRAM);
        command
            .arg("up")
            .arg("--config")
            .arg(self.settings_file())
            .current_dir(self.folder.path());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        without_settings(&mut command).env("NO_COLOR", "1");
        for (name, value) in &self.builder.environment {
            command.env(name, value);
        }
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{PROGRAM}: {error}"));
        self.output = Output::default();
        self.output.follow(child.stdout.take().unwrap());
        self.output.follow(child.stderr.take().unwrap());
        self.child = Some(child);
    }

    /// Starts the process (again) on the same data and waits until `/readyz` says yes.
    pub(crate) async fn start_again(&mut self) {
        self.spawn();
        let output = self.output.clone();
        let child = self.child.as_mut().unwrap();
        let base = until("the ready line", || {
            let ended = child.try_wait().unwrap();
            let base = output.lines().iter().find_map(|line| address_in(line));
            if let (Some(status), None) = (ended, &base) {
                panic!(
                    "the node ended with {status}:\n{}",
                    output.lines().join("\n")
                );
            }
            std::future::ready(base)
        })
        .await;
        self.client = Client::new(base, self.builder.token.clone(), self.builder.https);
        let client = self.client.clone();
        until("/readyz", || async {
            client
                .try_get("/readyz")
                .await
                .filter(|reply| reply.status == 200)
        })
        .await;
    }

    /// Starts a process that is expected to give up by itself: its exit code and what it printed.
    pub(crate) async fn start_in_vain(&mut self) -> (i32, String) {
        self.spawn();
        let child = self.child.as_mut().unwrap();
        let status = super::within("the node gives up", child.wait())
            .await
            .unwrap();
        let output = self.output.clone();
        // The readers end with the process; its last line may still be on its way.
        until("its last words", || {
            std::future::ready((!output.lines().is_empty()).then_some(()))
        })
        .await;
        (status.code().unwrap_or(-1), self.printed())
    }

    /// `kill -9`.
    pub(crate) async fn kill(&mut self) {
        let mut child = self.child.take().expect("the node runs");
        child.kill().await.unwrap();
    }

    /// Asks the process to stop, and waits until it has: its exit code.
    pub(crate) async fn stop(&mut self) -> i32 {
        let mut child = self.child.take().expect("the node runs");
        let id = rustix::process::Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        super::within("the node stops", child.wait())
            .await
            .unwrap()
            .code()
            .unwrap_or(-1)
    }

    /// `kill -9`, then a new process on the same data.
    pub(crate) async fn crash_and_start_again(&mut self) {
        self.kill().await;
        self.start_again().await;
    }

    /// Uploads a sample grain and deploys it as its `granary.toml` says.
    pub(crate) async fn deploy(&self, sample: &str) -> Reply {
        self.deploy_as(sample, sample, guests::manifest(sample))
            .await
    }

    /// Uploads a sample grain and deploys it under a name, with a manifest of the test's own.
    pub(crate) async fn deploy_as(&self, sample: &str, kind: &str, manifest: Value) -> Reply {
        self.client
            .deploy(kind, &guests::component(sample), manifest, "")
            .await
    }

    /// Uploads and deploys a component in the text format.
    pub(crate) async fn deploy_text(&self, kind: &str, component: &str) -> Reply {
        let bytes = wat::parse_str(component).unwrap_or_else(|error| panic!("{error}"));
        self.client.deploy(kind, &bytes, json!({}), "").await
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- what the node printed ---\n{}\n---", self.printed());
        }
    }
}

/// The listener's address in a line of the node's.
fn address_in(line: &str) -> Option<String> {
    let at = line.find("http://").or_else(|| line.find("https://"))?;
    let url: String = line[at..]
        .chars()
        .take_while(|c| !c.is_whitespace() && !"\"',;)\u{1b}".contains(*c))
        .collect();
    let url = url.trim_end_matches(['/', '.']).to_owned();
    let port = url.rsplit(':').next()?.parse::<u16>().ok()?;
    (port != 0).then_some(url)
}
