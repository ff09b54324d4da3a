"""Runs latchkey with a real Postfix and a real Postgrey, and checks what latchkey does when they
refuse its name, login, sender or recipients (docs/mail.md).

    run.py LATCHKEY WORK

WORK is an empty folder that every Unix user may enter. This program must be run by root.
`scripts/lib/postfix` starts it.
"""

import email
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.header import decode_header, make_header
from email.utils import parsedate_to_datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from latchkey import USER_PASSWORD, Latchkey, url  # noqa: E402
from server import LOGIN, MailServer, until  # noqa: E402
from tally import Tally  # noqa: E402

# The first pause of latchkey after a temporary refusal takes 48 to 72 s.
SECOND_ATTEMPT_WITHIN_S = 100
# Quoted-printable breaks a line after 76 characters, so one line begins with a dot.
DOTS = "." * 100
SERVICE = f"Bücher {DOTS}"
PAUSED = "the mail queue is paused"
tally = Tally("postfix: ")
check = tally.check


def arrived(servers: MailServer, address: str, seconds: float = 30) -> tuple:
    """Waits until the mail to this address is stored, and returns it."""
    until(f"the delivery to {address}", seconds, lambda: servers.delivered(address))
    return servers.stored(address)[0]


def own_authority(binary: str, servers: MailServer):
    """A certificate of an own authority is refused, until a setting or a variable names it."""
    authority, operator = str(servers.authority), "operator@example.com"
    implicit = url(servers.tls_port).replace("smtp:", "smtps:").replace("?tls=required", "")
    for way, smtp_url in (("STARTTLS", url(servers.starttls_port)), ("TLS", implicit)):
        latchkey = Latchkey(binary, servers, smtp_url=smtp_url, ca_file=None)
        done = latchkey.mail_test(operator)
        names_it = done.returncode != 0 and "mail.ca_file" in done.stderr
        check(f"{way}: without mail.ca_file, mail test fails and names the setting", names_it, done)
        found = latchkey.failure()
        check(f"{way}: without mail.ca_file, doctor fails and names the setting", "mail.ca_file" in found, found)
        done = latchkey.mail_test(operator, SSL_CERT_FILE=authority)
        check(f"{way}: with SSL_CERT_FILE, mail test succeeds", done.returncode == 0, done)
        latchkey.set(ca_file=authority)
        done = latchkey.mail_test(operator)
        check(f"{way}: with mail.ca_file, mail test succeeds", done.returncode == 0, done)
        steps = [finding["state"] for finding in latchkey.doctor()]
        check(f"{way}: with mail.ca_file, doctor succeeds", set(steps) == {"ok"}, steps)
    until("the storage of the test mails", 30, lambda: servers.delivered(operator) == 4)
    latchkey = Latchkey(binary, servers, smtp_url=url(servers.starttls_port, host="127.0.0.1"))
    found = latchkey.failure()
    check("a certificate for another host is refused, and doctor says so", "for the host in `mail" in found, found)


@dataclass
class Fault:
    """A wrong setting, and the words by which a person learns about it."""

    name: str
    settings: dict
    in_log: str
    in_postfix: str
    in_doctor: str
    correct: Callable[[Latchkey], None]


def pauses_the_queue(binary: str, servers: MailServer, fault: Fault):
    """With the wrong setting the queue pauses. After the correction the same mails arrive."""
    name = fault.name
    addresses = [f"{name.replace(' ', '-')}-{number}@example.com" for number in (1, 2)]
    with Latchkey(binary, servers, **fault.settings) as latchkey:
        latchkey.start()
        for address in addresses:
            latchkey.register(address)
        until(f"the pause of the queue: {name}", 30, lambda: PAUSED in latchkey.log())
        line = next(line for line in latchkey.log().splitlines() if PAUSED in line)
        check(f"{name}: the log says why the queue is paused", fault.in_log in json.loads(line)["error"], line)
        before = len(servers.logged(fault.in_postfix))
        until(f"two further attempts: {name}", 60, lambda: len(servers.logged(fault.in_postfix)) >= before + 2)
        rows = [latchkey.outbox(address) for address in addresses]
        states = [(row["state"], row["attempts"]) for row in rows]
        check(f"{name}: no mail is given up, and no attempt is counted", states == [("pending", 0)] * 2, rows)
        found = latchkey.failure()
        check(f"{name}: doctor says so", fault.in_doctor in found, found)
        fault.correct(latchkey)
        for address in addresses:
            latchkey.settled(address, "sent")
            arrived(servers, address)
    counts = [servers.delivered(address) for address in addresses]
    check(f"{name}: after the correction each mail arrives once", counts == [1, 1], counts)


