"""A latchkey daemon that sends its mails to the servers of `server.py`, and its commands."""

import json
import secrets
import signal
import subprocess
import urllib.parse
from pathlib import Path

from server import LOGIN, PASSWORD, MailServer, until
from daemon import Daemon

USER_PASSWORD = "the horse of a user 47"
HEAD = 'profile = "production"\npublic_url = "https://auth.example.com"\nsecrets.master_key_file = "master.key"\n'


def url(port: int, login: str = LOGIN, password: str = PASSWORD, host: str = "localhost") -> str:
    """Returns the URL of a port with STARTTLS. With an empty login it has no user."""
    user = ":".join(urllib.parse.quote(word, safe="") for word in (login, password)) + "@" if login else ""
    return f"smtp://{user}{host}:{port}?tls=required"


class Latchkey(Daemon):
    """A daemon with the profile `production`, as behind a proxy that terminates TLS. Its settings
    are in a file. The end of a `with` block stops it."""

    def __init__(self, binary: str, servers: MailServer, **mail: str | None):
        super().__init__(binary)
        self.mail = {
            "smtp_url": url(servers.starttls_port),
            "ca_file": str(servers.authority),
            "helo": "auth.example.com",
            "from": "Example <no-reply@example.com>",
        }
        self.write("master.key", secrets.token_urlsafe(32))
        self.set(**mail)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child is not None:
            self.stop()

    def write(self, name: str, text: str):
        """Writes a file that only this Unix user can read."""
        path = Path(self.home.name) / name
        path.touch(0o600)
        path.write_text(text)

    def set(self, **mail: str | None):
        """Changes settings of `mail`. A setting that is None has its default value."""
        self.mail |= mail
        lines = [f"mail.{name} = {json.dumps(value)}\n" for name, value in self.mail.items() if value is not None]
        self.write("latchkey.toml", HEAD + "".join(lines))

    def restart(self, **mail: str | None):
        self.stop()
        self.set(**mail)
        self.start()

    def reload(self, **mail: str):
        self.set(**mail)
        self.child.send_signal(signal.SIGHUP)

    def log(self) -> str:
        return (Path(self.home.name) / "log").read_text()

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess:
        """Runs a command, which may fail."""
        surroundings = self.environment(**environment)
        return subprocess.run([self.binary, *words], cwd=self.home.name, env=surroundings, capture_output=True, text=True)

    def mail_test(self, to: str, **environment: str) -> subprocess.CompletedProcess:
        return self.run("mail", "test", "--to", to, **environment)

    def doctor(self) -> list[dict]:
        """Returns what `latchkey doctor` finds about the mail server."""
        findings = json.loads(self.run("doctor", "--json").stdout)["checks"]
        return [finding for finding in findings if finding["check"] == "smtp"]

    def failure(self) -> str:
        """Returns what fails in `latchkey doctor` about the mail server, which is at most one step,
        with the remedy."""
        return "".join(json.dumps(finding) for finding in self.doctor() if finding["state"] == "failed")

    def register(self, address: str):
        self.call("POST", "/api/register", {"email": address, "password": USER_PASSWORD, "name": "Ada"})

    def outbox(self, address: str) -> dict:
        """Returns the row of the only mail to this address."""
        [row] = json.loads(self.command("mail", "list", "--state", "all", "--to", address, "--json"))["items"]
        return row

    def settled(self, address: str, state: str) -> dict:
        """Waits until the mail to this address is in this state, and returns its row."""
        until(f"the state {state} of the mail to {address}", 30, lambda: self.outbox(address)["state"] == state)
        return self.outbox(address)
