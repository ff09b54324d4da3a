"""What can be told without a daemon: dashboards have Grafana's shape, and runbooks name what there is."""

import re
from pathlib import Path

import expressions

# Each is asked for within those before it.
CHOSEN = ["namespace", "job", "instance"]
VARIABLES = ["datasource", *CHOSEN]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def dashboard_faults(board: dict) -> list[str]:
    """What is wrong with a dashboard."""
    faults = []
    if board.get("schemaVersion", 0) < 36:
        faults.append("schemaVersion is older than Grafana 10's")
    if not (board.get("uid", "").startswith("latchkey-") and board.get("title") and board.get("description")):
        faults.append("uid, title or description is missing")
    if [it["name"] for it in board["templating"]["list"]] != VARIABLES:
        faults.append(f"the variables are not {VARIABLES}")
    faults += [f"${it['name']} {fault}" for it in board["templating"]["list"] if it["name"] in CHOSEN for fault in variable_faults(it)]
    if not board["links"] or not all(it["includeVars"] and it["keepTime"] for it in board["links"]):
        faults.append("no link to the others, or one that forgets what is chosen")
    ids = [panel["id"] for panel in board["panels"]]
    titles = [panel["title"] for panel in board["panels"]]
    faults += [f"id {it} stands twice" for it in sorted(set(ids)) if ids.count(it) > 1]
    faults += [f"title {it!r} stands twice" for it in sorted(set(titles)) if titles.count(it) > 1]
    seen: dict[tuple[int, int], str] = {}
    for panel in board["panels"]:
        place = panel["gridPos"]
        if place["x"] + place["w"] > 24:
            faults.append(f"{panel['title']}: wider than the board")
        for cell in ((x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])):
            if cell in seen:
                faults.append(f"{panel['title']} lies over {seen[cell]}")
                break
            seen[cell] = panel["title"]
        if panel["type"] != "row":
            faults += [f"{panel['title']}: {fault}" for fault in panel_faults(panel)]
    return faults


def variable_faults(variable: dict):
    """"All" must match series without the label: a scrape outside Kubernetes gives no namespace. All jobs are those that are listed: other
    programs have metrics of OpenTelemetry's names too, and every scrape has a job."""
    every = None if variable["name"] == "job" else ".*"
    before = ",".join(f'{it}=~"${it}"' for it in CHOSEN[: CHOSEN.index(variable["name"])])
    asked = f"label_values(latchkey_build_info{before and f'{{{before}}}'}, {variable['name']})"
    if variable["query"]["query"] != asked or variable["definition"] != asked:
        yield f"is not {asked}"
    if not (variable["multi"] and variable["includeAll"]) or variable.get("allValue") != every or variable["current"]["value"] != "$__all":
        yield "is not any number of values, at first all"
    if variable["refresh"] != 2 or variable["datasource"] != SOURCE:
        yield "is not asked for anew with the time range, or elsewhere"


def panel_faults(panel: dict):
    if not panel.get("description", "").endswith("."):
        yield "no description"
    if not panel["fieldConfig"]["defaults"].get("unit"):
        yield "no unit"
    if panel.get("datasource") != SOURCE or any(it.get("datasource") != SOURCE for it in panel["targets"]):
        yield "another datasource than the variable"
    if not panel["targets"] or len({it["refId"] for it in panel["targets"]}) != len(panel["targets"]):
        yield "no targets, or one refId twice"
    for target in panel["targets"]:
        yield from (f"{it} asks for every installation" for it in expressions.unbound(target["expr"]))


def alert_faults(rule: dict, pages: Path) -> list[str]:
    """What an alert lacks, or leads to."""
    notes, faults = rule.get("annotations", {}), []
    if rule.get("labels", {}).get("severity") not in ("page", "ticket"):
        faults.append("severity is neither page nor ticket")
    if not notes.get("summary") or not notes.get("description"):
        faults.append("summary or description is missing")
    if "absent(" not in rule["expr"] and "$value" not in notes.get("description", ""):
        faults.append("the description does not hold the value")
    page = f"{rule['alert']}.md"
    if not notes.get("runbook_url", "").endswith(f"/docs/runbooks/{page}") or not (pages / page).is_file():
        faults.append("runbook_url leads to no page")
    elif f"({page})" not in (pages / "README.md").read_text():
        faults.append("its page is not in the runbooks' index")
    return faults


def commands(root: Path) -> set[str]:
    """Every command of the command line: `users list`, …"""
    return set(re.findall(r"^## `latchkey ([^`]+)`$", (root / "docs/cli.md").read_text(), re.MULTILINE))


def log_lines(root: Path) -> str:
    """The source, in which each log line that a page names must stand word for word."""
    source = "\n".join(path.read_text() for path in sorted((root / "src").rglob("*.rs")))
    return re.sub(r"\\\n\s*", "", source)


def page_faults(page: Path, panels: set[str], known: set[str], source: str) -> list[str]:
    """Panels, commands and log lines that a runbook names and that are not there."""
    text = page.read_text()
    faults = [f"no panel {name}" for name in re.findall(r"`(\w+ › [^`]+)`", text) if name not in panels]
    for words in re.findall(r"(?:^|`)latchkey ([a-z-]+(?: [a-z-]+)?)", text, re.MULTILINE):
        if words not in known and words.split()[0] not in known:
            faults.append(f"no command latchkey {words}")
    faults += [f"no log line {line!r}" for line in re.findall(r"^\| log: `([^`]+)`", text, re.MULTILINE) if line not in source]
    return faults
