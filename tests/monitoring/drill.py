"""Causes five incidents on real servers. It records the alerts, the panels, the log, the states of
`/readyz` and the responses. `scripts/drill` starts this program.

    drill.py LATCHKEY POSTGRES_URL [INCIDENT...]

It prints a report as JSON and one line for each expected observation. The last line has the format
of cargo's test runner.
"""

import base64
import json
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import crowd
import watch
from faults import Late, Redis, Smtp
from stage import Daemon, Prometheus, get, until

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm/latchkey"
RULES = sorted((CHART / "rules").glob("*.yaml"))
# The same scrape interval as in deploy/compose/prometheus.yaml.
SCRAPE = "15s"
# Times in seconds. CALM is the time of traffic before the fault, so that rates exist. REST is the
# time for which the fault continues after its last alert. AFTERMATH is the maximum wait for the end
# of the alerts. It is so long because the alert about a crash fires for 15 minutes.
CALM, REST, AFTERMATH = 90, 30, 17 * 60
BURN = ("LatchkeyAvailabilityBudgetBurn", "page")


class Stage:
    """A daemon with its own database, Redis, mail server and users."""

    def __init__(self, incident: "Incident", binary: str, home: Path, postgres_url: str):
        self.incident, self.home = incident, home
        home.mkdir(parents=True)
        subprocess.run(["psql", "-qX", postgres_url, "-c", f"CREATE DATABASE drill_{incident.name}"], check=True)
        self.postgres, self.redis, self.smtp = Late(urlsplit(postgres_url).port), Redis(home), Smtp()
        self.daemon = Daemon(binary, home, {
            "LATCHKEY_DATABASE__URL": f"postgres://latchkey@127.0.0.1:{self.postgres.port}/drill_{incident.name}",
            "LATCHKEY_DATABASE__AUTO_MIGRATE": "true",
            "LATCHKEY_REDIS__URL": f"redis://127.0.0.1:{self.redis.port}",
            "LATCHKEY_MAIL__SMTP_URL": f"smtp://127.0.0.1:{self.smtp.port}",
            "LATCHKEY_HTTP__TRUSTED_PROXIES": "127.0.0.1/32",
            "LATCHKEY_SECRETS__MASTER_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
        } | incident.settings)
        self.people = crowd.Crowd(self.daemon.base, incident.people, incident.rate, incident.kinds)
        self.rush = crowd.Crowd(self.daemon.base, 400, 50, ("login",), first=1000) if incident.is_rush else None
        self.ready = watch.Ready(self.daemon.admin)
        self.mended = threading.Event()
        self.begin = self.fault = self.end = self.close = 0.0
        self.settled: dict[str, float] = {}

    def renew(self, faults: str):
        """Restarts the daemon with other faults, as an upgrade would restart it."""
        self.daemon.child.send_signal(signal.SIGINT)
        self.daemon.child.wait(40)
        self.daemon.environment["FAILPOINTS"] = faults
        self.daemon.start()
        until("readiness of the daemon", 60, self.daemon.is_ready)

    def command(self, *words: str) -> str:
        done = subprocess.run([self.daemon.command[0], *words], env=self.daemon.environment, cwd=self.home,
                              capture_output=True, text=True, check=True)
        return done.stdout

    def mails_waiting(self) -> float:
        metrics = get(f"http://127.0.0.1:{self.daemon.admin}/metrics")[1].decode()
        found = [line for line in metrics.splitlines() if line.startswith("latchkey_mail_outbox_depth")]
        return float(found[0].split()[-1]) if found else 0.0

    def run(self, alerts: watch.Alerts, others: list["Stage"]):
        """Runs the incident: first traffic without a fault, then the fault until its alerts fire,
        then the repair, and then the time after the repair."""
        self.people.gather()
        if self.rush:
            self.rush.gather()
            for other in others:
                other.mended.wait()
        self.begin = time.time()
        self.people.start()
        self.ready.start()
        time.sleep(CALM)
        job, wanted = self.incident.name, self.incident.alerts
        self.fault = time.time()
        self.incident.cause(self)
        last = self.fault + self.incident.limit
        while time.time() < last and not all(alerts.fired(job, *it) for it in wanted):
            time.sleep(1)
        time.sleep(REST)
        self.incident.mend(self)
        self.end = time.time()
        self.mended.set()
        last = self.end + AFTERMATH
        while time.time() < last and any(alerts.fires(job, *it) for it in {*wanted, BURN}):
            time.sleep(1)
            if "no mail waits" not in self.settled and not self.mails_waiting():
                self.settled["no mail waits"] = round(time.time() - self.end)
        time.sleep(2 * watch.STEP)
        self.close = time.time()
        self.people.stop()
        self.ready.ended.set()

    def stop(self):
        for process in (self.daemon, self.redis):
            process.stop()

    def report(self, alerts: watch.Alerts, panels: watch.Panels) -> dict:
        responses = self.people.responses + (self.rush.responses if self.rush else [])
        last_bad = crowd.last_bad(responses)
        return {
            "seconds": {"before": round(self.fault - self.begin), "fault": round(self.end - self.fault),
                        "after": round(self.close - self.end)},
            "alerts": alerts.report(self.incident.name, self.fault, self.end),
            "log": watch.log_lines(self.daemon.log, self.fault, self.close),
            "readyz": self.ready.report(self.fault, self.close),
            "clients": {"before": crowd.summary(responses, self.begin, self.fault),
                        "fault": crowd.summary(responses, self.fault, self.end),
                        "after": crowd.summary(responses, self.end, self.close)},
            "recovered": self.settled | {
                "readyz": self.ready.recovered(self.end),
                "last bad response": round(last_bad - self.end, 1) if last_bad else None},
            "panels": {panel: panels.report(self.incident.name, panel, self.begin, self.fault, self.end, self.close)
                       for panel in self.incident.panels},
        }


