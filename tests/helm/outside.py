"""Checks of the objects with rules from outside this project: the schemas of Kubernetes and of
custom resources, and checkov."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml

from custom import SPECS
from schema import fields

# The versions of Kubernetes for the checks: the oldest version that Chart.yaml allows, a version
# between, and the newest known version.
VERSIONS = ["1.27", "1.31", "1.37"]
# Rules of checkov that the chart does not follow, each with the reason.
SKIPPED = {
    "CKV_K8S_11": "a CPU limit would slow down hashes while clients wait for them; a CPU request is set",
    "CKV_K8S_15": "the tags of releases do not move, and with `Always` every start would need the registry",
    "CKV_K8S_43": "the tag is the chart's appVersion, a release; to pin a digest, set image.digest",
    "CKV2_K8S_6": "the test pod has no listener and runs for seconds; the policies of all other pods are checked here",
    "CKV_K8S_8": "only the daemon needs probes; a Job and a test pod end by themselves",
    "CKV_K8S_9": "as CKV_K8S_8",
}


def custom(made, version):
    """Checks an object as the API server does. The metadata are checked like those of every object.
    The rest is checked with the schema of the resource."""
    named = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": made["metadata"]}
    kubernetes_validate.validate(named, version, strict=True)
    rest = {key: value for key, value in made.items() if key not in ("apiVersion", "kind", "metadata")}
    schema = fields(["spec"], spec=SPECS[made["apiVersion"], made["kind"]])
    fault = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(rest))
    if fault:
        raise fault


def schema_of(made, version):
    """Raises an error if an object has a fault, or if the schema of its kind is not known."""
    try:
        if (made["apiVersion"], made["kind"]) in SPECS:
            custom(made, version)
        else:
            kubernetes_validate.validate(made, version, strict=True)
    except jsonschema.ValidationError as error:
        path = "/".join(str(part) for part in error.absolute_path)
        raise AssertionError(f"{made['kind']} {made['metadata']['name']}, {version}: {path}: {error.message}") from None
    except kubernetes_validate.SchemaNotFoundError as error:
        raise AssertionError(error.message) from None


def schemas(objects):
    for made in objects:
        for version in VERSIONS:
            schema_of(made, version)
    assert len(objects) >= 4


def checkov(rendered, work: Path):
    """Runs checkov once on the objects of all values, because the start of checkov is slow."""
    work.mkdir()
    for name, objects in rendered.items():
        (work / f"{name}.yaml").write_text(yaml.safe_dump_all(objects))
    run = [str(Path(sys.executable).parent / "checkov"), "--directory", str(work), "--framework", "kubernetes",
           "--skip-download", "--compact", "--quiet", "--output", "json", "--skip-check", ",".join(SKIPPED)]
    told = subprocess.run(run, capture_output=True, text=True, check=False, timeout=120)
    assert told.stdout.strip(), told.stderr
    report = json.loads(told.stdout)
    summary = report["summary"]
    assert summary["passed"] > 100 * len(rendered) / 2, f"checkov looked at little: {summary}"
    faults = {f"{fault['check_id']} {fault['check_name']} ({fault['resource']}, {Path(fault['file_path']).name})"
              for fault in report["results"]["failed_checks"]}
    assert not faults and not summary["parsing_errors"], "; ".join(sorted(faults))
