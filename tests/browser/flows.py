"""The flows of users on the pages, from a mail to the end of the flow. `both_ways` runs a flow with
scripts and without scripts. `guarded` flows need a daemon whose forms require the proof of work."""

import json
import re
import subprocess

from daemon import PASSWORD

NEW = "a quite new password"
FLOWS = []


def flow(test):
    FLOWS.append((test.__name__, True, False, test))
    return test


def both_ways(test):
    FLOWS.append((f"{test.__name__} with script", True, False, test))
    FLOWS.append((f"{test.__name__} without script", False, False, test))
    return test


def guarded(script):
    def add(test):
        FLOWS.append((test.__name__, script, True, test))
        return test

    return add


@both_ways
def an_address_is_confirmed_out_of_the_mailbox(daemon, window):
    person = daemon.registered()
    daemon.mail(person.email, "confirm")
    window.open(daemon.mailbox())
    window.page.locator("li", has_text=person.email).get_by_role("link").click()
    window.heading("Confirm your address")
    window.press("Open the link")
    link = window.page.url
    window.heading("Confirm your email address")
    assert daemon.must("/api/me", token=person.token)["emailVerified"] is False
    window.press("Confirm my address")
    window.heading("Your address is confirmed")
    assert daemon.must("/api/me", token=person.token)["emailVerified"] is True
    window.open(link)
    window.heading("Your address is already confirmed")


@both_ways
def somebody_else_removes_the_account(daemon, window):
    person = daemon.registered()
    window.open(daemon.path(daemon.mail(person.email, "confirm")["link"]))
    window.press("This was not me")
    window.heading("The account is deleted")
    assert daemon.must(f"/api/exist-email/{person.email}") is False


@both_ways
def a_forgotten_password_is_replaced(daemon, window):
    person = daemon.verified()
    window.open("/reset-password")
    window.page.get_by_label("Email address").fill(person.email)
    window.press("Send me a new link")
    window.heading("Check your mail")
    link = daemon.path(daemon.mail(person.email, "recover")["link"])
    window.open(link)
    field = window.page.get_by_label("New password", exact=True)
    assert field.get_attribute("autocomplete") == "new-password"
    field.fill(NEW)
    window.press("Set the new password")
    window.heading("Your new password is set")
    assert daemon.ask("/api/login", {"email": person.email, "password": PASSWORD})[0] == 401
    daemon.must("/api/login", {"email": person.email, "password": NEW})
    # The link cannot be used again. Until it expires, its page says what the first use did.
    window.open(link)
    window.heading("Your new password is set")
    assert window.page.locator("input[type=password]").count() == 0


@both_ways
def a_short_password_is_refused_before_it_is_sent(daemon, window):
    window.open(daemon.recovery())
    field = window.page.get_by_label("New password", exact=True)
    field.press_sequentially("short")
    window.page.keyboard.press("Enter")
    window.page.wait_for_timeout(300)
    window.heading("Choose a new password")
    assert "?token=" in window.page.url, "the form was sent"
    assert window.page.locator("input:user-invalid").count() == 1


@both_ways
def a_refused_password_is_told_at_its_field(daemon, window):
    link = daemon.recovery()
    window.open(link)
    window.page.get_by_label("New password", exact=True).fill("password123")
    window.press("Set the new password")
    assert window.page.title().startswith("Error: ")
    field = window.page.get_by_label("New password", exact=True)
    assert field.get_attribute("aria-invalid") == "true"
    told = [window.page.locator(f"#{id}") for id in field.get_attribute("aria-describedby").split()]
    alert = window.page.get_by_role("alert")
    assert alert.get_attribute("id") in [each.get_attribute("id") for each in told]
    assert "Error:" in alert.inner_text() and len(alert.inner_text()) > 20
    # The link is still valid: the same form accepts a better password.
    field.fill(NEW)
    window.press("Set the new password")
    window.heading("Your new password is set")


@both_ways
def a_wrong_address_is_told_at_its_field_and_kept(daemon, window):
    window.open("/reset-password")
    window.page.get_by_label("Email address").fill("ada@localhost")
    window.press("Send me a new link")
    field = window.page.get_by_label("Email address")
    assert field.input_value() == "ada@localhost"
    assert field.get_attribute("aria-invalid") == "true"
    assert window.page.get_by_role("alert").get_attribute("id") in field.get_attribute("aria-describedby")


