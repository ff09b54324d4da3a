"""What others say of the objects: Kubernetes' own schemas, and checkov's rules."""

import json
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import yaml

# The oldest Kubernetes of Chart.yaml, one between, and the newest that is known.
VERSIONS = ["1.27", "1.31", "1.37"]
# Kinds that Kubernetes itself does not have.
CUSTOM = {"BackendTLSPolicy", "HTTPRoute", "ScaledObject", "ServiceMonitor", "PrometheusRule"}
# Rules of checkov that are not followed, and why.
SKIPPED = {
    "CKV_K8S_11": "a CPU limit would throttle hashes at the moment they are asked for; the request is there",
    "CKV_K8S_15": "releases' tags do not move: pulling always makes the registry a dependency of every start",
    "CKV_K8S_43": "the tag is the chart's appVersion, a release; whoever wants a digest gives image.digest",
    "CKV2_K8S_6": "the test pod listens nowhere and lives for seconds; every other pod's policy is checked here",
    "CKV_K8S_8": "probes are of the daemon alone; a Job and a test pod end by themselves",
    "CKV_K8S_9": "as CKV_K8S_8",
}


def schemas(objects):
    checked = 0
    for made in objects:
        if made["kind"] in CUSTOM:
            continue
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(made, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                path = "/".join(str(part) for part in error.path)
                raise AssertionError(f"{made['kind']} {made['metadata']['name']}, {version}: {path}: {error.message}") from None
            checked += 1
    assert checked >= 4 * len(VERSIONS)


def checkov(rendered, work: Path):
    """All values at once: it starts slowly."""
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
