"""Runs docs/backup.md, block by block, and checks the restored data.

    run.py LATCHKEY POSTGRES REDIS_URL [AS_POSTGRES...]

POSTGRES is the directory of a test server. It contains the server's socket, and the server's files
in `data`. AS_POSTGRES is the beginning of each command that must run as the Unix user of
PostgreSQL. `scripts/lib/backup` starts PostgreSQL, Redis and this program.
"""

import datetime
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/examples")]

from daemon import Daemon, free_port, status, until  # noqa: E402
from tally import Tally  # noqa: E402

BLOCK = re.compile(r"^<!-- tested: ([a-z-]+) -->\n```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = dict(BLOCK.findall((ROOT / "docs/backup.md").read_text()))
ran = set()
tally = Tally("backup: ")
check = tally.check


class Shell:
    """A shell that runs the blocks of the page, in a directory and with the page's variables."""

    def __init__(self, home: Path, latchkey: str, **environment: str):
        path = f"{Path(latchkey).parent}:{os.environ['PATH']}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LATCHKEY_")}
        self.home, self.environment = home, kept | {"PATH": path} | environment
        self.places = {}

    def run(self, block: str, *as_whom: str) -> str:
        ran.add(block)
        return self.type(BLOCKS[block], *as_whom)

    def type(self, text: str, *as_whom: str, may_fail: bool = False):
        for said, ours in self.places.items():
            text = text.replace(said, ours)
        command = [*as_whom, "bash", "-euo", "pipefail", "-c", text]
        done = subprocess.run(command, cwd=self.home, env=self.environment, capture_output=True, text=True)
        if may_fail:
            return done
        if done.returncode != 0:
            raise SystemExit(f"this ended with {done.returncode}:\n{text}\n{done.stdout}\n{done.stderr}")
        return done.stdout


class Patient(Daemon):
    """A daemon to which requests are sent again after a 503. A 503 means that nothing was done.
    It can happen if a busy machine makes a store too slow."""

    def environment(self, **settings: str) -> dict:
        cheap = {"LATCHKEY_PASSWORD__MEMORY_KIB": "64", "LATCHKEY_PASSWORD__ITERATIONS": "1"}
        return super().environment(**cheap, **settings)

    def call(self, *arguments, **named) -> dict:
        return again(lambda: super(Patient, self).call(*arguments, **named))


def again(ask):
    for _ in range(20):
        try:
            return ask()
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
            time.sleep(0.5)
    raise SystemExit("it stays a 503")


def answered(url: str, token: str) -> int:
    """Repeats a GET until its status is not a 503, and returns this status."""
    return until(f"an answer of {url}", 20, lambda: (got := status(url, token)) != 503 and got)


def refused(daemon: Daemon, tokens: dict) -> bool:
    """Says whether both routes refuse the userToken of the session."""
    paths = ["/api/me", "/api/refresh"]
    return [answered(daemon.issuer + path, tokens["userToken"]) for path in paths] == [401, 401]


def cannot_log_in(daemon: Daemon, name: str) -> bool:
    try:
        daemon.login(name)
    except urllib.error.HTTPError as error:
        return error.code == 401
    return False


def log_out(daemon: Daemon, tokens: dict):
    ask = urllib.request.Request(
        f"{daemon.issuer}/api/logout", method="POST", headers={"authorization": f"Bearer {tokens['userToken']}"}
    )
    with again(lambda: urllib.request.urlopen(ask, timeout=20)) as answer:
        assert answer.status == 204, answer.status


def kids(daemon: Daemon) -> set:
    return {key["kid"] for key in daemon.call("GET", "/.well-known/jwks.json")["keys"]}


def has_her_team(daemon: Daemon, person: dict) -> bool:
    items = daemon.call("GET", "/api/teams", token=person["userToken"])["items"]
    return [(team["id"], team["role"]) for team in items] == [(person["claims"]["tid"], "owner")]