@dataclass
class Incident:
    """An incident. It has its cause, and the observations that docs/runbooks/incidents.md lists."""

    name: str
    cause: Callable[[Stage], object]
    mend: Callable[[Stage], object]
    alerts: list[tuple[str, str]]
    lines: list[str]
    panels: list[str]
    limit: int = 600
    people: int = 30
    rate: float = 5
    kinds: tuple = crowd.USUAL
    is_rush: bool = False
    settings: dict[str, str] = field(default_factory=dict)


def late(stage: Stage):
    stage.postgres.delay = 0.5


def prompt(stage: Stage):
    stage.postgres.delay = 0.0


def refuse(stage: Stage):
    """The mail server first refuses mail permanently, then temporarily, and then does not
    listen."""
    stage.smtp.refuse("550 5.7.1 refused")
    time.sleep(30)
    stage.smtp.refuse("451 4.3.2 not now")
    time.sleep(90)
    stage.smtp.leave()


def take(stage: Stage):
    stage.smtp.come()
    stage.command("mail", "retry", "--dead")


INCIDENTS = [
    Incident(
        "redis", lambda stage: stage.redis.crash(), lambda stage: stage.redis.start(),
        [BURN], ["request refused"],
        ["overview › Errors", "overview › Errors by route", "overview › Budget burn within 1h", "runtime › Store errors",
         "auth › Logins by outcome", "auth › Local limit decisions"],
        kinds=(*crowd.USUAL, "forgot"),
    ),
    Incident(
        "postgresql", late, prompt,
        [("LatchkeyDbPoolExhausted", "page"), BURN], ["request refused"],
        ["overview › Errors by route", "overview › Database connections in use", "overview › Duration by route, p99",
         "runtime › Database statements, p99", "runtime › Store errors", "runtime › Database connection timeouts",
         "runtime › Redis commands, p99"],
        people=60, rate=30,
    ),
    Incident(
        "smtp", refuse, take,
        [("LatchkeyMailOutboxStalled", "page")], ["the mail was not delivered", "the mail queue is paused"],
        ["overview › Oldest mail", "auth › Age of the oldest mail", "auth › Waiting mails", "auth › Deliveries by outcome"],
        limit=28 * 60, rate=2, kinds=("me", "refresh", "me", "login", "register"),
    ),
    Incident(
        "worker", lambda stage: stage.renew("pool.password=25%panic"), lambda stage: stage.renew(""),
        [("LatchkeyWorkerCrashed", "ticket"), BURN], ["a worker crashed and is replaced", "request refused"],
        ["runtime › Worker and task crashes", "overview › Errors by route", "auth › Logins by outcome", "runtime › Uptime"],
    ),
    Incident(
        "overload", lambda stage: stage.rush.start(), lambda stage: stage.rush.stop(),
        [("LatchkeyPasswordQueueSaturated", "page"), BURN], ["request refused"],
        ["overview › Queues", "overview › Refused requests and jobs", "overview › Busy workers", "overview › Logins, duration", "overview › New tokens, duration",
         "auth › Logins by outcome", "runtime › Wait for a worker, p99", "runtime › Password hashes, p99",
         "overview › Errors by route", "overview › Processor"],
        is_rush=True,
        # These settings are the second option of RFC 9106. With them and one worker, this daemon
        # can verify only about twelve logins per second.
        settings={"LATCHKEY_PASSWORD__MEMORY_KIB": "65536", "LATCHKEY_PASSWORD__ITERATIONS": "3",
                  "LATCHKEY_PASSWORD__WORKERS": "1"},
    ),
]


