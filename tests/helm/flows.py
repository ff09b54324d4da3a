"""Tests of single values and of an upgrade. Other tests put faults into the chart, which the checks
must find."""

import copy
import json
import shutil
import tempfile
from pathlib import Path

import yaml

import checks
import outside

NEEDED = {"config": {"public_url": "https://auth.example.com"}, "secrets": {"existingSecret": "latchkey"}}


def kinds(objects):
    return {made["kind"] for made in objects}


def ports_out(objects):
    rules = checks.only(objects, "NetworkPolicy", "latchkey")["spec"]["egress"]
    return {port["port"] for rule in rules for port in rule["ports"]}


def the_usual(rendered):
    objects = rendered["default"]
    assert kinds(objects) == {
        "ConfigMap", "Deployment", "Service", "ServiceAccount", "PodDisruptionBudget", "NetworkPolicy", "Pod",
    }
    deployment = checks.only(objects, "Deployment")["spec"]
    assert deployment["replicas"] == 2 and deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    pod = deployment["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == 45
    assert {spread["topologyKey"] for spread in pod["topologySpreadConstraints"]} == {
        "kubernetes.io/hostname", "topology.kubernetes.io/zone",
    }
    assert pod["initContainers"][0]["args"][-2:] == ["migrate", "up"]
    config = checks.config_of(objects)
    assert config["profile"] == "production" and config["rate_limit"]["replicas"] == 2
    assert ports_out(objects) == {53, 5432, 6379, 465, 587}


def the_small(rendered):
    objects = rendered["minimal"]
    assert not kinds(objects) & {"PodDisruptionBudget", "NetworkPolicy"}
    deployment = checks.only(objects, "Deployment")["spec"]
    assert deployment["strategy"] == {"type": "Recreate"} and deployment["replicas"] == 1
    assert checks.config_of(objects)["data_dir"] == "/var/lib/latchkey"
    mounts = deployment["template"]["spec"]["containers"][0]["volumeMounts"]
    assert [mount["mountPath"] for mount in mounts if mount["name"] == "data"] == ["/var/lib/latchkey"]


def the_scaled(rendered):
    objects = rendered["ha"]
    assert "replicas" not in checks.only(objects, "Deployment")["spec"], "an upgrade would undo the autoscaler"
    scaler = checks.only(objects, "HorizontalPodAutoscaler")["spec"]
    assert scaler["metrics"][1]["pods"]["metric"]["name"] == "latchkey_pool_queue_depth"
    job = checks.only(objects, "Job")
    assert "helm.sh/hook" not in job["metadata"]["annotations"]
    assert "initContainers" not in checks.pod_of(checks.only(objects, "Deployment"))[1]
    assert checks.config_of(objects)["rate_limit"]["replicas"] == 12
    other = checks.only(rendered["gateway"], "ScaledObject")["spec"]
    assert [trigger["type"] for trigger in other["triggers"]] == ["cpu", "prometheus"]
    assert "replicas" not in checks.only(rendered["gateway"], "Deployment")["spec"]


def ways_in(rendered):
    rule = checks.only(rendered["production"], "Ingress")["spec"]["rules"][0]
    assert rule["host"] == "auth.example.com"
    assert rule["http"]["paths"][0]["backend"]["service"] == {"name": "latchkey", "port": {"name": "http"}}
    route = checks.only(rendered["gateway"], "HTTPRoute")["spec"]
    assert route["hostnames"] == ["auth.example.com"]
    assert route["rules"][0]["backendRefs"] == [{"name": "latchkey", "port": 8080}]
    policy = checks.only(rendered["gateway"], "BackendTLSPolicy")["spec"]
    assert policy["targetRefs"] == [{"group": "", "kind": "Service", "name": "latchkey"}]
    assert policy["validation"] == {
        "hostname": "latchkey.auth.svc",
        "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "internal-ca"}],
    }
    assert "BackendTLSPolicy" not in kinds(rendered["production"])
    query = checks.only(rendered["gateway"], "ScaledObject")["spec"]["triggers"][1]["metadata"]["query"]
    assert 'pod=~"latchkey-[0-9a-z]+-[0-9a-z]+"' in query, "another release's queue is not ours"
    assert 443 in ports_out(rendered["gateway"]) and 443 in ports_out(rendered["production"])
    assert checks.config_of(rendered["gateway"])["http"]["tls"]["cert"] == "/etc/latchkey/tls/tls.crt"


def other_ways_in(helm, values):
    """Tests values that are not in ci/: the Gateway's own certificate authorities, other hosts, a
    host in capital letters, and a parent reference with all its fields."""
    values = copy.deepcopy(values)
    values["config"]["public_url"] = "https://Auth.Example.com"
    values["httpRoute"]["backendTLS"] = {}
    objects = helm.render(values)
    outside.schemas(objects)
    assert checks.only(objects, "HTTPRoute")["spec"]["hostnames"] == ["auth.example.com"]
    assert checks.only(objects, "BackendTLSPolicy")["spec"]["validation"] == {
        "hostname": "auth.example.com", "wellKnownCACertificates": "System",
    }
    values["httpRoute"] |= {
        "annotations": {"a": "b"}, "hostnames": ["a.example.com", "b.example.com"], "filters": [],
        "parentRefs": [{"name": "a", "group": "", "kind": "Service", "port": 443}],
    }
    values["keda"] = {"enabled": True, "triggers": [{"type": "cron", "metadata": {"desiredReplicas": "3"}}]}
    outside.schemas(helm.render(values))
    # The pod itself serves TLS. Because of these annotations, Traefik and GKE send it TLS.
    values |= {"httpRoute": {"enabled": False}, "ingress": {"enabled": True}, "tls": {"existingSecret": "pod-tls"}}
    for annotations in ({"traefik.ingress.kubernetes.io/service.serversscheme": "https"}, {"cloud.google.com/app-protocols": '{"http":"HTTPS"}'}):
        values["service"] = {"annotations": annotations}
        outside.schemas(helm.render(values))


def other_secrets(rendered):
    pod = checks.pod_of(checks.only(rendered["production"], "Deployment"))[1]
    projected = next(volume for volume in pod["volumes"] if volume["name"] == "daemon-secrets")["projected"]["sources"]
    where = {source["secret"]["items"][0]["path"]: source["secret"]["name"] for source in projected}
    assert where["database.url"] == "latchkey-db-app" and where["redis.url"] == "latchkey"
    # The container that migrates gets the URL of the owner, and no other secret.
    migrate, daemon = ([variable["name"] for variable in container["env"]] for container in (pod["initContainers"][0], pod["containers"][0]))
    assert [name for name in migrate if name.startswith("LATCHKEY_")] == ["LATCHKEY_DATABASE__MIGRATE_URL_FILE"], migrate
    assert "LATCHKEY_DATABASE__URL_FILE" in daemon and "LATCHKEY_DATABASE__MIGRATE_URL_FILE" not in daemon, daemon
    image = pod["containers"][0]["image"]
    assert image == f"ghcr.io/latchkey/latchkey@sha256:{'0' * 64}", image


def the_watched(rendered):
    objects = rendered["monitoring"]
    monitor = checks.only(objects, "ServiceMonitor")["spec"]
    admin = checks.only(objects, "Service", "latchkey-admin")
    assert monitor["selector"]["matchLabels"].items() <= admin["metadata"]["labels"].items()
    assert not monitor["selector"]["matchLabels"].items() <= checks.only(objects, "Service", "latchkey")["metadata"]["labels"].items()
    assert monitor["endpoints"][0]["port"] == admin["spec"]["ports"][0]["name"]
    assert monitor["endpoints"][0]["relabelings"] == [{"targetLabel": "job", "replacement": checks.only(objects, "Deployment")["metadata"]["name"]}]
    assert 4317 in ports_out(rendered["ha"]) and 4317 not in ports_out(rendered["default"]), "by a variable"
    assert 4318 in ports_out(objects) and 4317 not in ports_out(objects)


def rules_and_dashboards(helm, chart, values):
    """Checks that the objects contain each file word for word, that a missing file is no error, and
    that templates in the texts of alerts are not rendered."""
    with tempfile.TemporaryDirectory() as work:
        copied = Path(work) / "latchkey"
        shutil.copytree(chart, copied)
        for folder in ("rules", "dashboards"):
            shutil.rmtree(copied / folder, ignore_errors=True)
        without = kinds(helm.render(values, chart=copied))
        assert "PrometheusRule" not in without and "ServiceMonitor" in without
        (copied / "rules").mkdir()
        (copied / "dashboards").mkdir()
        alert = {"alert": "A", "expr": "up == 0", "annotations": {"summary": "{{ $labels.pod }} is {{ $value }}"}}
        groups = {"groups": [{"name": "a", "rules": [alert]}]}
        (copied / "rules/some.yaml").write_text(yaml.safe_dump(groups))
        board = json.dumps({"title": "A", "legend": "{{route}}"}, indent=2)
        (copied / "dashboards/some.json").write_text(board)
        objects = helm.render(values, chart=copied)
        assert checks.only(objects, "PrometheusRule", "latchkey-some")["spec"] == groups
        held = checks.only(objects, "ConfigMap", "latchkey-dashboard-some")
        assert held["data"]["some.json"].strip() == board and held["metadata"]["labels"]["grafana_dashboard"] == "1"
    objects = helm.render(values)
    for path in (chart / "rules").glob("*.yaml"):
        made = checks.only(objects, "PrometheusRule", f"latchkey-{path.stem}")
        assert made["spec"] == yaml.safe_load(path.read_text()), path.name
    for path in (chart / "dashboards").glob("*.json"):
        made = checks.only(objects, "ConfigMap", f"latchkey-dashboard-{path.stem}")
        assert json.loads(made["data"][path.name]) == json.loads(path.read_text()), path.name


def upgrade(helm):
    """If the settings change, the pods restart, the selectors stay the same, and unused objects are
    deleted."""
    config, _ = helm.install(NEEDED)
    before = copy.deepcopy(list(helm.cluster.objects.values()))
    values = copy.deepcopy(NEEDED)
    values["config"]["tokens"] = {"vault_ttl": "10m"}
    values["networkPolicy"] = {"enabled": False}
    helm.upgrade(config, values)
    after = list(helm.cluster.objects.values())
    old, new = checks.only(before, "Deployment"), checks.only(after, "Deployment")
    assert old["spec"]["selector"] == new["spec"]["selector"]
    sums = [made["spec"]["template"]["metadata"]["annotations"]["checksum/config"] for made in (old, new)]
    assert sums[0] != sums[1], "the pods would keep the old settings"
    assert checks.config_of(after)["tokens"]["vault_ttl"] == "10m"
    assert "NetworkPolicy" in kinds(before) and "NetworkPolicy" not in kinds(after)


def jobs_are_not_changed(helm):
    """A Job cannot be changed. Therefore another image creates a new Job, while the same values
    keep the existing Job."""
    values = NEEDED | {"migrations": {"mode": "job"}}
    first = checks.only(helm.render(values), "Job")["metadata"]["name"]
    assert checks.only(helm.render(values), "Job")["metadata"]["name"] == first
    assert checks.only(helm.render(values | {"image": {"tag": "0.2.0"}}), "Job")["metadata"]["name"] != first


def notes(helm):
    _, told = helm.install(NEEDED)
    words = helm.notes(told)
    assert "2 workers × 19456 KiB, 8000 connections × 33 KB and a base of 128 MiB: 418 MiB" in words, words
    assert "https://auth.example.com/api" in words and "No route leads to latchkey" in words
    assert "ALTER DEFAULT PRIVILEGES" not in words
    two = copy.deepcopy(NEEDED)
    two["secrets"]["keys"] = {"database.migrate_url": "owner-url"}
    _, told = helm.install(two)
    assert "GRANT EXECUTE ON FUNCTIONS TO latchkey" in helm.notes(told), "the rights of the serving role"


def long_names(helm):
    objects = helm.render(NEEDED | {"migrations": {"mode": "job"}}, release="a" * 53)
    for made in objects:
        assert len(made["metadata"]["name"]) <= 63, made["metadata"]["name"]


# Faults that the checks must find. Each entry has the change in a template and the check that must
# find it.
FAULTS = [
    ("_pod.tpl", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", checks.pods_are_restricted),
    ("_pod.tpl", "automountServiceAccountToken: false", "automountServiceAccountToken: true", checks.pods_are_restricted),
    ("_pod.tpl", "enableServiceLinks: false", "enableServiceLinks: true", checks.pods_are_restricted),
    ("_pod.tpl", "defaultMode: 0440", "defaultMode: 0444", checks.secrets_are_files),
    ("_pod.tpl", "_FILE\n", "\n", checks.secrets_are_files),
    ("deployment.yaml", "path: /readyz", "path: /livez", checks.probes_are_right),
    ("service-admin.yaml", "type: ClusterIP", "type: NodePort", checks.admin_is_inside),
    ("service.yaml", "targetPort: http", "targetPort: admin", checks.admin_is_inside),
    ("networkpolicy.yaml", "policyTypes: [Ingress, Egress]", "policyTypes: [Ingress]", checks.network_is_closed),
    ("service.yaml", 'include "latchkey.selectorLabels" .', 'include "latchkey.labels" (dict "root" .)', checks.selectors_fit),
]


def faults_are_found(helm, chart):
    for file, old, new, check in FAULTS:
        with tempfile.TemporaryDirectory() as work:
            copied = Path(work) / "latchkey"
            shutil.copytree(chart, copied)
            path = copied / "templates" / file
            text = path.read_text()
            assert old in text, f"{file} does not hold {old}"
            path.write_text(text.replace(old, new))
            objects = helm.render(NEEDED, chart=copied)
        try:
            check(objects)
        except AssertionError:
            continue
        raise AssertionError(f"{check.__name__} does not find {new.strip()} in {file}")


def expectations(helm, rendered, chart):
    for check in (the_usual, the_small, the_scaled, ways_in, other_secrets, the_watched):
        yield check.__name__.replace("_", " "), lambda check=check: check(rendered)
    values = yaml.safe_load((chart / "ci/monitoring-values.yaml").read_text())
    yield "rules and dashboards", lambda: rules_and_dashboards(helm, chart, values)
    gateway = yaml.safe_load((chart / "ci/gateway-values.yaml").read_text())
    yield "other ways in", lambda: other_ways_in(helm, gateway)
    for check in (upgrade, jobs_are_not_changed, notes, long_names):
        yield check.__name__.replace("_", " "), lambda check=check: check(helm)
    yield "faults are found", lambda: faults_are_found(helm, chart)
