"""Every page that users see, in the states that a running daemon can show. To check a new page, add
one row to PAGES. The tests then check the page with axe-core, at 320 pixels, at 400 %, with wider
text, by keyboard, in light and dark, and without scripts.

Some states are hard to reach with a running daemon, such as too many attempts or an outage. They
come from `gallery` in src/http/pages/tests.rs, which draws each page in each state. Add a new page
to `gallery` too.
"""

from dataclasses import dataclass
from typing import Callable

from daemon import PASSWORD


@dataclass
class Page:
    name: str
    # The text of the first heading.
    heading: str
    # Puts the daemon into the state that the page needs, and returns the URL of the page.
    path: Callable
    # Does what a user would do to bring the page into the wanted state.
    act: Callable = lambda window: None
    # The language that the browser prefers.
    locale: str = "en-US"


def fill_and_send(field, value, button):
    def act(window):
        window.page.get_by_label(field, exact=True).fill(value)
        window.press(button)

    return act


def enter_password(window):
    window.page.get_by_label("Password", exact=True).fill(PASSWORD)
    window.press("Accept the invitation")


def enter_password_in_german(window):
    window.page.get_by_label("Passwort", exact=True).fill(PASSWORD)
    window.press("Einladung annehmen")


def enter_a_wrong_code(window):
    enter_password(window)
    window.page.get_by_label("Code of your authenticator app").fill("12345")
    window.press("Accept the invitation")


def enter_a_wrong_recovery_code(window):
    enter_password(window)
    window.page.get_by_text("Use a recovery code", exact=True).click()
    window.page.get_by_label("Recovery code", exact=True).fill("AAAAA-AAAAA")
    window.press("Accept with the recovery code")


def invitation_with_factor(daemon):
    return daemon.invitation(daemon.protected())


def undo(daemon):
    _, confirm, back = daemon.change(daemon.verified())
    daemon.must(f"/api/verify-email/{confirm.split('=')[1]}")
    return back


def a_mail(daemon):
    return daemon.mailbox("/" + daemon.mail(daemon.registered().email, "confirm")["id"])


def send_registration(window):
    """Fills in and sends the form. Without scripts the page has no form, so nothing is done."""
    box = window.page.locator("#post-api-register .try")
    if box.count() and box.is_visible():
        box.locator("summary").click()
        box.get_by_role("button", name="Send").click()
        box.get_by_text("Response:").wait_for()


PAGES = [
    Page("landing", "This is latchkey", lambda daemon: "/"),
    Page("docs", "latchkey reference", lambda daemon: "/docs", send_registration),
    Page("problems", "Problems", lambda daemon: "/problems"),
    Page("problem", "Too many requests", lambda daemon: "/problems/rate-limited"),
    Page("verify", "Confirm your email address", lambda daemon: daemon.confirmation()),
    Page("verify-dead", "This link does not work", lambda daemon: "/verify-email?token=dead"),
    Page("change", "Confirm your new address", lambda daemon: daemon.change(daemon.verified())[1]),
    Page("undo", "Undo the change of address", undo),
    Page("undo-dead", "This link does not work", lambda daemon: "/undo-email-change?token=dead"),
    Page("reset", "Choose a new password", lambda daemon: daemon.recovery()),
    Page(
        "reset-refused",
        "Choose a new password",
        lambda daemon: daemon.recovery(),
        fill_and_send("New password", "password123", "Set the new password"),
    ),
    Page("reset-ask", "Get a new password", lambda daemon: "/reset-password"),
    Page(
        "reset-ask-refused",
        "Get a new password",
        lambda daemon: "/reset-password",
        fill_and_send("Email address", "ada@localhost", "Send me a new link"),
    ),
    Page("reset-dead", "This link does not work", lambda daemon: "/reset-password?token=dead"),
    Page("invitation", "Join a team", lambda daemon: daemon.invitation()),
    Page(
        "invitation-refused",
        "Join a team",
        lambda daemon: daemon.invitation(),
        fill_and_send("Password", "not the password", "Accept the invitation"),
    ),
    Page("invitation-german", "Einem Team beitreten", lambda daemon: daemon.invitation(), locale="de-DE"),
    Page("invitation-code", "One more step", invitation_with_factor, enter_password),
    Page("invitation-code-refused", "One more step", invitation_with_factor, enter_a_wrong_code),
    Page("invitation-recovery-refused", "One more step", invitation_with_factor, enter_a_wrong_recovery_code),
    Page("invitation-code-german", "Noch ein Schritt", invitation_with_factor, enter_password_in_german, "de-DE"),
    Page("invitation-dead", "This link does not work", lambda daemon: "/invitation?token=dead"),
    Page("mailbox", "Mailbox", lambda daemon: daemon.registered() and daemon.mailbox()),
    Page("mailbox-locked", "Open the mailbox", lambda daemon: "/dev/mailbox"),
    Page("mailbox-wrong-key", "Open the mailbox", lambda daemon: "/dev/mailbox", fill_and_send("Key", "wrong", "Open the mailbox")),
    Page("mail", "Confirm your address", a_mail),
]


def a_few_mails(daemon):
    """Empties the mailbox, and then causes one mail of each of several kinds."""
    daemon.must("/dev/mailbox/messages", method="DELETE", token=daemon.key)
    person = daemon.verified()
    daemon.recovery(person)
    daemon.change(person)
    daemon.invitation()
    return daemon.mailbox()


# Pages in states that are needed only for the screenshots.
PICTURED = [
    Page("docs-head", "latchkey reference", lambda daemon: "/docs"),
    Page("docs-try", "latchkey reference", lambda daemon: "/docs#post-api-register", send_registration),
    Page("mailbox-full", "Mailbox", a_few_mails),
]

# The screenshots in docs/pages.md: the page, its width and height in CSS pixels, and light or dark.
SCREENSHOTS = [
    ("landing", 1000, 720, "light"),
    ("landing", 1000, 720, "dark"),
    ("verify", 800, 600, "light"),
    ("verify", 800, 600, "dark"),
    ("verify", 320, 640, "light"),
    ("reset", 800, 480, "light"),
    ("reset-refused", 800, 600, "light"),
    ("reset-refused", 320, 640, "dark"),
    ("undo", 800, 460, "light"),
    ("invitation", 800, 660, "light"),
    ("invitation", 800, 660, "dark"),
    ("invitation-code", 800, 690, "light"),
    ("invitation-code-german", 800, 720, "dark"),
    ("invitation-code-refused", 320, 780, "dark"),
    ("mailbox-locked", 800, 480, "light"),
    ("mailbox-full", 1000, 720, "light"),
    ("mailbox-full", 1000, 720, "dark"),
    ("mail", 1000, 900, "light"),
    ("mail", 1000, 900, "dark"),
    ("docs-head", 1280, 900, "light"),
    ("docs-try", 1280, 900, "light"),
    ("docs-try", 1280, 900, "dark"),
    ("problems", 1000, 620, "dark"),
]
