"""Records what an operator sees during an incident: alerts, panels, log lines and `/readyz`."""

import json
import re
import threading
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

import expressions
from stage import Prometheus, get

# The interval between two points of a panel, in seconds.
STEP = 15


class Alerts(threading.Thread):
    """Records when each alert of each job became pending, fired, and stopped."""

    def __init__(self, prometheus: Prometheus):
        super().__init__(daemon=True)
        self.prometheus, self.ended = prometheus, threading.Event()
        # For each (job, alert, severity), a list of (time, state).
        self.seen: dict[tuple[str, str, str], list[tuple[float, str]]] = {}

    def run(self):
        while not self.ended.wait(1):
            now, present = time.time(), {}
            for alert in self.prometheus.ask("alerts").get("alerts", []):
                labels = alert["labels"]
                key = (labels.get("job", ""), labels["alertname"], labels["severity"])
                if present.get(key) != "firing":
                    present[key] = alert["state"]
            for key in present.keys() | self.seen.keys():
                states = self.seen.setdefault(key, [])
                if (states[-1][1] if states else "gone") != (state := present.get(key, "gone")):
                    states.append((now, state))

    def fires(self, job: str, alert: str, severity: str) -> bool:
        states = self.seen.get((job, alert, severity), [])
        return bool(states) and states[-1][1] == "firing"

    def fired(self, job: str, alert: str, severity: str) -> bool:
        return any(state == "firing" for _, state in self.seen.get((job, alert, severity), []))

    def report(self, job: str, begin: float, end: float) -> dict:
        """Returns, for each alert, how many seconds after the start of the fault it became pending
        and fired, and how many seconds after the end of the fault it stopped."""
        result = {}
        for (of, alert, severity), states in sorted(self.seen.items()):
            if of != job:
                continue
            first = {state: moment for moment, state in reversed(states)}
            gone = next((moment for moment, state in reversed(states) if state == "gone" and moment > end), None)
            result[f"{alert} ({severity})"] = {
                "pending": round(first["pending"] - begin) if "pending" in first else None,
                "firing": round(first["firing"] - begin) if "firing" in first else None,
                "gone after the end": round(gone - end) if gone and states[-1][1] == "gone" else None,
            }
        return result


class Ready(threading.Thread):
    """Records each response of `/readyz` that differs from the response before it."""

    def __init__(self, admin: int):
        super().__init__(daemon=True)
        self.url, self.ended = f"http://127.0.0.1:{admin}/readyz", threading.Event()
        self.seen: list[tuple[float, str]] = []

    def run(self):
        while not self.ended.wait(0.5):
            status, body = get(self.url)
            state = f"{status} {body.decode().strip()}"
            if not self.seen or self.seen[-1][1] != state:
                self.seen.append((time.time(), state))

    def report(self, begin: float, end: float) -> list[str]:
        return [f"{moment - begin:+.0f} s: {state}" for moment, state in self.seen
                if moment >= begin - 1] or [self.seen[-1][1]]

    def recovered(self, end: float) -> float | None:
        """Returns how many seconds after the end of the fault `/readyz` changed to `ok` for good.
        Returns None if the last response is not `ok`."""
        moment, state = self.seen[-1]
        return round(max(0, moment - end), 1) if '"ok"' in state else None


def moment_of(line: dict) -> float:
    return datetime.fromisoformat(line["timestamp"].replace("Z", "+00:00")).timestamp()


def log_lines(log: Path, begin: float, end: float) -> list[dict]:
    """Returns the different log lines of level WARN and ERROR that a daemon wrote between two
    times. Each line has its count and the time of its first appearance."""
    lines = []
    for text in log.read_text(errors="replace").splitlines():
        try:
            line = json.loads(text)
            moment = moment_of(line)
        except (ValueError, KeyError):
            continue
        if begin <= moment <= end and line.get("level") in ("WARN", "ERROR"):
            lines.append((moment, line))
    found: dict[tuple, dict] = {}
    for moment, line in lines:
        code = line.get("code", line.get("outcome", line.get("pool", "")))
        entry = found.setdefault((line["message"], code), {
            "level": line["level"], "message": line["message"], "code": code, "count": 0,
            "first": round(moment - begin, 1), "reasons": Counter(),
        })
        entry["count"] += 1
        entry["reasons"][str(line.get("reason") or line.get("error") or "")[:160]] += 1
    entries = sorted(found.values(), key=lambda it: -it["count"])
    for entry in entries:
        entry["reasons"] = dict(entry["reasons"].most_common(3))
    return entries


class Panels:
    """Queries the panels of the dashboards as Grafana does."""

    def __init__(self, prometheus: Prometheus, boards: dict[str, dict]):
        self.prometheus = prometheus
        self.known = {f"{name} › {panel['title']}": panel.get("targets", [])
                      for name, board in boards.items() for panel in board["panels"]}

    def report(self, job: str, panel: str, begin: float, fault: float, end: float, close: float) -> dict:
        """Returns four values of each series: the value just before the fault, the highest and the
        lowest value during the fault, and the last value."""
        result = {}
        for target in self.known[panel]:
            query = expressions.plain(target["expr"], job=job)
            data = self.prometheus.ask("query_range", query=query, start=f"{begin:.0f}", end=f"{close:.0f}", step=str(STEP))
            for series in data.get("result", []):
                points = [(float(at), float(value)) for at, value in series["values"] if value not in ("NaN", "+Inf")]
                inside = [value for at, value in points if fault <= at <= end + STEP]
                before = [value for at, value in points if at < fault]
                if not points or not any(value for _, value in points):
                    continue
                name = target.get("legendFormat") or target["refId"]
                name = re.sub(r"\{\{(\w+)\}\}", lambda label: series["metric"].get(label[1], ""), name)
                result[name.strip()] = {
                    "before": before and shown(before[-1]), "highest": inside and shown(max(inside)),
                    "lowest": inside and shown(min(inside)), "last": shown(points[-1][1]),
                }
        return result


def shown(value: float) -> float:
    return float(f"{value:.3g}")
