"""Checks alert rules and dashboards with a real Prometheus that scrapes a daemon under load.
`scripts/lib/monitoring` starts this program.

    run.py LATCHKEY POSTGRES_URL REDIS_PORT

The last line of the output has the format of cargo's test runner.
"""

import base64
import json
import re
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

import expressions  # noqa: E402
import papers  # noqa: E402
import traffic  # noqa: E402
from stage import Daemon, Prometheus, breaches, until  # noqa: E402
from tally import Tally  # noqa: E402

CHART = ROOT / "helm/latchkey"
PAGES = ROOT / "docs/runbooks"
RULES = sorted((CHART / "rules").glob("*.yaml"))
# The time in seconds within which every series must exist. It is several seconds, because scrapes
# and evaluations run once per second, and recording rules can depend on each other.
PATIENCE = 20
# Prometheus scrapes the daemon as if it were two installations: one without labels, and one pod in
# this namespace.
NAMESPACE = "staging"
tally = Tally()
check = tally.check


def known_metrics(rules: list[dict]) -> set[str]:
    """Returns the metrics in docs/telemetry.md, which is generated from the registry, and the
    metrics that recording rules create."""
    names = {rule["record"] for rule in rules if "record" in rule}
    for name, kind in re.findall(r"^\| `[\w.]+` \| `(\w+)` \| (\w+) \|", (ROOT / "docs/telemetry.md").read_text(), re.MULTILINE):
        names |= {f"{name}{ending}" for ending in ("_bucket", "_sum", "_count")} if kind == "histogram" else {name}
    return names


def check_papers(rules: list[dict], boards: dict[str, dict]):
    for name, board in boards.items():
        faults = papers.dashboard_faults(board)
        check(f"dashboard {name} has the shape that Grafana expects", not faults, "; ".join(faults))
    alerts = [rule for rule in rules if "alert" in rule]
    for rule in alerts:
        faults = papers.alert_faults(rule, PAGES)
        check(f"{rule['alert']} ({rule['labels']['severity']}) has a summary, a value and a runbook", not faults, "; ".join(faults))
    panels = {f"{name} › {panel['title']}" for name, board in boards.items() for panel in board["panels"]}
    known, source = papers.commands(ROOT), papers.log_lines(ROOT)
    for page in sorted(PAGES.glob("*.md")):
        faults = papers.page_faults(page, panels, known, source)
        check(f"runbooks/{page.name} names only existing panels, commands and log lines", not faults, "; ".join(faults))
    named = {rule["alert"] for rule in alerts}
    pages = {page.stem for page in PAGES.glob("Latchkey*.md")}
    check("every alert page belongs to an alert", pages == named, str(pages ^ named))


def check_units(alerts: set[str]):
    """Runs `promtool test rules`. Each alert needs a case in which it fires and a case in which it
    does not fire."""
    files = sorted((ROOT / "tests/monitoring").glob("*.test.yaml"))
    cases: dict[str, set[bool]] = {}
    for file in files:
        done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True)
        check(f"promtool test rules {file.name}", done.returncode == 0, done.stdout + done.stderr)
        for test in yaml.safe_load(file.read_text())["tests"]:
            for case in test["alert_rule_test"]:
                cases.setdefault(case["alertname"], set()).add(bool(case["exp_alerts"]))
    lacking = sorted(name for name in alerts if cases.get(name) != {True, False})
    check("every alert has a case that fires and one that does not", not lacking, ", ".join(lacking))


def wanted(rules: list[dict], boards: dict[str, dict]) -> list[tuple[str, str]]:
    """Returns the place and the text of each expression of a panel and of a recording rule, and of
    each vector that an alert compares."""
    found = []
    for rule in rules:
        name = rule.get("record") or rule["alert"]
        parts = [rule["expr"]] if "record" in rule else expressions.vectors(rule["expr"])
        found += [(f"{name} {rule.get('labels') or ''}".strip(), part) for part in parts]
    return found + [(where, expressions.plain(expression)) for where, expression in of_panels(boards)]


def of_panels(boards: dict[str, dict]) -> list[tuple[str, str]]:
    """Returns the place and the text of each expression of a dashboard. The text still contains the
    variables."""
    return [(f"{name} › {panel['title']} {it['refId']}", it["expr"])
            for name, board in boards.items() for panel in board["panels"] for it in panel.get("targets", [])]


def awaited(prometheus: Prometheus, expression: str, end: float) -> tuple[int, str]:
    """Waits until an expression has at least one series or until `end`. Returns the number of
    series, which can be 0, and the error."""
    count, error = prometheus.series(expression)
    while not count and not error and time.monotonic() < end:
        time.sleep(0.5)
        count, error = prometheus.series(expression)
    return count, error


def check_expressions(prometheus: Prometheus, rules: list[dict], boards: dict[str, dict]):
    known = known_metrics(rules)
    end = time.monotonic() + PATIENCE
    for where, expression in wanted(rules, boards):
        asked = expressions.metrics(expression)
        unknown = asked - known
        count, error = awaited(prometheus, expression, end)
        detail = f"unknown: {unknown}" if unknown else error or f"no series: {expression}"
        check(f"{where} has series", bool(asked) and not unknown and count > 0, detail)


