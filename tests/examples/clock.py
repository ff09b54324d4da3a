"""Checks that verifiers whose clock differs from the issuer's accept valid tokens.

The issuer here is not latchkey: it publishes a key and signs tokens for any time. A token that
begins in the future stands for a server whose clock is behind.
"""

import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

ROOT = Path(__file__).resolve().parents[2]
TEAM = "0199d2f0-3c5e-7a10-8f00-5d2f6a1b9c33"
# A name, the seconds from now at which a token begins and ends, and whether it is valid.
CASES = [
    ("a token of a clock that is 5 seconds ahead is let in", 5, 305, True),
    ("a token of a clock that is 50 seconds ahead is let in", 50, 350, True),
    ("a token that expired 5 seconds ago is let in", -305, -5, True),
    ("a token of a clock that is 5 minutes ahead is unauthorized", 300, 600, False),
    ("a token that expired 5 minutes ago is unauthorized", -600, -300, False),
]


class Issuer:
    """Serves the discovery document and the key set."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key()))
        documents = {"/.well-known/jwks.json": {"keys": [jwk | {"kid": "one", "alg": "ES256", "use": "sig"}]}}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                body = json.dumps(documents[self.path]).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        discovery = {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/.well-known/jwks.json"}
        documents["/.well-known/openid-configuration"] = discovery
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def token(self, begins: int, ends: int, **more) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": "vault", "sub": "ada", "jti": "one", "client_id": "latchkey",
            "tid": TEAM, "pid": TEAM, "role": "owner", "scope": "vault:read",
            "iat": now + begins, "nbf": now + begins, "exp": now + ends,
        } | more
        return jwt.encode(claims, self.key, "ES256", headers={"kid": "one", "typ": "at+jwt"})


def check_all(check, issuer: Issuer, servers: list, status):
    """Checks the examples, and the program tests/resource_server/verify.py."""
    for name, begins, ends, is_valid in CASES:
        token = issuer.token(begins, ends)
        for server in servers:
            got = status(server.url, token)
            check(f"{server.name}: {name}", got == (200 if is_valid else 401), str(got))
        program = [sys.executable, str(ROOT / "tests/resource_server/verify.py"), issuer.issuer, token]
        ended = subprocess.run(program, capture_output=True, text=True, timeout=60)
        check(f"verify.py: {name}", ended.returncode == (0 if is_valid else 1), ended.stderr)
