"""The example front end of passkeys (`examples/passkey`) in Chromium, with virtual authenticators."""

import json
import re
import urllib.parse
from pathlib import Path

from daemon import PASSWORD
from flows import flow

EXAMPLE = Path(__file__).parents[2] / "examples/passkey/index.html"
DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
NO_AUTOFILL = "PublicKeyCredential.isConditionalMediationAvailable = async () => false;"


class PasskeyPage:
    """A page of the test in a window, with one authenticator.

    The page comes from the origin of the daemon, under the name `localhost`, because a passkey
    belongs to a domain name."""

    def __init__(self, daemon, window, **device):
        self.page, self.context = window.page, window.context
        self.origin = f"http://localhost:{urllib.parse.urlsplit(daemon.base).port}"
        self.devices = window.context.new_cdp_session(self.page)
        self.devices.send("WebAuthn.enable", {"enableUI": False})
        self.device = self.plug_in(**device)

    def serve(self, path, /, **answer):
        self.context.route(self.origin + path, lambda route: route.fulfill(**answer))

    def plug_in(self, **device):
        added = self.devices.send("WebAuthn.addVirtualAuthenticator", {"options": {**DEVICE, **device}})
        return added["authenticatorId"]

    def verifies(self, answer):
        arguments = {"authenticatorId": self.device, "isUserVerified": answer}
        self.devices.send("WebAuthn.setUserVerified", arguments)

    def passkeys(self):
        found = self.devices.send("WebAuthn.getCredentials", {"authenticatorId": self.device})
        return found["credentials"]


class Example(PasskeyPage):
    """The example page in a window."""

    def __init__(self, daemon, window, *, autofill=False, **device):
        super().__init__(daemon, window, **device)
        self.serve("/example", body=EXAMPLE.read_text(), content_type="text/html")
        if not autofill:
            self.page.add_init_script(NO_AUTOFILL)
        self.page.goto(f"{self.origin}/example#{self.origin}")

    def press(self, name):
        self.page.get_by_role("button", name=name, exact=True).click()

    def says(self, pattern):
        status = self.page.get_by_role("status")
        status.filter(has_text=re.compile(pattern)).wait_for()
        return status.inner_text()

    def log_in(self, email):
        self.page.get_by_label("Email address").fill(email)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.press("Log in with the password")

    def add(self, email):
        self.log_in(email)
        self.says(r"aal1 \(pwd\)")
        self.press("Add a passkey")
        return self.says("Recovery codes")

    def leave(self):
        self.press("Log out")
        self.says("^Log in")


@flow
def a_passkey_is_added_and_logs_in_with_and_without_a_password(daemon, window):
    email = daemon.verified().email
    example = Example(daemon, window)
    assert len(re.findall(r"[0-9A-Z]{5}-[0-9A-Z]{5}", example.add(email))) == 10
    [passkey] = example.passkeys()
    assert passkey["isResidentCredential"] and passkey["rpId"] == "localhost"
    example.leave()
    example.press("Log in with a passkey")
    example.says(r"aal2 \(pop mfa\)")
    example.leave()
    example.log_in(email)
    example.says(r"aal2 \(pwd pop mfa\)")
    example.press("Prove yourself again")
    example.says(r"aal2 \(pwd pop mfa\)")


@flow
def a_passkey_logs_in_from_the_field_of_the_email_address(daemon, window):
    email = daemon.verified().email
    example = Example(daemon, window, autofill=True)
    example.log_in(email)
    example.says(r"aal1 \(pwd\)")
    example.press("Add a passkey")
    example.says("Recovery codes")
    # After the user has logged out, the page offers the passkey, and the authenticator accepts.
    example.press("Log out")
    example.says(r"aal2 \(pop mfa\)")


@flow
def a_user_who_is_not_verified_adds_and_opens_nothing(daemon, window):
    email = daemon.verified().email
    example = Example(daemon, window)
    example.verifies(False)
    example.log_in(email)
    example.says(r"aal1 \(pwd\)")
    example.press("Add a passkey")
    example.says("not allowed|NotAllowed")
    assert example.passkeys() == []
    example.verifies(True)
    example.press("Add a passkey")
    example.says("Recovery codes")
    example.leave()
    example.verifies(False)
    example.press("Log in with a passkey")
    example.says("not allowed|NotAllowed")


