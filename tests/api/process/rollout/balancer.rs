//! Debian's HAProxy and nginx, with the configurations in docs/upgrade.md.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::servers::free_port;

pub const HAPROXY: &str = include_str!("../../../../deploy/balancer/haproxy.cfg");
pub const NGINX: &str = include_str!("../../../../deploy/balancer/nginx.conf");

/// A balancer process of the test. The process is killed when the value is dropped.
pub struct Balancer {
    pub address: SocketAddr,
    child: Child,
    directory: TempDir,
}

impl Balancer {
    /// Starts HAProxy, which calls `/readyz`. `daemons` has the public and the admin address of
    /// each daemon.
    pub fn haproxy(daemons: &[(SocketAddr, SocketAddr)]) -> Self {
        let mut text = HAPROXY.to_owned();
        for (number, (public, admin)) in daemons.iter().enumerate() {
            let example = format!("192.0.2.{}:8080 port 9090", number + 1);
            let real = format!("{public} port {}", admin.port());
            text = replaced(&text, &example, &real);
        }
        Self::start("haproxy", &text, |command, file| {
            // HAProxy runs in the foreground, without a master process.
            command.args(["-db", "-f"]).arg(file);
        })
    }

    /// Starts nginx. It learns the state of a daemon from refused connections.
    pub fn nginx(daemons: &[(SocketAddr, SocketAddr)]) -> Self {
        let mut site = NGINX.to_owned();
        for (number, (public, _)) in daemons.iter().enumerate() {
            site = replaced(&site, &format!("192.0.2.{}:8080", number + 1), &public.to_string());
        }
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {name}_temp;"))
            .join("\n");
        let text = format!(
            "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log error.log;\nevents {{}}\n\
             http {{\naccess_log off;\n{temporary}\n{site}\n}}\n"
        );
        Self::start("nginx", &text, |command, file| {
            let directory = file.parent().expect("a file is in a directory");
            command.arg("-p").arg(directory).arg("-c").arg(file);
            command.arg("-e").arg(directory.join("error.log"));
        })
    }

    fn start(name: &str, text: &str, arguments: impl Fn(&mut Command, &Path)) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let text = replaced(text, "127.0.0.1:8000", &address.to_string());
        let file = directory.path().join("conf");
        fs::write(&file, text).expect("written");
        let sbin = Path::new("/usr/sbin").join(name);
        let mut command =
            Command::new(if sbin.exists() { sbin.as_path() } else { Path::new(name) });
        arguments(&mut command, &file);
        let log = fs::File::create(directory.path().join("error.log")).expect("a log");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let child = child.expect("the balancer is installed: scripts/test sees to it");
        Self { address, child, directory }
    }

    /// Fails the test with the log of the balancer if the balancer has ended.
    #[track_caller]
    pub fn must_run(&mut self) {
        let ended = self.child.try_wait().expect("our own child");
        let log = fs::read_to_string(self.directory.path().join("error.log"));
        assert!(ended.is_none(), "the balancer ended: {log:?}");
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Replaces a text. Fails the test if the text is missing.
fn replaced(text: &str, example: &str, real: &str) -> String {
    assert!(text.contains(example), "the example says `{example}`");
    text.replace(example, real)
}