def verdict(incident: Incident, report: dict) -> list[tuple[str, bool]]:
    """Returns each expected observation, and whether the report contains it."""
    fired = {name for name, states in report["alerts"].items() if states["firing"] is not None}
    lines = {line.get("message") for line in report["log"]}
    seen = [(f"{alert} ({severity}) fires", f"{alert} ({severity})" in fired) for alert, severity in incident.alerts]
    seen += [(f"the log says: {line}", line in lines) for line in incident.lines]
    seen += [(f"{panel} has values", bool(report["panels"][panel])) for panel in incident.panels]
    seen.append(("readyz is ok at the end", report["recovered"]["readyz"] is not None))
    statuses = {status for kind in report["clients"]["fault"].values() for status in kind["responses"]}
    errors = {status for status in statuses if status.startswith("4")}
    seen.append((f"no client gets a 4xx status {' '.join(sorted(errors))}".strip(), not errors))
    return seen


def main() -> int:
    binary, postgres_url, names = sys.argv[1], sys.argv[2], sys.argv[3:]
    chosen = [it for it in INCIDENTS if not names or it.name in names]
    boards = {file.stem: json.loads(file.read_text()) for file in sorted((CHART / "dashboards").glob("*.json"))}
    stages, passed, failed, reports = [], 0, 0, {}
    with tempfile.TemporaryDirectory(prefix="latchkey-drill-") as home:
        prometheus = None
        try:
            stages += [Stage(it, binary, Path(home) / it.name, postgres_url) for it in chosen]
            jobs = {stage.incident.name: stage.daemon.admin for stage in stages}
            prometheus = Prometheus(Path(home) / "prometheus", jobs, RULES, SCRAPE)
            alerts = watch.Alerts(prometheus)
            alerts.start()
            quick = [stage for stage in stages if not stage.rush and stage.incident.name != "smtp"]
            runs = [threading.Thread(target=stage.run, args=(alerts, quick)) for stage in stages]
            for run in runs:
                run.start()
            for run in runs:
                run.join()
            alerts.ended.set()
            panels = watch.Panels(prometheus, boards)
            reports = {stage.incident.name: stage.report(alerts, panels) for stage in stages if stage.close}
        finally:
            for stage in stages:
                stage.stop()
            if prometheus:
                prometheus.stop()
    print(json.dumps(reports, indent=1, ensure_ascii=False))
    for incident in chosen:
        seen = verdict(incident, reports[incident.name]) if incident.name in reports else [("it ran", False)]
        for what, holds in seen:
            passed, failed = passed + holds, failed + (not holds)
            print(f"test {incident.name}: {what} ... {'ok' if holds else 'FAILED'}")
    print(f"\ntest result: {'FAILED' if failed or not passed else 'ok'}. {passed} passed; {failed} failed; 0 ignored", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
