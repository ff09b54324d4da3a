"""Runs every example of examples/ against a real daemon, and checks the documents.

    run.py LATCHKEY RUST_EXAMPLE [--all]

The last line of the output has the format of cargo's test runner. The Go example runs if Go is
installed. With --all, the program fails if Go is not installed.
"""

import hashlib
import hmac
import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

import clock  # noqa: E402
import documents  # noqa: E402
import step_up  # noqa: E402
import walk  # noqa: E402
from daemon import Daemon, answers, bearer, free_port, status, until  # noqa: E402
from tally import Tally  # noqa: E402

EXAMPLES = ROOT / "examples"
EXAMPLE_TEAM = "0199d2f0-3c5e-7a10-8f00-5d2f6a1b9c33"
tally = Tally()
check = tally.check


def forged(token: str, **changes) -> str:
    """Returns a token with the same claims, except for the given changes. Another key has signed
    the token, but its header has the daemon's `kid`."""
    head, claims = jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})
    own = ec.generate_private_key(ec.SECP256R1())
    return jwt.encode(claims | changes, own, "ES256", headers=head)


def unsigned(token: str) -> str:
    claims = jwt.decode(token, options={"verify_signature": False})
    return jwt.encode(claims, None, "none", headers=jwt.get_unverified_header(token) | {"alg": "none"})


def by_published_key(token: str, daemon: Daemon) -> str:
    """Returns a token with an HS256 signature. The secret of the signature is the published key. A
    server that trusts the `alg` in the header would accept this token."""
    jwk = daemon.call("GET", "/.well-known/jwks.json")["keys"][0]
    head = jwt.utils.base64url_encode(json.dumps({"alg": "HS256", "typ": "at+jwt", "kid": jwk["kid"]}).encode())
    signed = head + b"." + token.split(".")[1].encode()
    public = jwt.PyJWK(jwk).key
    secret = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return (signed + b"." + jwt.utils.base64url_encode(hmac.new(secret, signed, hashlib.sha256).digest())).decode()


class Server:
    """An example server. The test ends it by its process id."""

    def __init__(self, name: str, port: int, command: list[str], live: bool = False):
        self.name, self.live = name, live
        self.url = f"http://127.0.0.1:{port}/reports"
        # The output of the examples, such as Python's access log, is discarded.
        self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(f"the start of {name}", 120, lambda: self.is_up(port))

    def is_up(self, port: int) -> bool:
        if self.child.poll() is not None:
            raise SystemExit(f"{self.name} ended with {self.child.returncode}")
        return answers(port)

    def stop(self):
        self.child.terminate()
        self.child.wait(20)


def haproxy(daemon: Daemon, team: str, port: int, home: Path) -> Server:
    """Starts Debian's HAProxy with the files of the example. Only the addresses and the team in
    these files are replaced."""
    application = free_port()
    text = (EXAMPLES / "haproxy/haproxy.cfg").read_text()
    for old, new in [
        ("/etc/haproxy/latchkey.lua", str(EXAMPLES / "haproxy/latchkey.lua")),
        ("127.0.0.1:8000", f"127.0.0.1:{port}"),
        ("127.0.0.1:8080", f"127.0.0.1:{daemon.port}"),
        ("127.0.0.1:3000", f"127.0.0.1:{application}"),
        (EXAMPLE_TEAM, team),
    ]:
        if old not in text:
            raise SystemExit(f"haproxy.cfg says nothing of {old}")
        text = text.replace(old, new)
    (home / "haproxy.cfg").write_text(text)
    server = Server("haproxy", port, [program("haproxy"), "-db", "-f", str(home / "haproxy.cfg")], live=True)
    server.application = subprocess.Popen([sys.executable, str(Path(__file__).with_name("echo.py")), str(application)])
    until("the start of the application", 20, lambda: answers(application))
    return server


def program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if not found:
        raise SystemExit(f"{name} is not installed")
    return found


def start_verifiers(issuer: str, team: str, rust: str, home: Path, wants_go: bool) -> list[Server]:
    """Starts the examples that verify tokens themselves."""
    def at(name: str, *command: str) -> Server:
        port = free_port()
        return Server(name, port, [*command, issuer, team, str(port)])

    servers = [
        at("python", sys.executable, str(EXAMPLES / "python/serve.py")),
        at("node", program("node"), str(EXAMPLES / "node/server.mjs")),
        at("rust", rust),
    ]
    if wants_go or shutil.which("go"):
        built = home / "go-example"
        if not built.exists():
            subprocess.run([program("go"), "build", "-o", built, EXAMPLES / "go/main.go"], check=True)
        servers.append(at("go", str(built)))
    return servers


