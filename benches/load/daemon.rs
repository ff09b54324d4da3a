//! The daemon as a child process, with the settings of a measurement.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, StatusCode};

use crate::Result;
use crate::client::{self, Protocol};

/// The client of `POST /api/introspect`, as `id:secret`.
pub const RESOURCE_SERVER: &str = "bench:a-secret-of-the-load-generator";

/// How long a daemon may take until it is ready. A slow machine needs a second.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// The servers that a daemon uses.
#[derive(Clone, Debug)]
pub struct Stores {
    /// The database's URL, or none for SQLite.
    pub database: Option<String>,
    /// Redis' URL, or none for the embedded token store.
    pub redis: Option<String>,
    pub smtp: SocketAddr,
}

pub struct Daemon {
    child: Child,
    binary: PathBuf,
    settings: Vec<(&'static str, String)>,
    directory: PathBuf,
    pub public: SocketAddr,
    admin: SocketAddr,
    /// The time from the start of the process until `/readyz` responded with 200.
    pub ready_after: Duration,
}

impl Daemon {
    /// Starts the program `binary` and waits until it is ready. Its files and its log are in
    /// `directory`.
    pub async fn start(binary: &Path, directory: &Path, stores: &Stores) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let (public, admin) = (free_address()?, free_address()?);
        let settings = settings(directory, stores, (public, admin));
        let log = File::create(directory.join("log"))?;
        let began = Instant::now();
        let child = command(binary, &settings, directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| format!("{}: {error}", binary.display()))?;
        // scripts/bench ends these processes if the generator is killed.
        fs::write(directory.join("pid"), child.id().to_string())?;
        let (binary, directory) = (binary.to_owned(), directory.to_owned());
        let ready_after = Duration::ZERO;
        let mut daemon = Self { child, binary, settings, directory, public, admin, ready_after };
        while !daemon.is_ready().await {
            if daemon.child.try_wait()?.is_some() || began.elapsed() > READY_WITHIN {
                let log = fs::read_to_string(daemon.directory.join("log")).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                let last = lines[lines.len().saturating_sub(5)..].join("\n");
                return Err(format!("the daemon did not start. The end of its log:\n{last}").into());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        daemon.ready_after = began.elapsed();
        Ok(daemon)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log_bytes(&self) -> u64 {
        fs::metadata(self.directory.join("log")).map_or(0, |it| it.len())
    }

    async fn is_ready(&self) -> bool {
        let Ok(mut clients) = client::connect(self.admin, Protocol::Http1, 1).await else {
            return false;
        };
        let request = Request::get("/readyz").body(Full::new(Bytes::new()));
        match (clients.pop(), request) {
            (Some(mut client), Ok(request)) => {
                client.send(request).await.is_ok_and(|it| it.status == StatusCode::OK)
            }
            _ => false,
        }
    }

    /// Imports the accounts of a file of JSON lines with the program's own command.
    pub fn import(&self, accounts: &Path) -> Result<()> {
        let output = command(&self.binary, &self.settings, &self.directory)
            .args(["users", "import"])
            .arg(accounts)
            .stdin(Stdio::null())
            .output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("users import failed: {}", String::from_utf8_lossy(&output.stderr)).into())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(self.directory.join("pid"));
    }
}

fn command(binary: &Path, settings: &[(&'static str, String)], directory: &Path) -> Command {
    let mut command = Command::new(binary);
    // The generator's environment must not change what is measured.
    command.env_clear();
    command.envs(settings.iter().map(|(name, value)| (name, value)));
    command.current_dir(directory);
    command
}

/// Every setting that is not here has its default: the security, the access log, the hash. The
/// limits are on. A request comes from one of many addresses of clients, as behind a load balancer,
/// so that no client reaches its limit.
fn settings(
    directory: &Path,
    stores: &Stores,
    (public, admin): (SocketAddr, SocketAddr),
) -> Vec<(&'static str, String)> {
    let mut settings = vec![
        ("LATCHKEY_HTTP__LISTEN", public.to_string()),
        ("LATCHKEY_HTTP__TRUSTED_PROXIES", "127.0.0.0/8".to_owned()),
        ("LATCHKEY_HTTP__DRAIN_DELAY", "0s".to_owned()),
        ("LATCHKEY_ADMIN__LISTEN", admin.to_string()),
        ("LATCHKEY_DATA_DIR", directory.join("data").display().to_string()),
        ("LATCHKEY_SECRETS__MASTER_KEY", "E".repeat(43)),
        ("LATCHKEY_MAIL__SMTP_URL", format!("smtp://{}", stores.smtp)),
        ("LATCHKEY_MAIL__FROM", "latchkey@example.com".to_owned()),
        ("LATCHKEY_RATE_LIMIT__ACCOUNT_WRITES", "100000".to_owned()),
        ("LATCHKEY_TOKENS__USER_TTL", "24h".to_owned()),
        ("LATCHKEY_TOKENS__VAULT_TTL", "1h".to_owned()),
        ("LATCHKEY_INTROSPECTION__CLIENTS", RESOURCE_SERVER.to_owned()),
        ("LATCHKEY_LOG__FORMAT", "json".to_owned()),
    ];
    if let Some(url) = &stores.database {
        settings.push(("LATCHKEY_DATABASE__URL", url.clone()));
        settings.push(("LATCHKEY_DATABASE__AUTO_MIGRATE", "true".to_owned()));
    }
    if let Some(url) = &stores.redis {
        settings.push(("LATCHKEY_REDIS__URL", url.clone()));
    }
    settings
}

/// A loopback address with a port that is free at this moment.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}
