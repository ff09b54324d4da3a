"""A resource server of one team. It serves `GET /reports` to vaultTokens of this team with the scope
`vault:read`. For `GET /salaries` the user must also have proved a second factor within 15 minutes.

    serve.py ISSUER TEAM [PORT]

If the variable LATCHKEY_KEY has a project key of the team, the server also asks latchkey about each
token. Then tokens are refused at once after a logout, after a member is removed and after a key is
revoked. Without LATCHKEY_KEY they are accepted until they expire, at most six minutes later.
"""

import json
import os
import sys
import time
import urllib.parse
import urllib.request
import uuid
from wsgiref.simple_server import make_server

import jwt  # PyJWT[crypto]

LEEWAY = 60  # seconds by which the clocks may differ
MAX_AGE = 900  # seconds for which a second factor counts as fresh


class Refused(Exception):
    """An error response of RFC 6750 §3: a status, and the value of WWW-Authenticate."""


class Guard:
    """Accepts tokens of one team. With a project key of the team, it also asks the issuer whether each
    token is live."""

    def __init__(self, issuer: str, team: str, key: str | None):
        self.issuer, self.team, self.key = issuer, team, key
        self.keys = jwt.PyJWKClient(f"{issuer}/.well-known/jwks.json", timeout=5)  # caches the keys

    def claims(self, authorization: str, scope: str) -> dict:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refused("401 Unauthorized", "Bearer")
        try:
            claims = self.verify(token)
        except jwt.PyJWKClientConnectionError:
            raise  # latchkey is down and no key is cached: respond 500, never 401
        except jwt.PyJWTError:
            raise Refused("401 Unauthorized", 'Bearer error="invalid_token"') from None
        # The tokens of all teams have the same `aud` and are signed with the same keys, so this
        # server must check the team.
        if claims.get("tid") != self.team:
            raise Refused("403 Forbidden", 'Bearer error="insufficient_scope"')
        if scope not in claims["scope"].split():
            raise Refused("403 Forbidden", f'Bearer error="insufficient_scope", scope="{scope}"')
        if self.key and not self.is_live(token):
            raise Refused("401 Unauthorized", 'Bearer error="invalid_token"')
        return claims

    def verify(self, token: str) -> dict:
        key = self.keys.get_signing_key_from_jwt(token).key
        whole = jwt.decode_complete(
            token,
            key,
            algorithms=["ES256"],  # chosen by this server, not by the token (RFC 8725 §3.1)
            audience="vault",
            issuer=self.issuer,
            leeway=LEEWAY,
            options={"require": ["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "client_id", "scope"]},
        )
        if whole["header"].get("typ") != "at+jwt":
            raise jwt.InvalidTokenError("not a vaultToken")
        return whole["payload"]

    def is_live(self, token: str) -> bool:
        """Asks latchkey whether a token is live (RFC 7662). The server authenticates with its key,
        `lk_<id>_<secret>`. The id in the key is the client id."""
        client = {"client_id": str(uuid.UUID(self.key.split("_")[1])), "client_secret": self.key}
        form = urllib.parse.urlencode({"token": token, **client}).encode()
        with urllib.request.urlopen(f"{self.issuer}/api/introspect", form, timeout=5) as answer:
            return json.load(answer)["active"]


def require_second_factor(claims: dict):
    """Refuses a token without a fresh second factor (RFC 9470 §3). Then the client sends a code to
    `POST /api/step-up` of latchkey, and repeats its request with the new vaultToken."""
    age = time.time() - claims.get("auth_time", 0)
    if claims.get("acr") != "aal2" or age > MAX_AGE + LEEWAY:
        needed = f'acr_values="aal2", max_age="{MAX_AGE}"'
        raise Refused("401 Unauthorized", f'Bearer error="insufficient_user_authentication", {needed}')


def application(guard: Guard):
    def answer(environ, start_response):
        try:
            if environ["PATH_INFO"] not in ("/reports", "/salaries"):
                start_response("404 Not Found", [])
                return []
            claims = guard.claims(environ.get("HTTP_AUTHORIZATION", ""), "vault:read")
            if environ["PATH_INFO"] == "/salaries":
                require_second_factor(claims)
        except Refused as refused:
            status, challenge = refused.args
            start_response(status, [("WWW-Authenticate", challenge)])
            return []
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({"subject": claims["sub"], "project": claims["pid"]}).encode()]

    return answer


if __name__ == "__main__":
    issuer, team, port = (sys.argv[1:] + ["8000"])[:3]
    guard = Guard(issuer, team, os.environ.get("LATCHKEY_KEY"))
    with make_server("127.0.0.1", int(port), application(guard)) as server:
        server.serve_forever()
