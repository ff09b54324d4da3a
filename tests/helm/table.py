"""Creates the table of values in the chart's README from values.yaml and its comments (`# -- …`
above a key)."""

import json
import re

import yaml

KEY = re.compile(r"^( *)([A-Za-z0-9_.]+):(.*)$")
BEGIN = "<!-- values -->"
END = "<!-- /values -->"


def comments(text):
    """Returns the comment above each key. The path of the key is the key of the result."""
    path, words, found = [], [], {}
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            words.append(stripped.lstrip("# ").removeprefix("-- "))
            continue
        key = KEY.match(line)
        if not key:
            words = []
            continue
        depth = len(key[1]) // 2
        path = [*path[:depth], key[2]]
        if words:
            found[tuple(path)] = " ".join(words)
        words = []
    return found


def leaves(value, path=()):
    """Yields the path and the value of each entry that is an empty map or not a map."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    else:
        yield path, value


def table(text):
    """Returns every value with its default and its meaning. The comment of a map is in the row of
    the map's first value."""
    about = comments(text)
    lines = ["| value | default | what it means |", "|---|---|---|"]
    for path, value in leaves(yaml.safe_load(text)):
        prefixes = [path[:end] for end in range(1, len(path) + 1)]
        words = " ".join(about.pop(prefix) for prefix in prefixes if prefix in about)
        name = ".".join(key.replace(".", "\\.") for key in path)
        lines.append(f"| `{name}` | `{json.dumps(value, ensure_ascii=False)}` | {words.replace('|', chr(92) + '|')} |")
    return "\n".join(lines)


def with_table(readme, text):
    """Returns the text of the README with a new table."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table(text)}\n\n{END}{after}"
