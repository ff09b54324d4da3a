"""Runs `latchkey config check` of the real daemon, with the settings that the chart renders."""

import base64
import json
import re
import secrets
import shutil
import subprocess
from pathlib import Path

import checks

# The form of a row about a secret setting in the reference that the daemon writes, such as
# `| `database.url` | default | words Secret. |`.
SECRET_ROW = re.compile(r"^\| `([a-z_.]+)` \|.* Secret\. \|$", re.MULTILINE)
LISTS = {"password.pepper_previous", "introspection.clients"}
# The daemon refuses keys that appear in documents, so the test creates a new key.
KEY = base64.b64encode(secrets.token_bytes(32)).decode()
DUMMIES = {
    "database.url": "postgres://latchkey:dummy-password@db.example.com:5432/latchkey?sslmode=verify-full",
    "database.migrate_url": "postgres://owner:dummy-password@db.example.com:5432/latchkey?sslmode=verify-full",
    "redis.url": "rediss://:dummy-password@redis.example.com:6379",
    "mail.smtp_url": "smtps://latchkey:dummy-password@mail.example.com:465",
    "secrets.master_key": KEY,
    "secrets.master_key_previous": KEY,
    "password.pepper": f"1:{KEY}",
    "password.pepper_previous": f"2:{KEY}",
    "introspection.clients": "vault:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3",
    "telemetry.headers": "authorization=dummy",
}


def secret_settings(root: Path):
    """Returns the secret settings of the daemon. They are marked in the daemon's own reference."""
    found = SECRET_ROW.findall((root / "docs/configuration.md").read_text())
    assert len(found) > 5, "docs/configuration.md marks no secrets any more"
    return found


def dummy(setting):
    return DUMMIES.get(setting, "dummy-secret-of-forty-characters-or-more-x")


def takes(latchkey, objects, work: Path):
    """Checks the settings of every container that has settings. The check uses the container's
    variables, and copies of its files below `work`."""
    work.mkdir(parents=True)
    config = work / "latchkey.json"
    text = checks.only(objects, "ConfigMap", "latchkey")["data"]["latchkey.json"]
    assert all(value not in text for value in ("dummy", KEY))
    settings = json.loads(text)
    tls = settings["http"].get("tls")
    if tls:
        for name, path in tls.items():
            tls[name] = str(work / path.removeprefix("/"))
        make_certificate(Path(tls["cert"]), Path(tls["key"]))
    if "data_dir" in settings:
        settings["data_dir"] = str(work / "data")
    config.write_text(json.dumps(settings))
    for made in checks.workloads(objects):
        _, pod = checks.pod_of(made)
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            if "--config" not in container["args"]:
                continue
            assert container["args"][:2] == ["--config", "/etc/latchkey/config/latchkey.json"]
            environment = environment_of(container, work)
            if "migrate" in container["args"]:
                check_migration(latchkey, config, environment, work)
            else:
                check(latchkey, config, environment, work)


def environment_of(container, work: Path):
    environment = {}
    for variable in container.get("env") or []:
        name, value = variable["name"], variable["value"]
        if name.endswith("_FILE"):
            file = work / value.removeprefix("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(dummy(file.name) + "\n")
            file.chmod(0o440)
            value = str(file)
        environment[name] = value
    return environment


def check_migration(latchkey, config: Path, environment, work: Path):
    """Checks that the configuration is enough for `latchkey migrate`. No server responds, so the
    command ends with 69 unless the database is a file."""
    run = [latchkey, "--config", str(config), "migrate", "plan"]
    told = subprocess.run(run, env=environment, cwd=work, capture_output=True, text=True, check=False)
    assert told.returncode in (0, 69), f"exit {told.returncode}: {told.stderr}"
    assert "dummy-password" not in told.stderr


def check(latchkey, config: Path, environment, work: Path):
    run = [latchkey, "--config", str(config), "config", "check"]
    told = subprocess.run(run, env=environment, cwd=work, capture_output=True, text=True, check=False)
    assert told.returncode == 0, f"exit {told.returncode}: {told.stderr}"
    printed = subprocess.run(
        [*run[:-1], "print"], env=environment, cwd=work, capture_output=True, text=True, check=True
    ).stdout
    assert "production" in printed and "dummy" not in printed


def make_certificate(cert: Path, key: Path):
    cert.parent.mkdir(parents=True)
    assert shutil.which("openssl"), "openssl is missing"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=auth.example.com", "-addext", "subjectAltName=DNS:auth.example.com",
         "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )
    key.chmod(0o440)