@both_ways
def a_new_address_is_confirmed_and_undone(daemon, window):
    person = daemon.verified()
    email, confirm, undo = daemon.change(person)
    window.open(confirm)
    window.heading("Confirm your new address")
    window.press("Confirm my address")
    window.heading("Your new address is confirmed")
    assert daemon.must("/api/me", token=person.token)["email"] == email
    window.open(undo)
    window.press("Undo the change")
    window.heading("The change is undone")
    daemon.must("/api/login", {"email": person.email, "password": PASSWORD})
    window.press("Get a new password")
    window.heading("Get a new password")


@both_ways
def an_invitation_is_accepted(daemon, window):
    link = daemon.invitation()
    window.open(link)
    window.heading("Join a team")
    field = window.page.get_by_label("Password", exact=True)
    assert field.get_attribute("autocomplete") == "current-password"
    field.fill("not the password")
    window.press("Accept the invitation")
    assert "Error:" in window.page.get_by_role("alert").inner_text()
    field.fill(PASSWORD)
    window.press("Accept the invitation")
    window.heading("You have joined the team")
    window.open(link)
    window.heading("This link does not work")


def asks_for_a_code(window, link):
    """Opens an invitation, and enters the right password."""
    window.open(link)
    window.page.get_by_label("Password", exact=True).fill(PASSWORD)
    window.press("Accept the invitation")
    window.heading("One more step")


@both_ways
def an_invitation_is_accepted_with_a_code(daemon, window):
    person = daemon.protected()
    asks_for_a_code(window, daemon.invitation(person))
    field = window.page.get_by_label("Code of your authenticator app")
    assert field.get_attribute("autocomplete") == "one-time-code"
    assert field.get_attribute("inputmode") == "numeric"
    field.fill("123 45")
    window.press("Accept the invitation")
    alert = window.page.get_by_role("alert")
    assert "The code is wrong" in alert.inner_text()
    assert alert.get_attribute("id") in field.get_attribute("aria-describedby")
    assert window.page.title().startswith("Error: ") and field.get_attribute("aria-invalid") == "true"
    # An app shows a code with a space, and a paste keeps it.
    code = person.code()
    field.focus()
    window.page.keyboard.insert_text(f"{code[:3]} {code[3:]}")
    assert field.input_value() == f"{code[:3]} {code[3:]}"
    with window.page.expect_navigation():
        window.page.keyboard.press("Enter")
    window.heading("You have joined the team")
    assert window.context.cookies() == []


@both_ways
def an_invitation_is_accepted_with_a_recovery_code(daemon, window):
    person = daemon.protected()
    asks_for_a_code(window, daemon.invitation(person))
    field = window.page.get_by_label("Recovery code", exact=True)
    assert not field.is_visible()
    window.page.get_by_text("Use a recovery code", exact=True).click()
    field.fill("AAAAA-AAAAA")
    window.press("Accept with the recovery code")
    assert "The code is wrong" in window.page.get_by_role("alert").inner_text()
    assert field.is_visible(), "the form of the recovery code stays open"
    field.fill(person.recovery_codes[0])
    window.press("Accept with the recovery code")
    window.heading("You have joined the team")


@both_ways
def the_fifth_wrong_code_leads_back_to_the_password(daemon, window):
    person = daemon.protected()
    asks_for_a_code(window, daemon.invitation(person))
    for _ in range(5):
        window.heading("One more step")
        window.page.get_by_label("Code of your authenticator app").fill("12345")
        window.press("Accept the invitation")
    window.heading("Join a team")
    assert "Enter your password again." in window.page.get_by_role("alert").inner_text()
    assert window.page.get_by_label("Password", exact=True).input_value() == ""


@both_ways
def a_new_address_that_is_somebody_elses_is_refused(daemon, window):
    person = daemon.verified()
    _, confirm, _ = daemon.change(person)
    window.open(confirm)
    window.press("This was not me")
    window.heading("The link no longer works")
    assert daemon.must("/api/me", token=person.token)["email"] == person.email


