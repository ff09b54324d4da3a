"""The environment of the tests: a daemon, a Prometheus that scrapes the daemon, and a service for
breached passwords. This module needs only the standard library and Debian's `prometheus`."""

import contextlib
import http.server
import json
import os
import random
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path


given_ports: set[int] = set()


def free_port() -> int:
    """Returns a free port below the range of ports that the kernel assigns to clients. Never
    returns the same port twice."""
    while True:
        port = random.randrange(20000, 30000)
        with socket.socket() as probe:
            if port not in given_ports and probe.connect_ex(("127.0.0.1", port)) != 0:
                given_ports.add(port)
                return port


def until(what: str, seconds: float, ask):
    """Waits until `ask` returns a value, and returns it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if given := ask():
            return given
        time.sleep(0.1)
    raise SystemExit(f"{what} did not happen within {seconds} s")


def get(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""


class Breaches(http.server.BaseHTTPRequestHandler):
    """A service for breached passwords with the format of Have I Been Pwned. It lists no
    password."""

    def do_GET(self):
        body = b"0018A45C4D1DEF81644B54AB7F969B88D65:1\r\n"
        self.send_response(200)
        self.send_header("content-type", "text/plain")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def breaches():
    """Starts a service for breached passwords that lists no password, and returns its URL."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), Breaches)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/range/"
    server.shutdown()


class Process:
    """A program that runs in its own directory and writes its output to a file. The test ends the
    program by its process id."""

    def __init__(self, name: str, home: Path, command: list[str], environment: dict | None = None):
        home.mkdir(parents=True, exist_ok=True)
        self.name, self.home, self.log = name, home, home / f"{name}.log"
        self.command, self.environment = command, environment
        self.start()

    def start(self):
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(self.command, cwd=self.home, env=self.environment, stdout=log, stderr=log)

    def lives(self):
        if self.child.poll() is not None:
            raise SystemExit(f"{self.name} ended: {self.log.read_text()[-2000:]}")

    def stop(self):
        if self.child.poll() is None:
            self.child.terminate()
            time.sleep(0.1)
            # A second signal ends the daemon without waiting for open requests.
            self.child.terminate()
            self.child.wait(30)


class Daemon(Process):
    """A latchkey daemon with the stores in `settings`."""

    def __init__(self, binary: str, home: Path, settings: dict[str, str]):
        self.port, self.admin = free_port(), free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LATCHKEY_", "OTEL_"))}
        environment = kept | {
            "LATCHKEY_HTTP__LISTEN": f"127.0.0.1:{self.port}",
            "LATCHKEY_ADMIN__LISTEN": f"127.0.0.1:{self.admin}",
        } | settings
        super().__init__("latchkey", home, [binary], environment)
        until("readiness of the daemon", 60, self.is_ready)

    def is_ready(self) -> bool:
        self.lives()
        return get(f"http://127.0.0.1:{self.admin}/readyz")[0] == 200

    def mailbox_key(self) -> str:
        return (self.home / "data/mailbox-key").read_text().strip()


class Prometheus(Process):
    """Debian's Prometheus. It scrapes the port of each job in `jobs`, and evaluates the rules at
    the same interval. The jobs in `namespaces` get the label that they would have on Kubernetes."""

    def __init__(self, home: Path, jobs: dict[str, int], rules: list[Path], interval: str = "1s",
                 namespaces: dict[str, str] | None = None):
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        home.mkdir(parents=True, exist_ok=True)
        config = home / "prometheus.json"
        # Prometheus reads YAML, and every JSON document is also YAML.
        config.write_text(json.dumps({
            "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
            "rule_files": [str(path) for path in rules],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{
                    "targets": [f"127.0.0.1:{port}"],
                    "labels": {"namespace": namespaces[job]} if namespaces and job in namespaces else {},
                }]} for job, port in jobs.items()
            ],
        }))
        super().__init__("prometheus", home, [
            "prometheus", f"--config.file={config}", f"--storage.tsdb.path={home / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn",
        ])
        until("readiness of Prometheus", 60, self.is_ready)

    def is_ready(self) -> bool:
        self.lives()
        return get(f"{self.base}/-/ready")[0] == 200

    def ask(self, path: str, **query: str) -> dict:
        """Returns the data of a response. If Prometheus refuses the request, the data is `{"error":
        …}`."""
        status, body = get(f"{self.base}/api/v1/{path}?{urllib.parse.urlencode(query)}")
        answer = json.loads(body or b"{}")
        return answer["data"] if status == 200 else {"error": answer.get("error", f"status {status}")}

    def series(self, expression: str) -> tuple[int, str]:
        """Returns the current number of series of an expression, and the error of the query."""
        data = self.ask("query", query=expression)
        return len(data.get("result", [])), data.get("error", "")