def check_installations(prometheus: Prometheus, boards: dict[str, dict]):
    """Checks that a panel shows only the chosen installation, even if this installation has no
    namespace. For an unknown installation it must show nothing."""
    end = time.monotonic() + PATIENCE
    for where, expression in of_panels(boards):
        faults = []
        for chosen in ({"job": expressions.PLAIN}, {"namespace": NAMESPACE}, {"namespace": NAMESPACE, "job": expressions.POD}):
            if not awaited(prometheus, expressions.plain(expression, **chosen), end)[0]:
                faults.append(f"no series of {chosen}")
        for chosen in ({"namespace": "elsewhere"}, {"job": "elsewhere"}, {"namespace": NAMESPACE, "job": expressions.PLAIN}):
            if prometheus.series(expressions.plain(expression, **chosen))[0]:
                faults.append(f"series of {chosen}")
        check(f"{where} shows only the chosen installation", not faults, "; ".join(faults))


def check_loaded(prometheus: Prometheus, rules: list[dict]):
    """Checks that every rule is loaded, evaluated and healthy."""
    def evaluated():
        loaded = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
        return loaded if loaded and all(rule["health"] != "unknown" for rule in loaded) else None

    loaded = until("the evaluation of every rule", PATIENCE, evaluated)
    check("every rule is loaded", len(loaded) == len(rules), f"{len(loaded)} of {len(rules)}")
    sick = [f"{rule['name']}: {rule.get('lastError')}" for rule in loaded if rule["health"] != "ok"]
    check("every rule is healthy", not sick, "; ".join(sick))
    firing = sorted({it["labels"]["alertname"] for it in prometheus.ask("alerts")["alerts"] if it["state"] == "firing"})
    check("the load of this test fires no alert", not firing, ", ".join(firing))


def check_the_checks(prometheus: Prometheus, boards: dict[str, dict]):
    """Checks that each check finds its fault."""
    check("a misspelt metric is found", expressions.metrics('rate(latchkey_login_total{job="x"}[5m])') == {"latchkey_login_total"})
    check("an expression without series is found", prometheus.series('latchkey_logins_total{outcome="none"}') == (0, ""))
    check("a broken expression is found", prometheus.series("rate(latchkey_logins_total)")[1] != "")
    broken = json.loads(json.dumps(boards["auth"]))
    broken["panels"][1]["id"] = broken["panels"][2]["id"]
    del broken["panels"][1]["fieldConfig"]["defaults"]["unit"]
    check("the faults of a dashboard are found", len(papers.dashboard_faults(broken)) == 2)
    broken = json.loads(json.dumps(boards["overview"]))
    budget = next(panel for panel in broken["panels"] if panel["title"].startswith("Budget left"))["targets"][0]
    budget["expr"] = "".join(budget["expr"].rsplit('namespace=~"$namespace",', 1))
    broken["links"][0]["includeVars"] = False
    broken["templating"]["list"][1]["allValue"] = ".+"
    faults = papers.dashboard_faults(broken)
    check("a dashboard that mixes installations is found", len(faults) == 3, str(faults))
    bound, other = 'a_b{job=~"$job",namespace=~"$namespace",c="}"}', 'h{a_job=~"$job",namespace=~"$namespace"}'
    found = expressions.unbound(f'sum by (job) (rate({bound}[5m])) / clamp_min(d:e, 1e-9) or {{f="g"}} or {other}')
    check("an expression that selects every installation is found", found == ["d:e", '{f="g"}', other], str(found))
    parts = expressions.vectors("a_b > 14.4 * 0.001 and c_d > 3 * e_f and on (job) i:j unless absent(g_h)")
    check("the vectors of an alert are found", parts == ["a_b", "c_d", "3 * e_f", "i:j", "g_h"], str(parts))


def main() -> int:
    binary, postgres_url, redis_port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    rules = [rule for file in RULES for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]
    boards = {file.stem: json.loads(file.read_text()) for file in sorted((CHART / "dashboards").glob("*.json"))}
    check_papers(rules, boards)
    check_units({rule["alert"] for rule in rules if "alert" in rule})
    with tempfile.TemporaryDirectory(prefix="latchkey-monitoring-") as home, breaches() as breach_url:
        settings = {
            "LATCHKEY_DATABASE__URL": postgres_url,
            "LATCHKEY_DATABASE__AUTO_MIGRATE": "true",
            "LATCHKEY_REDIS__URL": f"redis://127.0.0.1:{redis_port}",
            "LATCHKEY_PASSWORD__BREACH_URL": breach_url,
            "LATCHKEY_SECRETS__MASTER_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
        }
        daemon = Daemon(binary, Path(home) / "daemon", settings)
        prometheus = Prometheus(Path(home) / "prometheus", {expressions.PLAIN: daemon.admin, expressions.POD: daemon.admin}, RULES,
                                namespaces={expressions.POD: NAMESPACE})
        try:
            client = traffic.Client(daemon.base, daemon.mailbox_key())
            traffic.drive(client, redis_port)
            print(f"sent {sum(client.statuses.values())} requests: {client.statuses}", flush=True)
            check_loaded(prometheus, rules)
            check_expressions(prometheus, rules, boards)
            check_installations(prometheus, boards)
            check_the_checks(prometheus, boards)
        finally:
            prometheus.stop()
            daemon.stop()
    return tally.result()


if __name__ == "__main__":
    sys.exit(main())