def without_login(binary: str, servers: MailServer):
    """Without a login Postfix relays no mail, but takes those to its own mailboxes."""
    other, own = "without-login@elsewhere.example", "without-login@example.com"
    with Latchkey(binary, servers, smtp_url=url(servers.open_port, login="")) as latchkey:
        latchkey.start()
        latchkey.register(other)
        until("the refusal to relay", 30, lambda: latchkey.outbox(other)["attempts"] == 1)
        row = latchkey.outbox(other)
        check("no login: a mail that is not relayed waits", (row["state"], row["lastError"]) == ("pending", "554 5.7.1"), row)
        latchkey.register(own)
        check("no login: other mails are not delayed", arrived(servers, own) and PAUSED not in latchkey.log())
        done = latchkey.mail_test("operator@elsewhere.example")
        check("no login: mail test says so", done.returncode == 1 and "a user and a password" in done.stderr, done)
        latchkey.restart(smtp_url=url(servers.starttls_port))
        latchkey.command("mail", "retry", row["id"])
        latchkey.settled(other, "sent")
        until("the delivery to another server", 30, lambda: servers.delivered(other))
        check("no login: after the correction the mail is accepted", servers.delivered(other) == 1)


def unknown_recipient(latchkey: Latchkey, servers: MailServer):
    latchkey.register("nobody@example.com")
    latchkey.register("next@example.com")
    row = latchkey.settled("nobody@example.com", "dead")
    check("an unknown recipient: the mail is given up at once", (row["attempts"], row["lastError"]) == (1, "550 5.1.1"), row)
    data, _ = arrived(servers, "next@example.com")
    check("an unknown recipient: the next mail leaves, and no pause delays it", PAUSED not in latchkey.log(), latchkey.log())
    link = re.search(rb"^https://auth\.example\.com/verify-email\?token=[\w-]{43}$", data, re.M)
    check("a mail in ASCII: its source has the whole link on a line of its own", link, data)


def what_is_stored(binary: str, servers: MailServer):
    """Compares the headers and the text of a stored mail with what latchkey composed."""
    sender, reader = f'"{SERVICE}" <no-reply@example.com>', "reader@example.com"
    with Latchkey(binary, servers, **{"from": sender}) as latchkey:
        latchkey.start()
        latchkey.register(reader)
        data, mail = arrived(servers, reader)
        mail_id = latchkey.outbox(reader)["id"]
    # The parser of Python 3.11 does not join the encoded words of a name, so this line does.
    written = str(make_header(decode_header(email.message_from_bytes(data)["From"])))
    seconds = abs(time.time() - parsedate_to_datetime(mail["Date"]).timestamp())
    transport = r"from auth\.example\.com .*\(using TLSv1\.3 .*with ESMTPSA"
    headers = {
        "From": written == f"{SERVICE} <no-reply@example.com>",
        "Return-Path": mail["Return-Path"] == "<no-reply@example.com>",
        "To": mail["To"] == reader,
        "Subject": mail["Subject"] == f"Confirm your address for {SERVICE}",
        "Message-ID": mail["Message-ID"] == f"<{mail_id}@auth.example.com>",
        "Date": seconds < 60,
        "Auto-Submitted": mail["Auto-Submitted"] == "auto-generated",
        "Received (mail.helo, TLS, login)": re.search(transport, str(mail["Received"])),
    }
    for header, holds in headers.items():
        check(f"the stored mail: {header} is right", holds, data)
    names = [name.lower() for name in mail.keys()]
    check("the stored mail: it has no defects, and no header twice", not mail.defects and len(names) == len(set(names)), names)
    parts = {part.get_content_type(): part.get_content() for part in mail.iter_parts()}
    check("the stored mail: it has a text part and an HTML part", list(parts) == ["text/plain", "text/html"], parts)
    dotted = [line for line in data.splitlines() if line.startswith(b".")]
    whole = [run == DOTS for part in parts.values() for run in re.findall(r"\.{50,}", part)]
    check("the stored mail: lines begin with a dot, and no dot was added or lost", dotted and whole and all(whole), data)
    link = re.search(r"^https://auth\.example\.com/verify-email\?token=[\w-]{43}$", parts["text/plain"], re.M)
    check("the stored mail: the link is on a line of its own", link, parts)


