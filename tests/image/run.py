"""Runs the program of the image as a container engine does: on an empty, read-only root, as its own
Unix user, and with names from DNS.

    python3 run.py ROOT CONFIG SBOM

ROOT is the file system of the image. CONFIG is the configuration of the image as `buildah inspect`
prints it.
SBOM lists the components of the program.

The test must run in its own mount and network namespaces (`unshare --mount --net`). Therefore it
changes nothing on this machine and sends no request to this machine.
"""

import fcntl
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import tomllib
import urllib.request

ACCOUNT = 65532
# The maximum time in seconds until the daemon ends: the drain delay of 1 s, and then 25 s, after
# which the daemon cuts all remaining connections.
ENDS_WITHIN = 26
PATIENCE = 30

root = pathlib.Path(sys.argv[1])
config = json.loads(pathlib.Path(sys.argv[2]).read_text())["Docker"]["config"]
volume = root / "var/lib/latchkey"
environment = {
    "LATCHKEY_HTTP__LISTEN": "127.0.0.1:8080",
    "LATCHKEY_ADMIN__LISTEN": "127.0.0.1:9090",
    "LATCHKEY_HTTP__DRAIN_DELAY": "1s",
}


def inside():
    """Does what a container engine does between fork and exec."""
    os.chroot(root)
    os.chdir(config["WorkingDir"])
    os.setgroups([])
    os.setgid(ACCOUNT)
    os.setuid(ACCOUNT)


def start(*arguments, **more):
    return subprocess.Popen([*config["Entrypoint"], *arguments], env=environment, preexec_fn=inside, **more)


def run(*arguments):
    return start(*arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).wait(PATIENCE)


def loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        # SIOCSIFFLAGS with IFF_UP | IFF_RUNNING.
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh", b"lo", 0x1 | 0x40))


def name_server():
    """Starts a DNS server that resolves `latchkey.test` to 127.0.0.1 and no other name."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))

    def serve():
        while True:
            query, sender = server.recvfrom(512)
            end = 12
            while query[end]:
                end += query[end] + 1
            question = query[12 : end + 5]
            name, kind = question[: end - 11], struct.unpack("!H", question[end - 11 : end - 9])[0]
            known = name == b"\x08latchkey\x04test\x00"
            answers = 1 if known and kind == 1 else 0
            head = query[:2] + struct.pack("!HHHHH", 0x8180 if known else 0x8183, 1, answers, 0, 0)
            record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + socket.inet_aton("127.0.0.1")
            server.sendto(head + question + record * answers, sender)

    threading.Thread(target=serve, daemon=True).start()


def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)


def ready():
    try:
        with urllib.request.urlopen("http://127.0.0.1:9090/readyz", timeout=1) as answer:
            return answer.status == 200
    except OSError:
        return False


passed, failed = 0, 0


def check(name, holds, told=""):
    global passed, failed
    if holds:
        passed += 1
    else:
        failed += 1
    print(f"test image::{name} ... {'ok' if holds else f'FAILED {told}'}", flush=True)


files = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
# A container engine adds these files, so they are ignored.
files = [name for name in files if name not in ("etc/hostname", "etc/hosts", "etc/resolv.conf")]
expected = ["etc/group", "etc/passwd", "latchkey", "var/lib/latchkey/.keep"]
check("holds_the_program_and_an_account_alone", files == expected, files)
check("runs_as_nobody_of_consequence", config["User"] == f"{ACCOUNT}:{ACCOUNT}", config["User"])
check("asks_itself_whether_it_is_well", config["Healthcheck"]["Test"] == ["CMD", "/latchkey", "healthcheck"])
check("exposes_its_ports", sorted(config["ExposedPorts"]) == ["8080/tcp", "9090/tcp"])
check("is_stopped_by_sigterm", config["StopSignal"] == "SIGTERM")
labels = {name.rpartition(".")[2] for name in config["Labels"] if name.startswith("org.opencontainers.image.")}
wanted = {"title", "description", "source", "documentation", "licenses", "version", "revision", "created"}
check("is_labelled", wanted <= labels and config["Labels"]["org.opencontainers.image.revision"] != "unknown", labels)

text = pathlib.Path(sys.argv[3]).read_text() if pathlib.Path(sys.argv[3]).exists() else "{}"
listed = {(it["name"], it["version"]) for it in json.loads(text).get("components", [])}
locked = {(it["name"], it["version"]) for it in tomllib.loads(pathlib.Path("Cargo.lock").read_text())["package"]}
linked = {"argon2", "hyper", "jsonwebtoken", "lettre", "ractor", "redis", "rustls", "sea-orm", "tokio"}
check("is_listed_in_cyclonedx", json.loads(text).get("bomFormat") == "CycloneDX" and linked <= {name for name, _ in listed}, linked - {name for name, _ in listed})
check("is_listed_as_it_was_locked", bool(listed) and listed <= locked, listed - locked)
check("is_listed_without_the_builders_paths", os.getcwd() not in text)

loopback_up()
name_server()
(root / "etc/resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:2 attempts:1\n")
mount("--bind", str(root), str(root))
mount("-o", "remount,ro,bind", str(root))
mount("-t", "tmpfs", "-o", f"uid={ACCOUNT},gid={ACCOUNT},mode=700", "tmpfs", str(volume))
check("has_a_root_that_nobody_writes", bool(os.statvfs(root).f_flag & os.ST_RDONLY))
check("is_unwell_while_no_daemon_runs", run("healthcheck") != 0)

log = open(volume / "log", "wb")
daemon = start(stdout=log, stderr=log)
try:
    end = time.monotonic() + PATIENCE
    while not ready() and daemon.poll() is None and time.monotonic() < end:
        time.sleep(0.1)
    told = (volume / "log").read_text()
    check("starts_on_a_read_only_root_with_a_volume", ready(), told)
    status = pathlib.Path(f"/proc/{daemon.pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    check("has_no_rights_left", fields["Uid"].split() == [str(ACCOUNT)] * 4 and int(fields["CapEff"], 16) == 0, status)
    check("is_well_by_its_own_word", run("healthcheck") == 0)
    check("finds_a_name_by_dns", run("healthcheck", "--url", "http://latchkey.test:9090/readyz") == 0)
    check("finds_no_name_that_is_not_there", run("healthcheck", "--url", "http://nobody.test:9090/readyz") != 0)
    began = time.monotonic()
    daemon.send_signal(signal.SIGTERM)
    code = daemon.wait(PATIENCE + ENDS_WITHIN)
    took = time.monotonic() - began
    check("ends_well_and_in_time", code == 0 and 1 <= took <= ENDS_WITHIN, f"exit {code} after {took:.1f} s")
finally:
    if daemon.poll() is None:
        daemon.kill()
print(f"test result: {'ok' if failed == 0 else 'FAILED'}. {passed} passed; {failed} failed;")
sys.exit(failed != 0)
