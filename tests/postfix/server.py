"""Debian's Postfix and Postgrey on loopback ports. They have their own configuration, queue, data,
certificate authority and logins, and send no mail to other machines. Only root can start Postfix."""

import email
import email.message
import email.policy
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "examples"))

from daemon import answers, free_port, until  # noqa: E402

# A login and a password with characters that a URL must encode.
LOGIN, PASSWORD = "latchkey@example.com", "p@ss/w:rd 100%"
# How long Postgrey refuses a mail of an unknown sender, in seconds.
GREYLIST_S = 20
SASL = "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\nsasldb_path: @WORK@/sasldb\n"
NEW_CERTIFICATE = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split()


def run(*command: object, **more):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **more)
    if done.returncode != 0:
        raise SystemExit(f"{command[0]} ended with {done.returncode}: {done.stdout}{done.stderr}")


class MailServer:
    """Both servers. They run from the beginning to the end of a `with` block."""

    def __init__(self, work: Path):
        self.work, self.log, self.authority = work, work / "mail.log", work / "ca.pem"
        self.starttls_port, self.tls_port, self.open_port, self.greylist_port = (free_port() for _ in range(4))
        self.children = []

    def __enter__(self):
        try:
            self.prepare()
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def prepare(self):
        """Writes the configuration, the certificates and the logins."""
        for name in ("queue", "state", "mail", "greylist", "config", "config/sasl"):
            (self.work / name).mkdir()
        for name in ("main.cf", "master.cf"):
            self.write(f"config/{name}", (HERE / name).read_text())
        # Debian's Postfix reads the settings of SASL in the folder of its configuration.
        self.write("config/sasl/smtpd.conf", SASL)
        # Every address has a mailbox, except `nobody@…`.
        self.write("mailboxes", "!/^nobody@/ all/\n")
        user, domain = LOGIN.split("@")
        run("saslpasswd2", "-p", "-c", "-f", self.work / "sasldb", "-u", domain, user, input=PASSWORD)
        authority_key = self.work / "ca-key.pem"
        run(*NEW_CERTIFICATE, "-subj", "/CN=The authority of a test", "-keyout", authority_key, "-out", self.authority)
        issued = ("-subj", "/CN=localhost", "-CA", self.authority, "-CAkey", authority_key)
        issued += ("-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE")
        run(*NEW_CERTIFICATE, *issued, "-keyout", self.work / "key.pem", "-out", self.work / "certificate.pem")
        for name, owner in (("state", "postfix"), ("sasldb", "postfix"), ("mail", "nobody"), ("greylist", "postgrey")):
            shutil.chown(self.work / name, owner)

    def write(self, name: str, text: str):
        """Writes a file of the configuration."""
        values = {"WORK": self.work, "LOGIN": LOGIN}
        values |= {f"{port.upper()}_PORT": getattr(self, f"{port}_port") for port in ("starttls", "tls", "open", "greylist")}
        for word, value in values.items():
            text = text.replace(f"@{word}@", str(value))
        (self.work / name).write_text(text)

    def start(self):
        config = self.work / "config"
        # This command creates the folders of the queue.
        run("postfix", "-c", config, "check")
        # Postgrey's own lists exempt some senders and recipients. Empty lists exempt none.
        exempt = ("--whitelist-clients=/dev/null", "--whitelist-recipients=/dev/null")
        greylist = (f"--inet=127.0.0.1:{self.greylist_port}", f"--dbdir={self.work}/greylist", f"--delay={GREYLIST_S}")
        with open(self.work / "servers.log", "ab") as log:
            for command in (("postgrey", *greylist, *exempt), ("/usr/lib/postfix/sbin/master", "-c", config, "-s")):
                self.children.append(subprocess.Popen(command, stdout=log, stderr=log))
        ports = (self.starttls_port, self.tls_port, self.open_port, self.greylist_port)
        until("the start of Postfix and Postgrey", 30, lambda: all(answers(port) for port in ports))

    def stop(self):
        for child in self.children:
            child.terminate()
        for child in self.children:
            child.wait(30)

    def stored(self, recipient: str) -> list[tuple[bytes, email.message.EmailMessage]]:
        """Returns the stored mails to this recipient: the bytes, and the parsed mail."""
        files = sorted(self.work.glob("mail/all/new/*"), key=os.path.getmtime)
        mails = [(data, email.message_from_bytes(data, policy=email.policy.default)) for data in map(Path.read_bytes, files)]
        return [(data, mail) for data, mail in mails if mail["X-Original-To"] == recipient]

    def logged(self, text: str) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if text in line]

    def delivered(self, recipient: str) -> int:
        """Returns how many mails to this recipient Postfix stored or, if they are not for its own
        mailboxes, discarded."""
        return sum("status=sent" in line for line in self.logged(f"to=<{recipient}>"))