@flow
def a_password_can_be_shown_and_is_hidden_when_it_is_sent(daemon, window):
    window.open(daemon.recovery())
    field = window.page.get_by_label("New password", exact=True)
    field.fill("password123")
    button = window.page.get_by_role("button", name="Show the password")
    button.click()
    assert field.get_attribute("type") == "text" and button.get_attribute("aria-pressed") == "true"
    button.click()
    assert field.get_attribute("type") == "password" and button.get_attribute("aria-pressed") == "false"
    button.click()
    # Records the type of the field when the form is sent. The record still exists on the next page.
    window.page.evaluate(
        """() => document.addEventListener("submit", (event) => {
          sessionStorage.left = event.target.elements.namedItem("newPassword").type;
        })"""
    )
    assert field.get_attribute("type") == "text"
    window.press("Set the new password")
    assert "Error:" in window.page.get_by_role("alert").inner_text(), "the form was not sent"
    assert window.page.evaluate("sessionStorage.left") == "password"
    assert field.get_attribute("type") == "password" and button.get_attribute("aria-pressed") == "false"


@guarded(script=True)
def the_proof_of_work_is_done_while_the_address_is_typed(daemon, window):
    person = daemon.verified()
    window.open("/reset-password")
    status = window.page.locator("[data-captcha-status]")
    # A user who only reads the page computes no proof of work.
    assert status.inner_text() == "" and window.page.locator("[name=captcha]").input_value() == ""
    with window.page.expect_response("**/api/captcha"):
        window.page.get_by_label("Email address").fill(person.email)
    status.get_by_text("Checked: you are not a robot.").wait_for(timeout=60_000)
    window.is_accessible()
    window.press("Send me a new link")
    window.heading("Check your mail")
    window.open(daemon.path(daemon.mail(person.email, "recover")["link"]))
    window.heading("Choose a new password")


@guarded(script=True)
def who_sends_before_the_proof_is_there_waits_for_it(daemon, window):
    person = daemon.verified()
    window.open("/reset-password")
    window.page.get_by_label("Email address").fill(person.email)
    window.page.keyboard.press("Enter")
    window.page.get_by_role("heading", name="Check your mail").wait_for(timeout=60_000)
    daemon.mail(person.email, "recover")


@guarded(script=True)
def a_proof_that_fails_is_told_and_tried_again(daemon, window):
    person = daemon.verified()
    window.page.route("**/api/captcha", lambda route: route.fulfill(status=503, body=""))
    window.open("/reset-password")
    window.page.get_by_label("Email address").fill(person.email)
    window.page.get_by_text("The robot check did not work.").wait_for()
    window.page.unroute("**/api/captcha")
    window.page.get_by_role("button", name="Send me a new link").click()
    window.page.get_by_role("heading", name="Check your mail").wait_for(timeout=60_000)


@guarded(script=False)
def without_script_the_proof_of_work_is_said_to_need_it(daemon, window):
    person = daemon.verified()
    window.open("/reset-password")
    assert "needs JavaScript" in window.page.locator("noscript").inner_text()
    window.page.get_by_label("Email address").fill(person.email)
    window.press("Send me a new link")
    assert "The robot check failed." in window.page.get_by_role("alert").inner_text()
    assert window.page.get_by_label("Email address").input_value() == person.email


@flow
def the_mailbox_fills_by_itself(daemon, window):
    window.open(daemon.mailbox())
    person = daemon.registered()
    window.page.locator("li", has_text=person.email).wait_for()
    assert "new mail" in window.page.get_by_role("status").first.inner_text()


@both_ways
def a_mail_is_shown_in_a_frame_that_runs_nothing(daemon, window):
    mail = daemon.mail(daemon.registered().email, "confirm")
    window.open(daemon.mailbox(f"/{mail['id']}"))
    frame = window.page.locator("iframe")
    granted = frame.get_attribute("sandbox").split()
    assert granted == ["allow-popups", "allow-popups-to-escape-sandbox"], granted
    inside = frame.content_frame
    inside.get_by_role("heading").first.wait_for()
    assert mail["text"].strip() in window.page.locator("pre.mail").first.inner_text().strip()
    window.page.get_by_text("Source", exact=True).click()
    assert "Subject:" in window.page.locator("pre.mail").nth(1).inner_text()
    with window.context.expect_page() as opened:
        inside.get_by_role("link").first.click()
    opened.value.wait_for_load_state()
    assert "Confirm your email address" in opened.value.locator("h1").inner_text()


@flow
def link_and_token_are_copied(daemon, window):
    mail = daemon.mail(daemon.registered().email, "confirm")
    window.open(daemon.mailbox(f"/{mail['id']}"))
    for button, wanted in [("Copy the link", mail["link"]), ("Copy the token", mail["token"])]:
        window.page.get_by_role("button", name=button).click()
        window.page.get_by_text("Copied.", exact=True).wait_for(state="attached")
        assert window.page.evaluate("navigator.clipboard.readText()") == wanted


