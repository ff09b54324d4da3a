"""Checks the route `/salaries` of the examples, which needs a fresh second factor (RFC 9470)."""

import json
import time
import urllib.error
import urllib.request

from authenticator import Authenticator
from daemon import bearer, with_claims

CHALLENGE = 'Bearer error="insufficient_user_authentication", acr_values="aal2", max_age="900"'
# A name, the level, the age of the proof in seconds (None: the claim is missing), and whether the
# token is accepted. The examples allow 60 seconds of leeway.
CASES = [
    ("a proof of 14 minutes ago is fresh", "aal2", 840, True),
    ("a proof of 20 minutes ago is too old", "aal2", 1200, False),
    ("a fresh proof of one factor is too low", "aal1", 1, False),
    ("a token that does not name the time of its proof is refused", "aal2", None, False),
    ("a token without a level is refused", None, 1, False),
]


def ask(url: str, token: str | None = None, body=None, headers: dict | None = None) -> tuple[int, dict, dict]:
    """Returns the status, the headers and the JSON of a response."""
    data = None if body is None else json.dumps(body).encode()
    sent = {"content-type": "application/json"} | bearer(token) | (headers or {})
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, sent), timeout=20) as answer:
            return answer.status, answer.headers, json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        return error.code, error.headers, json.loads(error.read() or b"{}")


def salaries(server) -> str:
    return server.url.replace("/reports", "/salaries")


def check_ages(check, issuer, servers: list):
    """Checks proofs of any age. The issuer signs any claims."""
    for name, level, age, is_accepted in CASES:
        claims = {} if level is None else {"acr": level}
        claims |= {} if age is None else {"auth_time": int(time.time()) - age}
        token = issuer.token(-10, 290, **claims)
        for server in servers:
            status, headers, _ = ask(salaries(server), token)
            expected = (200, None) if is_accepted else (401, CHALLENGE)
            got = (status, headers.get("www-authenticate"))
            check(f"{server.name}: {name}", got == expected, str(got))


class Person:
    """A user with an authenticator app and a trusted device. The tokens of a login on this device
    have the level `aal1`. The tokens of a step-up have the level `aal2`."""

    def __init__(self, check, daemon):
        self.daemon = daemon
        self.team = daemon.person("zoe")["claims"]["tid"]
        login = {"email": "zoe@example.com", "password": "the horse of zoe 47"}
        first = daemon.call("POST", "/api/login", login)
        self.key = daemon.program(with_claims(first), ["vault:read"])
        added = daemon.call("POST", "/api/me/factors/totp", {"name": "phone"}, first["userToken"])
        self.app = Authenticator(added["secret"])
        path = f"/api/me/factors/{added['id']}/confirm"
        daemon.call("POST", path, {"code": self.app.code()}, first["userToken"])
        status, _, problem = ask(f"{daemon.issuer}/api/login", body=login)
        got = (status, problem.get("code"))
        check("the login needs a second factor", got == (401, "factor-required"), str(problem))
        second = {"challenge": problem["challenge"], "method": "totp", "code": self.app.code(), "trustDevice": True}
        _, headers, _ = ask(f"{daemon.issuer}/api/login/factor", body=second)
        device = {"x-latchkey-device": headers["x-latchkey-device"]}
        _, _, self.tokens = ask(f"{daemon.issuer}/api/login", body=login, headers=device)

    def step_up(self) -> str:
        """Returns the vaultToken of a step-up."""
        proof = {"method": "totp", "code": self.app.code()}
        return self.daemon.call("POST", "/api/step-up", proof, self.tokens["userToken"])["vaultToken"]


def check_step_up(check, person: Person, servers: list):
    """Checks each server before and after the person's step-up."""
    low = person.tokens["vaultToken"]
    for server in servers:
        got = ask(server.url, low)[0]
        check(f"{server.name}: the reports need no second factor", got == 200, str(got))
    high = person.step_up()
    cases = [
        ("a login on a trusted device is too low", low, 401, CHALLENGE),
        ("a token of a key is too low", person.key, 401, CHALLENGE),
        ("after a step-up the salaries are let in", high, 200, None),
    ]
    for server in servers:
        for name, token, *expected in cases:
            status, headers, _ = ask(salaries(server), token)
            got = [status, headers.get("www-authenticate")]
            check(f"{server.name}: {name}", got == expected, str(got))
