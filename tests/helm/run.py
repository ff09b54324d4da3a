"""Renders the chart with the real Helm engine and checks the objects. `scripts/lib/helm` starts
this program.

    run.py LATCHKEY [-k PATTERN]     the checks
    run.py LATCHKEY --update         writes values.schema.json and the table in the chart's README
"""

import argparse
import copy
import json
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import yaml

import checks
import daemon
import flows
import outside
from bad import BAD, MISSING
from cluster import Cluster
from helm import Helm
from schema import values_schema
from spoilt import schemas_find_faults
from table import leaves, with_table

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm/latchkey"
CI = sorted((CHART / "ci").glob("*-values.yaml"))


def read(path):
    return yaml.safe_load(path.read_text())


def merged(old, new):
    """Merges values as Helm does. A null is kept, because Helm must see it."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return copy.deepcopy(new)
    both = {key: copy.deepcopy(value) for key, value in old.items()}
    for key, value in new.items():
        if value is MISSING:
            both.pop(key)
        else:
            both[key] = merged(both.get(key), value)
    return both


def made_files(latchkey):
    """Returns the generated files, each with the content that it must have."""
    config = json.loads(subprocess.run([latchkey, "config", "schema"], capture_output=True, check=True, text=True).stdout)
    readme = CHART / "README.md"
    return {
        CHART / "values.schema.json": json.dumps(values_schema(config), indent=1, ensure_ascii=False) + "\n",
        readme: with_table(readme.read_text(), (CHART / "values.yaml").read_text()),
    }


def made_files_are_current(latchkey):
    for path, text in made_files(latchkey).items():
        assert path.read_text() == text, f"{path.relative_to(ROOT)} is old: scripts/lib/helm --update"


def version_is_the_daemons():
    cargo = (ROOT / "Cargo.toml").read_text()
    chart = read(CHART / "Chart.yaml")
    version = cargo.partition('\nversion = "')[2].partition('"')[0]
    assert chart["appVersion"] == version, f"{chart['appVersion']} against {version}"
    assert chart["annotations"]["artifacthub.io/license"] in cargo


def every_value_is_used():
    """Checks that the templates read every value."""
    templates = "\n".join(path.read_text() for path in (CHART / "templates").rglob("*.*"))
    for path, _ in leaves(read(CHART / "values.yaml")):
        if path[0] == "config" or path[:2] == ("secrets", "keys") or path[:2] == ("dashboards", "labels"):
            continue
        whole = f"toYaml .Values.{path[0]}" in templates
        assert whole or f".{path[-1]}" in templates, f"{'.'.join(path)} is read nowhere"


def lint(helm, values):
    """Lints the chart with these values as its default values, because Helm's linter accepts no
    other values."""
    with tempfile.TemporaryDirectory() as work:
        chart = Path(work) / "latchkey"
        shutil.copytree(CHART, chart)
        (chart / "values.yaml").write_text(yaml.safe_dump(merged(read(CHART / "values.yaml"), values)))
        told = helm.lint(chart)
    faults = [message for message in told.get("messages") or [] if "icon is recommended" not in json.dumps(message)]
    assert not faults and not told.get("errors"), told


def refuses(helm, change, words):
    told = helm.refusal(merged(read(CHART / "ci/default-values.yaml"), change))
    assert words in told, f"told: {told or 'nothing: it was taken'}"


def refuses_secrets_in_config(helm, latchkey):
    """Checks every setting that the daemon's own reference marks as a secret."""
    secrets = daemon.secret_settings(ROOT)
    listed = (CHART / "templates/_checks.tpl").read_text()
    for setting in secrets:
        assert setting in listed, f"_checks.tpl does not know {setting}"
        section, _, key = setting.partition(".")
        value = [daemon.dummy(setting)] if setting in daemon.LISTS else daemon.dummy(setting)
        refuses(helm, {"config": {section: {key: value}}}, f"config.{setting} is a secret and would be in a ConfigMap")


def tests(latchkey, helm, work):
    """Yields the names and the functions of the checks."""
    yield "made files are current", lambda: made_files_are_current(latchkey)
    yield "the version is the daemon's", version_is_the_daemons
    yield "every value is used", every_value_is_used
    rendered = {}
    for path in CI:
        name = path.name.removesuffix("-values.yaml")
        values = read(path)
        yield f"{name}: lint", lambda values=values: lint(helm, values)

        def render(name=name, values=values):
            rendered[name] = helm.render(values)
            assert len(rendered[name]) > 4

        yield f"{name}: renders", render
        for check in checks.EVERYWHERE:
            yield f"{name}: {check.__name__.replace('_', ' ')}", lambda check=check, name=name: check(rendered[name])
        yield f"{name}: schemas, strict", lambda name=name: outside.schemas(rendered[name])
        yield f"{name}: the daemon takes its settings", (
            lambda name=name: daemon.takes(latchkey, rendered[name], work / name)
        )
    yield "schemas find faults", lambda: schemas_find_faults(rendered)
    yield "checkov", lambda: outside.checkov(rendered, work / "checkov")
    for name, check in flows.expectations(helm, rendered, CHART):
        yield name, check
    for name, (change, words) in BAD.items():
        yield f"refuses {name}", lambda change=change, words=words: refuses(helm, change, words)
    yield "refuses secrets in config", lambda: refuses_secrets_in_config(helm, latchkey)


def run_all(chosen):
    failed = passed = 0
    for name, test in chosen:
        began = time.monotonic()
        try:
            test()
        except Exception as error:  # a failed check must not hide the results of other checks
            failed += 1
            where = traceback.extract_tb(error.__traceback__)[-1]
            print(f"test {name} ... FAILED", flush=True)
            print(f"    {Path(where.filename).name}:{where.lineno} {type(error).__name__}: {error}", flush=True)
        else:
            passed += 1
            print(f"test {name} ... ok ({time.monotonic() - began:.1f} s)", flush=True)
    word = "FAILED" if failed or not passed else "ok"
    print(f"\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored", flush=True)
    return 1 if failed or not passed else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("latchkey")
    parser.add_argument("-k", default="")
    parser.add_argument("--update", action="store_true")
    asked = parser.parse_args()
    if asked.update:
        for path, text in made_files(asked.latchkey).items():
            path.write_text(text)
        return 0
    with tempfile.TemporaryDirectory() as work:
        cluster = Cluster(Path(work))
        helm = Helm(cluster, CHART)
        # Other checks need the rendered objects, so the checks that render always run.
        chosen = [(name, test) for name, test in tests(asked.latchkey, helm, Path(work))
                  if asked.k in name or name.endswith(": renders")]
        code = run_all(chosen)
        cluster.close()
    return code


if __name__ == "__main__":
    sys.exit(main())
