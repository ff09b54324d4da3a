"""The library `@simplewebauthn/browser` in Chromium, with virtual authenticators.

The page passes the options of the daemon to the library, and sends to the daemon what the library
returns. It changes neither of them."""

import base64
import json
from pathlib import Path

from daemon import PASSWORD
from flows import FLOWS, flow
from passkeys import PasskeyPage

FRONT_END = Path(__file__).with_name("simplewebauthn.js")
LIBRARY = "@simplewebauthn/browser"
# How a page loads each form of the library. Bundlers take the modules, and pages without a bundler
# take one of the two UMD files.
LOADERS = {
    "modules": """<script type="module">
        import * as library from "/library/esm/index.js";
        globalThis.SimpleWebAuthnBrowser = library;
    </script>""",
    "umd": """<script src="/library/dist/bundle/index.umd.min.js"></script>""",
    "es5 umd": """<script src="/library/dist/bundle/index.es5.umd.min.js"></script>""",
}
PAGE = """<!doctype html><html lang="en"><title>Passkeys</title><link rel="icon" href="data:,">
<input autocomplete="username webauthn">%s<script src="/front-end.js"></script></html>"""


class FrontEnd(PasskeyPage):
    """A page with the library. Each method calls the function of `simplewebauthn.js` with its name,
    and returns the response of the daemon."""

    def __init__(self, daemon, window, form="modules", **device):
        super().__init__(daemon, window, **device)
        self.library = window.packages / LIBRARY
        self.serve("/front-end", body=PAGE % LOADERS[form], content_type="text/html")
        self.serve("/front-end.js", path=FRONT_END)
        self.context.route(f"{self.origin}/library/**", self._library)
        self.page.goto(f"{self.origin}/front-end")
        self.email = daemon.verified().email
        self.token = self.page.evaluate("(body) => post('/api/login', body)", self._account())["userToken"]

    def _library(self, route):
        route.fulfill(path=self.library / route.request.url.partition("/library/")[2])

    def _account(self):
        return {"email": self.email, "password": PASSWORD}

    def add(self):
        return self.page.evaluate("(token) => add(token)", self.token)

    def with_password(self):
        return self.page.evaluate("(account) => withPassword(account)", self._account())

    def with_passkey(self, **how):
        return self.page.evaluate("(how) => withPasskey(how)", how)

    def step_up(self, token):
        return self.page.evaluate("(token) => stepUp(token)", token)


def methods(tokens):
    """Returns the level and the methods of the login."""
    assert "userToken" in tokens, tokens
    claims = tokens["userToken"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    return claims["acr"], claims["amr"]


def adds_and_proves(form):
    def test(daemon, window):
        page = FrontEnd(daemon, window, form)
        added = page.add()
        assert len(added.get("recoveryCodes", [])) == 10, added
        [passkey] = page.passkeys()
        assert passkey["isResidentCredential"] and passkey["rpId"] == "localhost"
        assert methods(page.with_passkey()) == ("aal2", ["pop", "mfa"])
        tokens = page.with_password()
        assert methods(tokens) == ("aal2", ["pwd", "pop", "mfa"])
        assert methods(page.step_up(tokens["userToken"])) == ("aal2", ["pwd", "pop", "mfa"])

    return test


for form in LOADERS:
    name = f"simplewebauthn ({form}) adds a passkey and logs in with and without a password"
    FLOWS.append((name, True, False, adds_and_proves(form)))


@flow
def simplewebauthn_logs_in_from_the_field_of_the_email_address(daemon, window):
    page = FrontEnd(daemon, window)
    page.add()
    assert methods(page.with_passkey(useBrowserAutofill=True)) == ("aal2", ["pop", "mfa"])


@flow
def simplewebauthn_recognises_a_device_that_is_registered_already(daemon, window):
    page = FrontEnd(daemon, window)
    page.token = page.add()["userToken"]
    assert page.add() == {"libraryCode": "ERROR_AUTHENTICATOR_PREVIOUSLY_REGISTERED"}
    assert len(page.passkeys()) == 1


@flow
def simplewebauthn_sends_a_response_twice_and_logs_in_once(daemon, window):
    page = FrontEnd(daemon, window)
    page.add()
    first, again, later = page.page.evaluate("() => sendAgain()")
    assert methods(first) == ("aal2", ["pop", "mfa"])
    assert again["code"] == "challenge-invalid", again
    assert later["code"] == "invalid-credentials", later
