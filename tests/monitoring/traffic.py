"""Requests of users, programs and proxies that give every panel of the dashboards a value."""

import base64
import json
import socket
import urllib.error
import urllib.parse
import urllib.request

from authenticator import Authenticator
from stage import until

PASSWORD = "correct horse battery"


class Client:
    def __init__(self, base: str, mailbox_key: str):
        self.base, self.mailbox_key = base, mailbox_key
        self.statuses: dict[int, int] = {}

    def ask(self, method: str, path: str, body=None, token=None, form=None, headers=None) -> tuple[int, dict]:
        """Returns the status and the JSON of a response, even if it is a problem."""
        data, sent = None, dict(headers or {})
        if body is not None:
            data, sent["content-type"] = json.dumps(body).encode(), "application/json"
        if form is not None:
            data = urllib.parse.urlencode(form).encode()
        if token:
            sent["authorization"] = f"Bearer {token}"
        request = urllib.request.Request(self.base + path, data, sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        self.statuses[status] = self.statuses.get(status, 0) + 1
        try:
            return status, json.loads(text or b"{}")
        except ValueError:
            return status, {}

    def must(self, expected: int, *arguments, **named) -> dict:
        status, answer = self.ask(*arguments, **named)
        assert status == expected, f"{arguments}: {status} {answer}"
        return answer

    def mailed(self, address: str, kind: str) -> str:
        """Waits for a mail of this kind, and returns the token in the newest one."""
        query = urllib.parse.urlencode({"to": address, "wait": "10s"})
        for _ in range(3):
            mails = self.must(200, "GET", f"/dev/mailbox/messages?{query}", token=self.mailbox_key)["items"]
            for mail in mails:
                if mail["kind"] == kind:
                    return mail["token"]
            after = {"after": mails[0]["id"]} if mails else {}
            query = urllib.parse.urlencode({"to": address, "wait": "10s"} | after)
        raise AssertionError(f"no mail {kind} to {address}")


def person(client: Client, address: str) -> dict:
    """Registers a user, confirms the email address and returns the tokens."""
    client.must(200, "POST", "/api/register", {"email": address, "password": PASSWORD, "name": "Ada"})
    return client.must(200, "GET", f"/api/verify-email/{client.mailed(address, 'confirm')}")


def claims(token: str) -> dict:
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


def log_ins(client: Client, address: str):
    client.must(200, "POST", "/api/login", {"email": address, "password": PASSWORD})
    client.must(401, "POST", "/api/login", {"email": address, "password": "wrong and wrong"})
    client.must(401, "POST", "/api/login", {"email": "nobody@example.com", "password": PASSWORD})


def refreshes(client: Client, address: str):
    """Replaces a token twice and then sends the first token again, which ends the session."""
    first = client.must(200, "POST", "/api/login", {"email": address, "password": PASSWORD})["userToken"]
    second = client.must(200, "GET", "/api/refresh", token=first)["userToken"]
    client.must(200, "GET", "/api/refresh", token=second)
    client.must(401, "GET", "/api/refresh", token=first)


def second_factor(client: Client, address: str):
    """Adds an authenticator app, logs in with a wrong and with a right code, and removes the app."""
    login = {"email": address, "password": PASSWORD}
    own = client.must(200, "POST", "/api/login", login)["userToken"]
    added = client.must(201, "POST", "/api/me/factors/totp", {"name": "phone"}, own)
    app, factor = Authenticator(added["secret"]), f"/api/me/factors/{added['id']}"
    client.must(200, "POST", f"{factor}/confirm", {"code": app.code()}, own)
    challenge = client.must(401, "POST", "/api/login", login)["challenge"]
    code = {"challenge": challenge, "method": "totp"}
    client.must(401, "POST", "/api/login/factor", code | {"code": "wrong"})
    client.must(200, "POST", "/api/login/factor", code | {"code": app.code()})
    client.must(204, "DELETE", factor, token=own)


def recovery(client: Client, address: str):
    client.ask("POST", "/api/forgot-password", {"email": address})
    token = client.mailed(address, "recover")
    client.must(200, "POST", "/api/reset-password", {"token": token, "newPassword": PASSWORD + " staple"})


def programs(client: Client, tokens: dict):
    """Uses a project key and its tokens, sends the requests of proxies and resource servers, and
    revokes a token."""
    own = claims(tokens["vaultToken"])
    path = f"/api/teams/{own['tid']}/projects/{own['pid']}/keys"
    key = client.must(200, "POST", path, {"name": "program", "scopes": ["vault:read"]}, tokens["userToken"])
    secret = next(value for value in key.values() if isinstance(value, str) and value.startswith("lk_"))
    whose = {"client_id": key["id"], "client_secret": secret}
    for _ in range(3):
        token = client.must(200, "POST", "/api/token", form={"grant_type": "client_credentials"} | whose)["access_token"]
    client.must(200, "GET", "/api/forward-auth", token=token)
    client.must(401, "GET", "/api/forward-auth")
    assert client.must(200, "POST", "/api/introspect", form={"token": token} | whose)["active"]
    client.must(200, "POST", "/api/revoke", form={"token": token})
    assert not client.must(200, "POST", "/api/introspect", form={"token": token} | whose)["active"]


def over_a_limit(client: Client):
    for number in range(400):
        if client.ask("GET", f"/api/exist-email/nobody{number}@example.com")[0] == 429:
            return
    raise AssertionError("400 requests reached no limit")


def a_store_that_hangs(client: Client, redis_port: int, address: str, other: str, token: str):
    """Pauses Redis for three seconds. Requests that need Redis get a 503. The only exception is the
    mail budget of a recipient: for an existing account the daemon uses its own budget."""
    with socket.create_connection(("127.0.0.1", redis_port)) as redis:
        redis.sendall(b"CLIENT PAUSE 3000 ALL\r\n")
        assert redis.recv(64) == b"+OK\r\n"
        status, answer = client.ask("POST", "/api/login", {"email": address, "password": PASSWORD})
        assert status == 503, f"{status} {answer}"
        client.must(200, "POST", "/api/forgot-password", {"email": other})
        redis.settimeout(20)
        redis.sendall(b"PING\r\n")
        assert redis.recv(64) == b"+PONG\r\n"
    until("the recovery of Redis", 20, lambda: client.ask("GET", "/api/me", token=token)[0] == 200)


def drive(client: Client, redis_port: int):
    """Sends every kind of request twice. If the first value of a counter is not 0, the counter
    still rises in the second pass."""
    for number in range(2):
        address = f"ada{number}@example.com"
        tokens = person(client, address)
        client.must(200, "GET", "/api/me", token=tokens["userToken"])
        programs(client, tokens)
        log_ins(client, address)
        refreshes(client, address)
        other = f"eve{number}@example.com"
        person(client, other)
        a_store_that_hangs(client, redis_port, address, other, tokens["userToken"])
        recovery(client, address)
    # The counters of second factors start at 0, so one pass is enough. A second pass would exceed
    # the limit of logins.
    second_factor(client, "eve0@example.com")
    over_a_limit(client)
