"""A small parser for PromQL. It finds the metrics in an expression, the matchers of these metrics,
and the vectors that an alert compares."""

import re

WORDS = set(
    "and or unless by without on ignoring group_left group_right bool offset sum min max avg count rate increase irate "
    "clamp_min clamp_max absent vector histogram_quantile last_over_time max_over_time min_over_time avg_over_time inf nan".split()
)
TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
LABELS = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
SPLIT = re.compile(r"\s(and|or|unless)\s(?:on \([^)]*\)\s)?|\s(>=|<=|==|!=|>|<)\s")
# A name, a set of matchers, or both. The first alternatives skip texts that can contain neither a
# name nor matchers.
SELECTOR = re.compile(
    rf"{TEXT.pattern}|\[[^\]]*\]|{LABELS.pattern}|(?<![\w.])([A-Za-z_:][\w:]*)?(?:\s*(\{{(?:{TEXT.pattern}|[^}}\"])*\}}))?"
)

# The two scrape jobs of the tests: a plain scrape, and the scrape of a pod.
PLAIN, POD = "latchkey", "latchkey-pods"
# The values that Grafana would insert for its variables. `.*` stands for "All". For jobs, Grafana
# inserts the list of jobs instead.
VARIABLES = {"__rate_interval": "1m", "__interval": "15s", "__range": "1h", "namespace": ".*", "job": f"({PLAIN}|{POD})", "instance": ".*"}
# The matchers that choose an installation. Two installations in one Prometheus differ in at least
# one of these labels.
INSTALLATION = {'namespace=~"$namespace"', 'job=~"$job"'}


def plain(expression: str, **chosen: str) -> str:
    """Returns an expression of a dashboard with values in place of its variables."""
    for name, value in (VARIABLES | chosen).items():
        expression = expression.replace(f"${name}", value)
    return expression


def unbound(expression: str) -> list[str]:
    """Returns the selectors in a dashboard's expression that also select other installations than
    the chosen one."""
    found = [("" if name in WORDS else name, matchers) for name, matchers in SELECTOR.findall(expression)]
    return [name + matchers for name, matchers in found
            if name + matchers and not INSTALLATION <= set(re.findall(r'\w+=~"[^"]*"', matchers))]


def metrics(expression: str) -> set[str]:
    """Returns the names of the metrics in an expression."""
    bare = TEXT.sub("", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", bare)
    bare = LABELS.sub("", bare)
    bare = re.sub(r"\b\d[\w.+-]*", "", bare)
    return {name for name in re.findall(r"[A-Za-z_:][\w:]*", bare)} - WORDS


def vectors(expression: str) -> list[str]:
    """Returns the vectors that must exist before an alert can fire. These are the parts of the
    expression between comparisons and set operators, without the thresholds. For `absent(x)` the
    vector is `x`."""
    parts, depth, begin, at = [], 0, 0, 0
    while at < len(expression):
        depth += {"(": 1, "{": 1, "[": 1, ")": -1, "}": -1, "]": -1}.get(expression[at], 0)
        if depth == 0 and (found := SPLIT.match(expression, at)):
            parts.append(expression[begin:at])
            begin = at = found.end()
            continue
        at += 1
    parts.append(expression[begin:])
    absent = re.compile(r"absent\((.*)\)")
    inner = [found[1] if (found := absent.fullmatch(part.strip())) else part.strip() for part in parts]
    return [part for part in inner if metrics(part)]