@both_ways
def the_reference_has_every_operation_and_every_schema(daemon, window):
    document = daemon.must("/openapi.json")
    window.open("/docs")
    shown = window.page.locator(".body h3").all_inner_texts()
    for path, operations in document["paths"].items():
        for method in operations:
            assert f"{method.upper()} {path}" in shown, f"{method} {path}"
    for name in document["components"]["schemas"]:
        assert any(heading.startswith(name) for heading in shown), name
    for scheme in document["components"]["securitySchemes"]:
        assert scheme in window.page.locator("#authentication").inner_text()
    for link in window.page.locator(".contents a").all()[:6]:
        link.click()
        target = window.page.url.partition("#")[2]
        assert window.page.locator(f"[id='{target}']").bounding_box()["y"] < 900, target


@flow
def a_copied_command_works(daemon, window):
    window.open("/docs")
    window.page.locator("#post-api-register").get_by_role("button", name="Copy").click()
    window.page.get_by_text("Copied.", exact=True).wait_for(state="attached")
    command = window.page.evaluate("navigator.clipboard.readText()")
    command = command.replace("ada@example.com", daemon.address())
    assert command.startswith("curl -s "), command
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=30, check=True)
    assert '"userToken"' in ran.stdout, ran.stdout


def trials(window):
    """Opens the reference. Returns a function that opens the form of an operation, and one that
    sends it and returns the status and the response."""
    window.open("/docs")

    def box(id):
        found = window.page.locator(f"#{id} .try")
        if found.get_attribute("open") is None:
            found.locator("summary").click()
        return found

    def send(id, body=None):
        found = box(id)
        if body is not None:
            found.get_by_label("Body").fill(json.dumps(body))
        with window.page.expect_response(lambda answer: answer.request.resource_type == "fetch"):
            found.get_by_role("button", name="Send").click()
        found.get_by_text(re.compile("^Response: ")).wait_for()
        return found.get_by_role("status").inner_text(), found.locator("[data-answer]").text_content()

    return box, send


@flow
def a_login_with_a_factor_and_a_step_up_are_tried_from_the_reference(daemon, window):
    person = daemon.protected()
    box, send = trials(window)
    status, answer = send("post-api-login", {"email": person.email, "password": PASSWORD})
    assert status.startswith("Response: 401") and '"factor-required"' in answer, (status, answer)
    # The page has put the challenge into the body that sends it back. The user adds a code.
    body = box("post-api-login-factor").get_by_label("Body")
    filled = json.loads(body.input_value())
    assert filled["challenge"] == json.loads(answer)["challenge"] and filled["method"] == "totp", filled
    status, answer = send("post-api-login-factor", {**filled, "code": person.code()})
    assert status.startswith("Response: 200") and '"userToken"' in answer, (status, answer)
    status, answer = send("get-api-me")
    assert status.startswith("Response: 200") and person.email in answer, (status, answer)
    filled = json.loads(box("post-api-step-up").get_by_label("Body").input_value())
    assert filled["method"] == "totp" and "code" in filled, filled
    status, answer = send("post-api-step-up", {**filled, "code": person.code()})
    assert status.startswith("Response: 200"), (status, answer)
    after = box("get-api-me").get_by_label("userToken").input_value()
    # Within a second the new token can be equal to the one before.
    assert after == json.loads(answer)["userToken"]
    assert send("post-api-me-recovery-codes")[0].startswith("Response: 200")


@flow
def a_factor_is_added_from_the_reference(daemon, window):
    person = daemon.verified()
    box, send = trials(window)
    send("post-api-login", {"email": person.email, "password": PASSWORD})
    status, answer = send("post-api-me-factors-totp", {"name": "Phone"})
    assert status.startswith("Response: 201"), (status, answer)
    begun = json.loads(answer)
    person.secret = begun["secret"]
    box("post-api-me-factors-id-confirm").get_by_label("id").fill(begun["id"])
    status, answer = send("post-api-me-factors-id-confirm", {"code": person.code()})
    assert status.startswith("Response: 200"), (status, answer)
    confirmed = json.loads(answer)["userToken"]
    assert box("get-api-me").get_by_label("userToken").input_value() == confirmed
    # The new token is at aal2, so the next request needs no step-up.
    assert send("post-api-me-recovery-codes")[0].startswith("Response: 200")


