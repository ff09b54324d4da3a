//! Tests of the program itself. The tests start, stop, signal and call the program as an operator
//! does.

mod audit;
mod cli_doctor;
mod cli_doctor_stores;
mod cli_faults;
mod cli_mail;
mod cli_reload;
mod cli_tree;
mod commands;
mod connections;
mod crashes;
mod egress;
mod factor_imports;
mod factors;
mod imports;
mod keys;
mod limits;
mod log;
mod mail_tls;
mod mailbox;
mod nth_write;
mod open_files;
mod postgres_tls;
mod redis_tls;
mod rights;
mod rollout;
mod schema_rules;
mod schemas;
mod secrets;
mod serving_role;
mod size_limit;
mod stalled_log;
mod start;
mod stop;
#[cfg(feature = "failpoints")]
mod tasks;
mod teams;
mod telemetry;
mod users;

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::client::{Anonymous, Client};
use crate::mime::Mail;
use crate::poll::eventually;

const PROGRAM: &str = env!("CARGO_BIN_EXE_latchkey");
/// The maximum time until the program has started, is ready or has ended.
const PATIENCE: Duration = Duration::from_secs(30);

/// A working directory and the settings of the program. The environment of the program contains
/// only these settings.
struct Place {
    directory: TempDir,
    settings: Vec<(String, String)>,
    starts: usize,
}

impl Place {
    /// Creates a directory, with default settings: free ports, cheap password hashes and no rate
    /// limits.
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let place = Self { directory, settings: Vec::new(), starts: 0 };
        place
            .set("http.listen", "127.0.0.1:0")
            .set("http.drain_delay", "0s")
            .set("admin.listen", "127.0.0.1:0")
            .set("public_url", "http://localhost")
            .set("password.memory_kib", "64")
            .set("password.iterations", "1")
            .set("rate_limit.enabled", "false")
    }

    /// Sets one setting. It replaces an earlier value of this setting.
    fn set(mut self, key: &str, value: &str) -> Self {
        let variable = format!("LATCHKEY_{}", key.replace('.', "__").to_uppercase());
        self.settings.retain(|(known, _)| *known != variable);
        self.settings.push((variable, value.to_owned()));
        self
    }

    /// Sets one environment variable by its full name.
    fn variable(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Removes an environment variable.
    fn without(mut self, name: &str) -> Self {
        self.settings.retain(|(known, _)| known != name);
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).current_dir(self.directory.path()).stdin(Stdio::null());
        command.env_clear().envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command to its end.
    fn run(&self, arguments: &[&str]) -> Ended {
        Ended(self.command(arguments).output().expect("the program runs"))
    }

    /// Starts the daemon and does not wait for it.
    fn spawn(&mut self) -> Daemon {
        self.starts += 1;
        let log = self.path(&format!("stderr.{}", self.starts));
        let file = File::create(&log).expect("a log");
        let mut command = self.command(&[]);
        command.stdout(Stdio::null()).stderr(file);
        Daemon { child: command.spawn().expect("the program runs"), log }
    }

    /// Starts the daemon and waits until it listens.
    async fn start(&mut self) -> Running {
        let mut daemon = self.spawn();
        let listening = eventually("the start of the daemon", PATIENCE, async || {
            assert!(daemon.ended().is_none(), "the daemon ended: {}", daemon.log());
            daemon.line("listening")
        })
        .await;
        let address = |name: &str| -> SocketAddr {
            let text = listening["fields"][name].as_str().or(listening[name].as_str());
            text.unwrap_or_else(|| panic!("{listening}")).parse().expect("an address")
        };
        let (public, admin) = (address("public"), address("admin"));
        let key_file = self.path("data/mailbox-key");
        Running { client: Client::new(public), public, admin, daemon, key_file }
    }
}

/// The output and the exit code of a command.
struct Ended(Output);

impl Ended {
    fn code(&self) -> Option<i32> {
        self.0.status.code()
    }

    fn stdout(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).expect("UTF-8")
    }

    fn stderr(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).expect("UTF-8")
    }

    #[track_caller]
    fn expect(self, code: i32) -> Self {
        assert_eq!(self.code(), Some(code), "{}{}", self.stdout(), self.stderr());
        self
    }
}

/// A daemon process of the test. The process is killed when the value is dropped.
struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("our own child")
    }

    /// Returns everything that the daemon has logged.
    fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("the log is there")
    }

    /// Returns the first log line with this message.
    fn line(&self, message: &str) -> Option<Value> {
        let quoted = format!("\"message\":\"{message}\"");
        let log = self.log();
        // The last line of the log is perhaps incomplete.
        let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let line = whole.lines().find(|line| line.contains(&quoted))?;
        Some(serde_json::from_str(line).expect("a log line is JSON"))
    }

    async fn says(&self, message: &str) {
        let what = format!("the log line `{message}`");
        eventually(&what, PATIENCE, async || self.line(message).map(drop)).await;
    }

    fn signal(&self, flag: &str) {
        let sent = Command::new("kill").args([flag, &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "the signal reaches the daemon");
    }

    /// Sends SIGKILL and waits until the process is gone.
    fn kill(&mut self) {
        self.child.kill().expect("our own child");
        let status = self.child.wait().expect("our own child");
        assert_eq!(status.signal(), Some(9));
    }

    async fn end(&mut self, within: Duration) -> ExitStatus {
        eventually("the end of the daemon", within, async || self.ended()).await
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A daemon that listens.
struct Running {
    daemon: Daemon,
    client: Client,
    public: SocketAddr,
    admin: SocketAddr,
    key_file: PathBuf,
}

impl Running {
    fn anonymous(&self) -> Anonymous {
        Anonymous(self.client.clone())
    }

    fn admin(&self) -> Client {
        Client::new(self.admin)
    }

    /// Returns the key of the built-in mailbox.
    fn mailbox_key(&self) -> String {
        fs::read_to_string(&self.key_file).expect("the key's file").trim().to_owned()
    }

    async fn empty_mailbox(&self) {
        let opened = self.client.bearer(&self.mailbox_key());
        opened.delete("/dev/mailbox/messages").await.expect(204);
    }

    /// Returns a client with the key of the built-in mailbox.
    fn mailbox(&self) -> Client {
        self.client.bearer(&self.mailbox_key())
    }

    /// Returns every mail to this address in the built-in mailbox, the oldest first.
    async fn mails_to(&self, address: &str) -> Vec<Mail> {
        let list = self.mailbox().get("/dev/mailbox/messages").await.expect(200).json();
        let items = list["items"].as_array().expect("a list has items");
        items.iter().rev().map(Mail::from_mailbox).filter(|mail| mail.to == address).collect()
    }

    /// Waits until this address has received more than `before` mails, and returns the first mail
    /// after them.
    async fn mail_to(&self, address: &str, before: usize) -> Mail {
        eventually("a mail", PATIENCE, async || {
            self.mails_to(address).await.into_iter().nth(before)
        })
        .await
    }

    /// Sends SIGTERM and returns the log of the daemon. The daemon must end with exit code 0.
    async fn stop(mut self) -> String {
        self.daemon.signal("-TERM");
        let status = self.daemon.end(PATIENCE).await;
        assert_eq!(status.code(), Some(0), "{}", self.daemon.log());
        self.daemon.log()
    }
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    let found = fs::metadata(path);
    found.unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode() & 0o777
}