def with_postgresql(latchkey: str, postgres: Path, redis_url: str, as_postgres: list[str]):
    daemon = Patient(latchkey)
    home = Path(daemon.home.name)
    saved = postgres / "saved"
    port = next(postgres.glob(".s.PGSQL.*[0-9]")).name.rpartition(".")[2]
    shell = Shell(home, latchkey, PGHOST=str(postgres), PGPORT=port, REDIS_URL=redis_url)
    shell.places = {"/var/backups/latchkey": str(saved), "/var/lib/postgresql/recovered": str(postgres / "recovered")}
    subprocess.run([*as_postgres, "mkdir", saved, saved / "wal"], check=True)
    os.chmod(saved, 0o777)

    def database(name: str, at: str = port):
        (home / "database.url").write_text(f"postgres://latchkey@127.0.0.1:{at}/{name}")

    database("latchkey")
    (home / "master.key").write_text("A" * 43)
    (home / "redis.url").write_text(redis_url)
    (home / "latchkey.toml").write_text(
        'database.url_file = "database.url"\nredis.url_file = "redis.url"\nsecrets.master_key_file = "master.key"\n'
    )
    shell.type("latchkey migrate up")
    shell.run("role")
    shell.run("archive")
    shell.type(f"pg_ctl -D {postgres}/data -w restart -o '-p {port} -k {postgres} -h 127.0.0.1' -l {postgres}/log", *as_postgres)
    daemon.start()
    ada = daemon.person("ada")
    phone, tablet = daemon.login("ada"), daemon.login("ada")
    log_out(daemon, phone)
    keys = kids(daemon)
    refusal = shell.type("pg_dump -U latchkey -Fc -f owner.dump latchkey", may_fail=True)
    check("the tables' owner cannot dump them", refusal.returncode == 1 and "row-level security" in refusal.stderr)
    shell.type("pg_dump -U latchkey --enable-row-security -Fc -f part.dump latchkey")
    part = shell.type("pg_restore -a -t teams -f - part.dump")
    check("with --enable-row-security it dumps no team, and says nothing", ada["claims"]["tid"] not in part, part)
    shell.run("dump")
    shell.run("base", *as_postgres)
    # The changes after this line are newer than the dump.
    daemon.person("eve")
    log_out(daemon, tablet)
    # The chosen time is one second after the end of the session and one second before the next
    # change, so the log of PostgreSQL is cut between two transactions. All times use one clock.
    time.sleep(1)
    moment = datetime.datetime.now(datetime.UTC).isoformat(sep=" ")
    time.sleep(1)
    daemon.person("mallory")
    shell.type("psql -U postgres -qAtc 'SELECT pg_switch_wal()'")
    daemon.stop()

    shell.run("restore")
    database("latchkey_restored")
    shell.run("empty")
    looked = shell.run("look")
    check("the restored database's schema, audit and keys hold", all(kid in looked for kid in keys), looked)
    daemon.start()
    back = daemon.login("ada")
    check("a person logs in on the restored database", back["claims"]["tid"] == ada["claims"]["tid"])
    check("her team is there", has_her_team(daemon, back))
    check("a session that had ended stays ended", refused(daemon, phone))
    check("a session that ended after the dump is not back", refused(daemon, tablet))
    check("who came after the dump is not there", cannot_log_in(daemon, "eve"))
    check("the signing keys are the same", kids(daemon) == keys)
    daemon.stop()

    until("the archive of what was written last", 30, lambda: archived(shell))
    shell.places["2026-11-28 09:14:00+00"] = moment
    shell.run("recover", *as_postgres)
    at = str(free_port())
    recovered, log = postgres / "recovered", postgres / "recovered.log"
    start = f"pg_ctl -D {recovered} -w start -o '-p {at} -k {postgres} -h 127.0.0.1' -l {log}"
    subprocess.run([*as_postgres, "bash", "-c", start], env=shell.environment, check=True, stdout=subprocess.DEVNULL)
    try:
        until("the end of the recovery", 60, lambda: promoted(shell, at))
        database("latchkey", at)
        shell.run("empty")
        daemon.start()
        check("at a point in time: who came before it logs in", daemon.login("eve")["vaultToken"])
        check("at a point in time: who came after it is not there", cannot_log_in(daemon, "mallory"))
        check("at a point in time: ended sessions stay ended", refused(daemon, phone) and refused(daemon, tablet))
        daemon.stop()
    finally:
        stop = f"pg_ctl -D {recovered} -w stop -m immediate"
        subprocess.run([*as_postgres, "bash", "-c", stop], env=shell.environment, check=True, stdout=subprocess.DEVNULL)


def archived(shell: Shell) -> bool:
    sql = "SELECT last_archived_wal >= pg_walfile_name(pg_current_wal_lsn() - 16 * 1024 * 1024) FROM pg_stat_archiver"
    return shell.type(f'psql -U postgres -qAtc "{sql}"').strip() == "t"


def promoted(shell: Shell, port: str) -> bool:
    return shell.type(f"psql -U postgres -p {port} -qAtc 'SELECT pg_is_in_recovery()'").strip() == "f"


def with_sqlite(latchkey: str, saving: str):
    daemon = Patient(latchkey)
    home = Path(daemon.home.name)
    shell = Shell(home, latchkey)
    daemon.start()
    ada = daemon.person("ada")
    phone, tablet = daemon.login("ada"), daemon.login("ada")
    log_out(daemon, phone)
    keys = kids(daemon)
    shell.run(saving)
    daemon.person("eve")
    log_out(daemon, tablet)
    daemon.stop()
    shell.run("sqlite-restore")
    other = Patient(latchkey)
    other.port, other.admin, other.issuer = daemon.port, daemon.admin, daemon.issuer
    other.home.cleanup()
    other.home = type("Home", (), {"name": str(home / "restored")})()
    other.start()
    back = other.login("ada")
    check(f"{saving}: a person logs in, and her team is there", has_her_team(other, back | {"claims": ada["claims"]}))
    check(f"{saving}: a session that had ended stays ended", refused(other, phone))
    check(f"{saving}: a session that ended after the copy is not back", refused(other, tablet))
    check(f"{saving}: who came after the copy is not there", cannot_log_in(other, "eve"))
    check(f"{saving}: the signing keys are the same", kids(other) == keys)
    other.stop()


def main() -> int:
    latchkey, postgres, redis_url, *as_postgres = sys.argv[1:]
    with_postgresql(latchkey, Path(postgres), redis_url, as_postgres)
    with_sqlite(latchkey, "sqlite")
    with_sqlite(latchkey, "sqlite-python")
    check("every block of docs/backup.md that is marked was run", ran == set(BLOCKS), set(BLOCKS) ^ ran)
    return tally.result()


if __name__ == "__main__":
    sys.exit(main())