@flow
def a_request_is_tried_from_the_reference(daemon, window):
    box, send = trials(window)
    email = daemon.address()
    register = box("post-api-register")
    body = register.get_by_label("Body")
    body.fill(body.input_value().replace("ada@example.com", email))
    status, answer = send("post-api-register")
    assert status.startswith("Response: 200") and '"vaultToken"' in answer, status
    # The page has put the token into the token field of each other request.
    status, answer = send("get-api-me")
    assert status.startswith("Response: 200") and email in answer, (status, answer)
    box("get-api-exist-email-email").get_by_label("email").fill(email)
    assert send("get-api-exist-email-email")[1] == "true"
    status, answer = send("post-api-register")
    assert status.startswith("Response: 409") and '"email-taken"' in answer, (status, answer)
    status, answer = send("post-api-logout")
    assert status.startswith("Response: 204"), status
    assert send("get-api-me")[0].startswith("Response: 401")


@both_ways
def the_mailbox_opens_by_its_key_and_stays_open(daemon, window):
    mail = daemon.mail(daemon.registered().email, "confirm")
    for path in ["/dev/mailbox", f"/dev/mailbox/{mail['id']}", f"/dev/mailbox/{mail['id']}/html"]:
        assert window.open(path).status == 401
        window.heading("Open the mailbox")
        assert mail["to"] not in window.page.content() and "./data/mailbox-key" in window.page.content()
    window.page.get_by_label("Key").fill("x" * 43)
    window.press("Open the mailbox")
    assert "not the key" in window.page.get_by_role("alert").inner_text()
    window.page.get_by_label("Key").fill(daemon.key)
    window.press("Open the mailbox")
    window.heading("Mailbox")
    assert window.page.url == f"{daemon.base}/dev/mailbox", window.page.url
    cookies = window.context.cookies()
    assert [(it["path"], it["httpOnly"], it["sameSite"]) for it in cookies] == [("/dev/mailbox", True, "Strict")], cookies
    assert daemon.key not in str(cookies)
    assert window.page.evaluate("document.cookie") == ""
    window.page.reload()
    window.heading("Mailbox")
    assert window.open(f"/dev/mailbox/{mail['id']}").status == 200
    window.page.locator("iframe").content_frame.get_by_role("heading").first.wait_for()


@flow
def another_site_does_not_open_the_mailbox(daemon, window):
    """127.0.0.1 and localhost are two sites of one daemon. A page of one site must not put the
    mailbox of the other site into a frame, fetch it or open it."""
    window.open(daemon.mailbox())
    window.heading("Mailbox")
    other = daemon.base.replace("127.0.0.1", "localhost")
    page = f"<!doctype html><title>Other</title><h1>Other</h1><a href='{daemon.base}/dev/mailbox'>Lure</a>"
    window.page.route(f"{other}/lure", lambda route: route.fulfill(body=page, content_type="text/html"))
    window.open(f"{other}/lure")
    with window.page.expect_response(f"{daemon.base}/dev/mailbox") as answer:
        window.page.get_by_role("link", name="Lure").click()
    assert answer.value.status == 401
    window.heading("Open the mailbox")
    window.open(daemon.mailbox())
    window.heading("Mailbox")


@both_ways
def the_mailbox_is_a_link_away_from_every_page_for_developers(daemon, window):
    window.open(daemon.mailbox())
    for path in ["/", "/docs", "/problems", "/problems/rate-limited"]:
        window.open(path)
        window.page.get_by_role("navigation", name="Pages").get_by_role("link", name="Mailbox").click()
        window.heading("Mailbox")


@both_ways
def every_problem_is_explained(daemon, window):
    codes = daemon.must("/openapi.json")["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
    window.open("/problems")
    for code in codes:
        assert window.page.get_by_role("link", name=code, exact=True).count() == 1, code
    window.page.get_by_role("link", name="captcha-invalid", exact=True).click()
    assert "captcha-invalid" in window.page.locator("main").inner_text()
    assert len(window.page.locator("main").inner_text()) > 100
    window.press("All problems")
    window.heading("Problems")


@both_ways
def a_page_without_script_offers_nothing_that_needs_it(daemon, window):
    with_script = window.script
    mail = daemon.mail(daemon.registered().email, "confirm")
    for path in ["/docs", daemon.recovery(), daemon.mailbox(f"/{mail['id']}")]:
        window.open(path)
        for part in window.page.locator("[data-copy], [data-reveal], [data-try]").all():
            assert part.is_visible() == with_script, (path, part.get_attribute("class"))