def greylisted(latchkey: Latchkey, servers: MailServer, address: str):
    """Waits for the second attempt, and confirms the account with the link of the mail."""
    _, mail = arrived(servers, address, SECOND_ATTEMPT_WITHIN_S)
    row = latchkey.settled(address, "sent")
    check("greylisting: the mail arrives with the second attempt", mail["X-Greylist"] and row["attempts"] == 1, row)
    token = re.search(r"verify-email\?token=(\S+)", mail.get_body(("plain",)).get_content())[1]
    confirmed = latchkey.call("GET", f"/api/verify-email/{token}")
    check("greylisting: the link of the mail confirms the account", confirmed["userToken"])
    logged_in = latchkey.call("POST", "/api/login", {"email": address, "password": USER_PASSWORD})
    check("greylisting: the user logs in", logged_in["userToken"])


def faults(servers: MailServer) -> list[Fault]:
    right, other = url(servers.starttls_port), url(servers.starttls_port, password="another")
    foreign = f"<boss@example.com>: Sender address rejected: not owned by user {LOGIN}"
    return [
        Fault("an unknown authority", {"ca_file": None}, "certificate cannot be verified", "alert unknown ca",
              "mail.ca_file", lambda it: it.restart(ca_file=str(servers.authority))),
        Fault("a refused mail.helo", {"helo": "unknown.example.com"}, "554 5.7.1",
              "<unknown.example.com>: Helo command rejected", "Helo command rejected",
              lambda it: it.restart(helo="auth.example.com")),
        Fault("a wrong password", {"smtp_url": other}, "535 5.7.8", "SASL PLAIN authentication failed",
              "authentication failed", lambda it: it.reload(smtp_url=right)),
        Fault("a foreign sender", {"from": "Example <boss@example.com>"}, "553 5.7.1", foreign,
              "not owned by user", lambda it: it.restart(**{"from": "no-reply@example.com"})),
    ]


def main() -> int:
    binary, grey = os.path.abspath(sys.argv[1]), "ada@grey.example"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    with MailServer(Path(sys.argv[2]).resolve()) as servers, Latchkey(binary, servers) as latchkey:
        bare = Latchkey(binary, servers, helo="mailer").run("config", "check")
        check("a bare mail.helo is refused by config check", bare.returncode == 78 and "mail.helo" in bare.stderr, bare)
        latchkey.start()
        # The second attempt follows a minute later, during the other checks.
        latchkey.register(grey)
        until("the refusal of the greylist", 30, lambda: latchkey.outbox(grey)["attempts"] == 1)
        row = latchkey.outbox(grey)
        check("greylisting: the first attempt is refused", (row["state"], row["lastError"]) == ("pending", "450 4.2.0"), row)
        own_authority(binary, servers)
        for fault in faults(servers):
            pauses_the_queue(binary, servers, fault)
        without_login(binary, servers)
        unknown_recipient(latchkey, servers)
        what_is_stored(binary, servers)
        greylisted(latchkey, servers, grey)
    return tally.result()


if __name__ == "__main__":
    sys.exit(main())
