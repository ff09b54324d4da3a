"""Checks that need no daemon. They check the form of the Grafana dashboards, and the names in the
runbooks."""

import re
from pathlib import Path

import expressions

# The variables in their order. The query of each variable depends on the variables before it.
CHOSEN = ["namespace", "job", "instance"]
VARIABLES = ["datasource", *CHOSEN]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def dashboard_faults(board: dict) -> list[str]:
    """Returns the faults of a dashboard."""
    faults = []
    if board.get("schemaVersion", 0) < 36:
        faults.append("schemaVersion is older than Grafana 10's")
    if not (board.get("uid", "").startswith("latchkey-") and board.get("title") and board.get("description")):
        faults.append("uid, title or description is missing")
    if [it["name"] for it in board["templating"]["list"]] != VARIABLES:
        faults.append(f"the variables are not {VARIABLES}")
    faults += [f"${it['name']} {fault}" for it in board["templating"]["list"] if it["name"] in CHOSEN for fault in variable_faults(it)]
    if not board["links"] or not all(it["includeVars"] and it["keepTime"] for it in board["links"]):
        faults.append("no link to the other dashboards, or a link that does not keep the variables and the time range")
    ids = [panel["id"] for panel in board["panels"]]
    titles = [panel["title"] for panel in board["panels"]]
    faults += [f"id {it} is used twice" for it in sorted(set(ids)) if ids.count(it) > 1]
    faults += [f"title {it!r} is used twice" for it in sorted(set(titles)) if titles.count(it) > 1]
    seen: dict[tuple[int, int], str] = {}
    for panel in board["panels"]:
        place = panel["gridPos"]
        if place["x"] + place["w"] > 24:
            faults.append(f"{panel['title']}: wider than the dashboard")
        for cell in ((x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])):
            if cell in seen:
                faults.append(f"{panel['title']} overlaps {seen[cell]}")
                break
            seen[cell] = panel["title"]
        if panel["type"] != "row":
            faults += [f"{panel['title']}: {fault}" for fault in panel_faults(panel)]
    return faults


def variable_faults(variable: dict):
    """Yields the faults of a variable.

    If the operator chooses "All", series without the label must also match, because a scrape
    outside Kubernetes has no namespace. For `job`, "All" is the list of jobs. The reasons are that
    other programs also use the metric names of OpenTelemetry, and that every scrape has a job.
    """
    every = None if variable["name"] == "job" else ".*"
    before = ",".join(f'{it}=~"${it}"' for it in CHOSEN[: CHOSEN.index(variable["name"])])
    asked = f"label_values(latchkey_build_info{before and f'{{{before}}}'}, {variable['name']})"
    if variable["query"]["query"] != asked or variable["definition"] != asked:
        yield f"is not {asked}"
    if not (variable["multi"] and variable["includeAll"]) or variable.get("allValue") != every or variable["current"]["value"] != "$__all":
        yield "does not allow several values, or does not start with all"
    if variable["refresh"] != 2 or variable["datasource"] != SOURCE:
        yield "is not refreshed with the time range, or has another datasource"


def panel_faults(panel: dict):
    if not panel.get("description", "").endswith("."):
        yield "no description"
    if not panel["fieldConfig"]["defaults"].get("unit"):
        yield "no unit"
    if panel.get("datasource") != SOURCE or any(it.get("datasource") != SOURCE for it in panel["targets"]):
        yield "the datasource is not the variable"
    if not panel["targets"] or len({it["refId"] for it in panel["targets"]}) != len(panel["targets"]):
        yield "no targets, or one refId twice"
    for target in panel["targets"]:
        yield from (f"{it} selects every installation" for it in expressions.unbound(target["expr"]))


def alert_faults(rule: dict, pages: Path) -> list[str]:
    """Returns the parts that an alert lacks, and its links that lead nowhere."""
    notes, faults = rule.get("annotations", {}), []
    if rule.get("labels", {}).get("severity") not in ("page", "ticket"):
        faults.append("severity is neither page nor ticket")
    if not notes.get("summary") or not notes.get("description"):
        faults.append("summary or description is missing")
    if "absent(" not in rule["expr"] and "$value" not in notes.get("description", ""):
        faults.append("the description does not contain the value")
    page = f"{rule['alert']}.md"
    if not notes.get("runbook_url", "").endswith(f"/docs/runbooks/{page}") or not (pages / page).is_file():
        faults.append("runbook_url does not lead to a page")
    elif f"({page})" not in (pages / "README.md").read_text():
        faults.append("its page is not in the index of the runbooks")
    return faults


def commands(root: Path) -> set[str]:
    """Returns every command of the command line: `users list`, …"""
    return set(re.findall(r"^## `latchkey ([^`]+)`$", (root / "docs/cli.md").read_text(), re.MULTILINE))


def log_lines(root: Path) -> str:
    """Returns the source code. It must contain each log line that a page quotes, word for word."""
    source = "\n".join(path.read_text() for path in sorted((root / "src").rglob("*.rs")))
    return re.sub(r"\\\n\s*", "", source)


def page_faults(page: Path, panels: set[str], known: set[str], source: str) -> list[str]:
    """Returns the panels, commands and log lines that a runbook names and that do not exist."""
    text = page.read_text()
    faults = [f"no panel {name}" for name in re.findall(r"`(\w+ › [^`]+)`", text) if name not in panels]
    # In a paragraph, only what is between backticks is a command. A line can begin with the word.
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    named = [found for block in blocks for found in re.findall(r"^latchkey ([a-z-]+(?: [a-z-]+)?)", block, re.MULTILINE)]
    for words in named + re.findall(r"`latchkey ([a-z-]+(?: [a-z-]+)?)", text):
        if words not in known and words.split()[0] not in known:
            faults.append(f"no command latchkey {words}")
    faults += [f"no log line {line!r}" for line in re.findall(r"^\| log: `([^`]+)`", text, re.MULTILINE) if line not in source]
    return faults