def main() -> int:
    latchkey, rust = sys.argv[1:3]
    daemon = Daemon(latchkey)
    home = Path(daemon.home.name)
    # The first tokens are valid for one second. Then the daemon restarts with the usual lifetime of
    # tokens, and it still has the same keys.
    daemon.start(LATCHKEY_TOKENS__VAULT_TTL="1s")
    ada, eve = daemon.person("ada"), daemon.person("eve")
    expired = ada["vaultToken"]
    daemon.stop()
    daemon.start()
    ada, eve = daemon.login("ada"), daemon.login("eve")
    team, good = ada["claims"]["tid"], ada["vaultToken"]
    reader, writer = daemon.program(ada, ["vault:read"]), daemon.program(ada, ["vault:write"])
    other_team = daemon.program(eve, ["vault:read"])
    cases = [
        ("a member's token is let in", good, 200),
        ("a key's token is let in", reader, 200),
        ("another team's token is forbidden", eve["vaultToken"], 403),
        ("another team's key is forbidden", other_team, 403),
        ("a token without the scope is forbidden", writer, 403),
        ("no token is unauthorized", None, 401),
        ("a token under a key of ours is unauthorized", forged(good), 401),
        ("a token with another team written in is unauthorized", forged(eve["vaultToken"], tid=team), 401),
        ("an unsigned token is unauthorized", unsigned(good), 401),
        ("a token by HS256 and the published key is unauthorized", by_published_key(good, daemon), 401),
        ("a userToken is unauthorized", ada["userToken"], 401),
        ("rubbish is unauthorized", "a.b.c", 401),
    ]
    wants_go = "--all" in sys.argv
    servers = start_verifiers(daemon.issuer, team, rust, home, wants_go)
    servers.append(haproxy(daemon, team, free_port(), home))
    # These servers trust an issuer that signs tokens for any time.
    issuer = clock.Issuer()
    others = start_verifiers(issuer.issuer, clock.TEAM, rust, home, wants_go)
    zoe = step_up.Person(check, daemon)
    of_zoe = start_verifiers(daemon.issuer, zoe.team, rust, home, wants_go)
    try:
        clock.check_all(check, issuer, others, status)
        step_up.check_ages(check, issuer, others)
        step_up.check_step_up(check, zoe, of_zoe)
        until("the end of the first token", 10, lambda: time.time() > jwt_exp(expired) + 1)
        for server in servers:
            if server.live:
                got = status(server.url, expired)
                check(f"{server.name}: an expired token is unauthorized", got == 401, str(got))
        began = time.monotonic()
        for server in servers:
            for name, token, expected in cases:
                got = status(server.url, token)
                check(f"{server.name}: {name}", got == expected, f"{got}, not {expected}")
        proxied(servers, ada)
        rotated(daemon, servers, began)
        without_the_daemon(daemon, servers)
    finally:
        for server in servers + others + of_zoe:
            server.stop()
            if hasattr(server, "application"):
                server.application.terminate()
        if daemon.child.poll() is None:
            daemon.stop()
    guide = Daemon(latchkey)
    guide.start()
    try:
        walk.check_all(check, ROOT / "docs/second-factors.md", guide)
    finally:
        guide.stop()
    documents.check_all(check, ROOT, latchkey)
    return tally.result()


def jwt_exp(token: str) -> int:
    return jwt.decode(token, options={"verify_signature": False})["exp"]


def proxied(servers: list[Server], ada: dict):
    """Checks the headers that the application behind HAProxy receives. They are the headers of
    latchkey about the caller. HAProxy removes the token, and removes headers with these names that
    the client sent."""
    url = next(server.url for server in servers if server.name == "haproxy")
    lies = {"x-latchkey-subject": "root", "x-latchkey-role": "owner", "X-LATCHKEY-TEAM": EXAMPLE_TEAM}
    request = urllib.request.Request(url, headers=bearer(ada["vaultToken"]) | lies)
    with urllib.request.urlopen(request, timeout=20) as answer:
        told = json.load(answer)
    claims = ada["claims"]
    expected = {"subject": claims["sub"], "team": claims["tid"], "project": claims["pid"], "role": "owner"}
    for name, value in expected.items():
        check(f"haproxy: the application gets the {name}", told.get(f"x-latchkey-{name}") == value, str(told))
    check("haproxy: the token stays with the proxy", "authorization" not in told)
    # A request with two tokens is refused, whichever of the two tokens a parser would use.
    port = int(url.split(":")[2].split("/")[0])
    head = f"GET /reports HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    twice = head + f"Authorization: Bearer {ada['vaultToken']}\r\n" * 2 + "\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
        raw.sendall(twice.encode())
        first = raw.makefile("rb").readline().decode()
    check("haproxy: two tokens are none", " 401 " in first, first)


def rotated(daemon: Daemon, servers: list[Server], began: float):
    """Checks that each verifier accepts a token of a new key, because it fetches the keys again."""
    daemon.command("keys", "rotate", "--kind", "vault", "--now")
    daemon.stop()
    daemon.start()
    new = daemon.login("ada")["vaultToken"]
    # If a token has an unknown key, the examples fetch the keys again, but at the earliest ten
    # seconds after the last fetch.
    until("ten seconds since the keys were fetched", 15, lambda: time.monotonic() > began + 12)
    for server in servers:
        got = status(server.url, new)
        check(f"{server.name}: a token of a new key is let in", got == 200, str(got))
    daemon.good = new


def without_the_daemon(daemon: Daemon, servers: list[Server]):
    """While latchkey is down, a server verifies a token with the keys in its memory. A server that
    asks latchkey about each request refuses the request, but never with a 401."""
    daemon.stop()
    for server in servers:
        expected = 503 if server.live else 200
        got = status(server.url, daemon.good)
        check(f"{server.name}: with the daemon down it is a {expected}", got == expected, str(got))


if __name__ == "__main__":
    sys.exit(main())
