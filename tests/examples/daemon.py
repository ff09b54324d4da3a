"""A latchkey daemon with users, teams and tokens, on which the examples are tested. This module
needs only the standard library."""

import json
import os
import random
import socket
import subprocess
import tempfile
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
        time.sleep(0.05)
    raise SystemExit(f"{what} did not happen within {seconds} s")


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def status(url: str, token: str | None = None, headers: dict | None = None) -> int:
    """Returns the status of a GET."""
    request = urllib.request.Request(url, headers={**(headers or {}), **bearer(token)})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def bearer(token: str | None) -> dict:
    return {"authorization": f"Bearer {token}"} if token else {}


class Daemon:
    """A daemon on the embedded stores, in its own directory. The rate limits are off, because all
    requests come from one IP address."""

    def __init__(self, binary: str):
        self.binary, self.port, self.admin = binary, free_port(), free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.home = tempfile.TemporaryDirectory(prefix="latchkey-examples-")
        self.child = None

    def environment(self, **settings: str) -> dict:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LATCHKEY_")}
        return kept | {
            "LATCHKEY_HTTP__LISTEN": f"127.0.0.1:{self.port}",
            "LATCHKEY_ADMIN__LISTEN": f"127.0.0.1:{self.admin}",
            "LATCHKEY_RATE_LIMIT__ENABLED": "false",
        } | settings

    def start(self, **settings: str):
        log = open(Path(self.home.name) / "log", "ab")
        self.child = subprocess.Popen(
            [self.binary], cwd=self.home.name, env=self.environment(**settings), stdout=log, stderr=log
        )
        until("readiness of the daemon", 60, self.is_ready)

    def is_ready(self) -> bool:
        if self.child.poll() is not None:
            raise SystemExit((Path(self.home.name) / "log").read_text())
        try:
            return status(f"http://127.0.0.1:{self.admin}/readyz") == 200
        except OSError:
            return False

    def stop(self):
        """Sends the signal twice. After the second signal the daemon does not wait for its load
        balancer, because there is none."""
        for _ in range(2):
            self.child.terminate()
            time.sleep(0.1)
        self.child.wait(30)

    def command(self, *words: str) -> str:
        done = subprocess.run(
            [self.binary, *words], cwd=self.home.name, env=self.environment(), capture_output=True, text=True
        )
        if done.returncode != 0:
            raise SystemExit(f"latchkey {' '.join(words)}: {done.stderr}")
        return done.stdout

    def call(self, method: str, path: str, body=None, token: str | None = None, form=None) -> dict:
        data = json.dumps(body).encode() if body is not None else None
        kind = {"content-type": "application/json"}
        if form is not None:
            data, kind = urllib.parse.urlencode(form).encode(), {}
        request = urllib.request.Request(self.issuer + path, data, kind | bearer(token), method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def person(self, name: str) -> dict:
        """Registers a user and confirms the email address. Returns the tokens of the user and the
        claims of the vaultToken."""
        return with_claims(self.register(f"{name}@example.com", f"the horse of {name} 47"))

    def register(self, address: str, password: str) -> dict:
        """Registers a user, confirms the email address, and returns the tokens."""
        self.call("POST", "/api/register", {"email": address, "password": password, "name": address.split("@")[0]})
        key = (Path(self.home.name) / "data/mailbox-key").read_text().strip()
        mails = self.call("GET", f"/dev/mailbox/messages?to={address}&wait=10s", token=key)
        return self.call("GET", f"/api/verify-email/{mails['items'][0]['token']}")

    def login(self, name: str) -> dict:
        address = f"{name}@example.com"
        return with_claims(self.call("POST", "/api/login", {"email": address, "password": f"the horse of {name} 47"}))

    def program(self, person: dict, scopes: list[str]) -> str:
        """Creates a key in the user's project, and returns a vaultToken of this key."""
        team, project = person["claims"]["tid"], person["claims"]["pid"]
        path = f"/api/teams/{team}/projects/{project}/keys"
        key = self.call("POST", path, {"name": "program", "scopes": scopes}, person["userToken"])
        form = {"grant_type": "client_credentials", "client_id": key["id"], "client_secret": secret_of(key)}
        return self.call("POST", "/api/token", form=form)["access_token"]


def secret_of(key: dict) -> str:
    """Returns the secret of the key, which is the member of the response that starts with `lk_`."""
    return next(value for value in key.values() if isinstance(value, str) and value.startswith("lk_"))


def with_claims(tokens: dict) -> dict:
    import jwt

    return tokens | {"claims": jwt.decode(tokens["vaultToken"], options={"verify_signature": False})}
