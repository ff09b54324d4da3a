"""Tests other implementations against a running daemon: the codes of `oathtool` (Debian) and
`pyotp` (RFC 6238), and the passkeys of `python-fido2` and `soft-webauthn` (WebAuthn).

The only argument is the path of the daemon's program."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pyotp

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/examples")]

import passkeys  # noqa: E402
import soft_webauthn_keys as soft  # noqa: E402
from daemon import Daemon  # noqa: E402
from tally import Tally  # noqa: E402

tally = Tally("authenticators: ")
check = tally.check
STEP_S = 30


def by_oathtool(secret: str, at: int) -> str:
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))
    done = subprocess.run(
        ["oathtool", "--totp", "--base32", f"--now={when}", secret], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def by_pyotp(secret: str, at: int) -> str:
    return pyotp.TOTP(secret).at(at)


def problem(daemon: Daemon, path: str, body: dict, token: str | None = None) -> dict:
    """Sends a POST that must be refused, and returns the problem."""
    try:
        daemon.call("POST", path, body, token)
    except urllib.error.HTTPError as error:
        return json.load(error)
    raise SystemExit(f"{path} was not refused")


def walk(daemon: Daemon, name: str, first, second):
    """Confirms an app with a code of the program `first`, and logs in with a code of `second`."""
    password, address = f"the horse of {name} 47", f"{name}@example.com"
    daemon.person(name)
    token = daemon.login(name)["userToken"]
    begun = daemon.call("POST", "/api/me/factors/totp", {"name": "Phone"}, token)
    uri = pyotp.parse_uri(begun["uri"])
    read = (uri.secret, uri.issuer, uri.name, uri.digits, uri.interval)
    check(f"{name}: pyotp reads the URI", read == (begun["secret"], "latchkey", address, 6, STEP_S), str(read))
    now = int(time.time())
    path = f"/api/me/factors/{begun['id']}/confirm"
    confirmed = daemon.call("POST", path, {"code": first(begun["secret"], now)}, token)
    check(f"{name}: the first code confirms the app", len(confirmed["recoveryCodes"]) == 10)
    required = problem(daemon, "/api/login", {"email": address, "password": password})
    check(f"{name}: a login needs a code", required["code"] == "factor-required", str(required))
    proof = {"challenge": required["challenge"], "method": "totp"}
    used = problem(daemon, "/api/login/factor", proof | {"code": first(begun["secret"], now)})
    check(f"{name}: the first code is used", used["code"] == "invalid-credentials", str(used))
    # The code of the next step is accepted, because clocks differ.
    code = second(begun["secret"], now + STEP_S)
    tokens = daemon.call("POST", "/api/login/factor", proof | {"code": code})
    check(f"{name}: a code completes the login", "userToken" in tokens, str(tokens))


def main() -> int:
    daemon = Daemon(sys.argv[1])
    daemon.start()
    try:
        secret = pyotp.random_base32()
        for at in (59, 1_111_111_109, 20_000_000_000):
            codes = (by_oathtool(secret, at), by_pyotp(secret, at))
            check(f"both programs agree at {at}", codes[0] == codes[1], str(codes))
        walk(daemon, "oathtool", by_oathtool, by_pyotp)
        walk(daemon, "pyotp", by_pyotp, by_oathtool)
        origin = f"http://localhost:{daemon.port}"
        for name, passkey in (
            ("es256", passkeys.Passkey(passkeys.Es256Key(), origin)),
            ("eddsa", passkeys.Passkey(passkeys.EdDsaKey(), origin)),
            ("soft-webauthn", soft.SoftPasskey(origin)),
        ):
            passkeys.walk(daemon, check, problem, name, passkey)
        soft.without_verification(daemon, check, problem, "soft-webauthn-unverified")
    finally:
        daemon.stop()
    return tally.result()


if __name__ == "__main__":
    sys.exit(main())