@flow
def an_authenticator_without_verification_or_without_storage_is_not_enough(daemon, window):
    email = daemon.verified().email
    weak = {"transport": "usb", "hasUserVerification": False, "isUserVerified": False}
    example = Example(daemon, window, **weak, hasResidentKey=False)
    example.log_in(email)
    example.says(r"aal1 \(pwd\)")
    example.press("Add a passkey")
    example.says("not allowed|NotAllowed|timed out")
    assert example.passkeys() == []


@flow
def two_devices_of_one_account_both_log_in(daemon, window):
    email = daemon.verified().email
    example = Example(daemon, window)
    example.add(email)
    first = example.device
    # The same device is refused: it is in `excludeCredentials`.
    example.press("Add a passkey")
    example.says("registered|InvalidState|relying party")
    example.devices.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": first})
    example.device = example.plug_in(transport="usb")
    example.press("Add a passkey")
    example.says("as before")
    example.leave()
    example.press("Log in with a passkey")
    example.says(r"aal2 \(pop mfa\)")


@flow
def a_passkey_accepts_an_invitation(daemon, window):
    person = daemon.verified()
    example = Example(daemon, window)
    example.add(person.email)
    example.page.goto(example.origin + daemon.invitation(person))
    window.page.get_by_label("Password", exact=True).fill(PASSWORD)
    window.press("Accept the invitation")
    window.heading("One more step")
    window.is_accessible()
    window.fits()
    example.verifies(False)
    window.press("Use a passkey")
    window.page.get_by_role("alert").filter(has_text="No passkey was used.").wait_for()
    example.verifies(True)
    window.press("Use a passkey")
    window.heading("You have joined the team")


def section(page, operation):
    """The form of an operation in /docs."""
    method, path = operation.split()
    return page.locator(f'[data-try][data-method="{method}"][data-path="{path}"]')


def send(page, operation, status, **members):
    """Sends a request from /docs, with other values for some members of its body."""
    box = section(page, operation)
    box.locator("summary").click()
    send_body(box, status, members)


def run_ceremony(page, operation, status, **members):
    """Fills in the body of a request with a passkey, and sends it."""
    box = fill_in(page, operation, "The body has the response of the passkey.")
    send_body(box, status, members)


def fill_in(page, operation, words):
    box = section(page, operation)
    box.locator("summary").click()
    box.get_by_role("button", name="Fill in with a passkey").click()
    box.locator("[data-status]").filter(has_text=words).wait_for()
    return box


def send_body(box, status, members):
    field = box.locator("[data-media]")
    if members:
        field.fill(json.dumps({**json.loads(field.input_value()), **members}))
    box.get_by_role("button", name="Send").click()
    shown = box.locator("[data-status]").filter(has_text="Response:")
    shown.wait_for()
    answer = box.locator("[data-answer]").inner_text()
    assert f"Response: {status} " in shown.inner_text(), f"{shown.inner_text()} {answer}"


@flow
def a_reader_of_the_docs_runs_both_ceremonies(daemon, window):
    person = daemon.verified()
    example = Example(daemon, window)
    page = example.page
    page.goto(example.origin + "/docs")
    send(page, "POST /api/login", 200, email=person.email, password=PASSWORD)
    send(page, "POST /api/me/passkeys/options", 200)
    run_ceremony(page, "POST /api/me/passkeys", 201, name="Docs")
    send(page, "POST /api/step-up/options", 200)
    run_ceremony(page, "POST /api/step-up", 200)
    send(page, "POST /api/login/passkey/options", 200)
    run_ceremony(page, "POST /api/login/passkey", 200)
    # The passkey belongs to `localhost`, and not to an IP address.
    page.goto(f"{daemon.base}/docs")
    send(page, "POST /api/login/passkey/options", 200)
    fill_in(page, "POST /api/login/passkey", "Open this page there.")
