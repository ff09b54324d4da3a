"""The daemon that serves the pages. This module calls its API, reads its mailbox, and creates users
in every state that a page needs."""

import base64
import hmac
import itertools
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field

STEP_SECONDS = 30
PASSWORD = "correct horse battery"


@dataclass
class Person:
    email: str
    token: str
    vault: str
    # The secret of the authenticator app, if the person has one.
    secret: str = ""
    recovery_codes: list = field(default_factory=list)
    last_step: int = 0

    def code(self):
        """Returns a code of the authenticator app (RFC 6238) that was not returned before. The daemon
        accepts the codes of three steps, so a test gets three codes without waiting."""
        self.last_step = max(self.last_step + 1, int(time.time()) // STEP_SECONDS - 1)
        secret = base64.b32decode(self.secret + "=" * (-len(self.secret) % 8))
        digest = hmac.digest(secret, self.last_step.to_bytes(8, "big"), "sha1")
        at = digest[-1] & 15
        number = int.from_bytes(digest[at : at + 4], "big") & 0x7FFFFFFF
        return f"{number % 1_000_000:06}"


class Daemon:
    def __init__(self, base, home, public=None):
        """`home` is the directory in which the daemon runs."""
        self.base = base.rstrip("/")
        self.key = (home / "data/mailbox-key").read_text().strip()
        # The beginning of the links in the daemon's mails.
        self.public = (public or base).rstrip("/")
        self._numbers = itertools.count(1)

    def ask(self, path, body=None, token=None, method=None):
        """Returns the status and the JSON of a response, even if it is a problem."""
        headers = {"content-type": "application/json"}
        if token:
            headers["authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    def must(self, *arguments, **named):
        status, answer = self.ask(*arguments, **named)
        assert status < 300, f"{arguments[0]}: {status} {answer}"
        return answer

    def address(self):
        return f"ada{next(self._numbers)}@example.com"

    def registered(self):
        email = self.address()
        tokens = self.must("/api/register", {"email": email, "password": PASSWORD, "name": "Ada"})
        return Person(email, tokens["userToken"], tokens["vaultToken"])

    def verified(self):
        person = self.registered()
        token = self.mail(person.email, "confirm")["token"]
        tokens = self.must(f"/api/verify-email/{token}")
        return Person(person.email, tokens["userToken"], tokens["vaultToken"])

    def protected(self):
        """Returns a user who has an authenticator app and recovery codes."""
        person = self.verified()
        token = self.must("/api/login", {"email": person.email, "password": PASSWORD})["userToken"]
        begun = self.must("/api/me/factors/totp", {"name": "Phone"}, token=token)
        person.secret = begun["secret"]
        confirm = f"/api/me/factors/{begun['id']}/confirm"
        confirmed = self.must(confirm, {"code": person.code()}, token=token)
        person.token, person.vault = confirmed["userToken"], confirmed["vaultToken"]
        person.recovery_codes = confirmed["recoveryCodes"]
        return person

    def mail(self, to, kind):
        """Waits for a mail of this kind and returns the newest one."""
        after = ""
        for _ in range(5):
            query = urllib.parse.urlencode({"to": to, "wait": "10s", **({"after": after} if after else {})})
            mails = self.must(f"/dev/mailbox/messages?{query}", token=self.key)["items"]
            for mail in mails:
                if mail["kind"] == kind:
                    return mail
            after = mails[0]["id"] if mails else after
        raise AssertionError(f"no mail {kind} to {to}")

    def mailbox(self, path=""):
        """Returns the URL of the mailbox, or of a page in the mailbox, with the key. After a window
        has opened this URL, it has access to the mailbox."""
        return f"/dev/mailbox{path}?key={self.key}"

    def path(self, link):
        assert link.startswith(self.public), link
        return link[len(self.public):]

    # The methods below return links in the state that a page needs. A test uses up its link, so
    # each call creates a new link.

    def confirmation(self):
        return self.path(self.mail(self.registered().email, "confirm")["link"])

    def recovery(self, person=None):
        person = person or self.verified()
        self.must("/api/forgot-password", {"email": person.email})
        return self.path(self.mail(person.email, "recover")["link"])

    def invitation(self, person=None):
        host = self.verified()
        team = self.must("/api/teams", token=host.token)["items"][0]["id"]
        guest = {"email": (person or self.verified()).email, "role": "member"}
        self.must(f"/api/teams/{team}/invitations", guest, token=host.token)
        return self.path(self.mail(guest["email"], "invitation")["link"])

    def change(self, person):
        """Requests a change of the email address. Returns the new address, the link that confirms
        the change and the link that undoes the change."""
        email = self.address()
        self.must("/api/change-email", {"password": PASSWORD, "email": email}, token=person.token)
        confirm = self.mail(email, "change-email")["link"]
        undo = self.mail(person.email, "email-change-notice")["link"]
        return email, self.path(confirm), self.path(undo)
