"""Rules that every object of the chart must follow."""

import json
from pathlib import Path

ROOTLESS = 65532
POD_KINDS = {"Deployment", "Job", "Pod"}


def pod_of(made):
    """Returns the labels and the specification of the pod of a workload."""
    if made["kind"] == "Pod":
        return made["metadata"]["labels"], made["spec"]
    template = made["spec"]["template"]
    return template["metadata"]["labels"], template["spec"]


def workloads(objects):
    return [made for made in objects if made["kind"] in POD_KINDS]


def only(objects, kind, name=None):
    found = [made for made in objects if made["kind"] == kind and (name is None or made["metadata"]["name"] == name)]
    assert len(found) == 1, f"{len(found)} objects of kind {kind}"
    return found[0]


def config_of(objects):
    made = only(objects, "ConfigMap", "latchkey")
    return json.loads(made["data"]["latchkey.json"])


def pods_are_restricted(objects):
    """Checks the Pod Security Standard `restricted`. Also checks that a pod has no token, no
    service links and no user of the host."""
    for made in workloads(objects):
        _, pod = pod_of(made)
        where = f"{made['kind']} {made['metadata']['name']}"
        assert pod["automountServiceAccountToken"] is False, f"{where} mounts a token"
        assert pod["enableServiceLinks"] is False, f"{where} takes service links"
        assert not any(pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")), f"{where} is on the host"
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True and security["runAsUser"] == ROOTLESS, f"{where} may be root"
        assert security["fsGroup"] == ROOTLESS, f"{where} could not read its secrets"
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, f"{where} has no seccomp profile"
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False, f"{where} may escalate"
            assert security["readOnlyRootFilesystem"] is True, f"{where} may write to its root"
            assert security["privileged"] is False, f"{where} is privileged"
            assert security["capabilities"] == {"drop": ["ALL"]}, f"{where} keeps capabilities"
            assert security["runAsNonRoot"] is True, f"{where} may be root"
            assert container["command"] == ["/latchkey"], f"{where} needs the image's entry point"
        for volume in pod.get("volumes", []):
            assert "hostPath" not in volume, f"{where} mounts {volume['name']} of the host"


def resources_are_asked_for(objects):
    for made in workloads(objects):
        for container in pod_of(made)[1]["containers"]:
            resources = container["resources"]
            assert {"cpu", "memory"} <= resources["requests"].keys(), f"{made['kind']} asks for nothing"
            assert "memory" in resources["limits"] and "cpu" not in resources["limits"], f"{made['kind']}: limits"


def probes_are_right(objects):
    container = pod_of(only(objects, "Deployment"))[1]["containers"][0]
    for probe, path in [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")]:
        assert container[probe]["httpGet"] == {"path": path, "port": "admin"}, probe
    assert "lifecycle" not in container, "the drain is the daemon's"
    config = config_of(objects)
    for port in container["ports"]:
        assert config[port["name"]]["listen"].endswith(f":{port['containerPort']}"), port["name"]


def secrets_are_files(objects):
    """Checks that each secret is mounted at the path in its variable, that not every user can read
    it, and that it is never the value of a variable."""
    for made in workloads(objects):
        _, pod = pod_of(made)
        held = {}
        for volume in pod.get("volumes", []):
            if "projected" in volume:
                assert volume["projected"]["defaultMode"] == 0o440
                items = [item for source in volume["projected"]["sources"] for item in source["secret"]["items"]]
                held[volume["name"]] = {item["path"] for item in items}
            if "secret" in volume:
                assert volume["secret"]["defaultMode"] == 0o440
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            assert "envFrom" not in container
            named = set()
            for variable in container.get("env") or []:
                assert "valueFrom" not in variable, f"{variable['name']} is a secret in the environment"
                if variable["name"].startswith("LATCHKEY_"):
                    assert variable["name"].endswith("_FILE"), f"{variable['name']} is a setting"
                    named.add(variable["value"])
            mounts = {mount["name"]: mount["mountPath"] for mount in container.get("volumeMounts", [])}
            mounted = {f"{path}/{file}" for name, path in mounts.items() for file in held.get(name, ())}
            assert named == mounted, f"{named} against {mounted}"
            if container["args"][-2:] == ["migrate", "up"]:
                assert {Path(file).name for file in named} <= {"database.url", "database.migrate_url"}
                assert len(named) <= 1, f"a container that migrates gets {named}"
            else:
                assert not [file for file in named if file.endswith("migrate_url")], "the owner's URL"
            assert mounts.keys() <= {volume["name"] for volume in pod.get("volumes", [])}, "a mount without its volume"
    assert not [made for made in objects if made["kind"] == "Secret"], "the chart made a Secret"


def admin_is_inside(objects):
    """Checks that the admin Service is a ClusterIP, and that no route from outside the cluster
    names this Service or its port."""
    admin = only(objects, "Service", "latchkey-admin")
    assert admin["spec"]["type"] == "ClusterIP"
    assert [port["targetPort"] for port in admin["spec"]["ports"]] == ["admin"]
    public = only(objects, "Service", "latchkey")
    assert [port["targetPort"] for port in public["spec"]["ports"]] == ["http"]
    for made in objects:
        if made["kind"] in ("Ingress", "HTTPRoute"):
            text = json.dumps(made["spec"])
            assert "latchkey-admin" not in text and "9090" not in text, f"{made['kind']} leads to the admin Service"


def selectors_fit(objects):
    """Checks that services, policies and budgets select the pods of the daemon, and that they do
    not select the pods of the Job or of the test."""
    labels, _ = pod_of(only(objects, "Deployment"))
    others = [pod_of(made)[0] for made in workloads(objects) if made["kind"] != "Deployment"]
    selectors = [only(objects, "Deployment")["spec"]["selector"]["matchLabels"]]
    for made in objects:
        if made["kind"] == "Service":
            selectors.append(made["spec"]["selector"])
        elif made["kind"] == "PodDisruptionBudget":
            selectors.append(made["spec"]["selector"]["matchLabels"])
        elif made["kind"] == "NetworkPolicy" and made["metadata"]["name"] == "latchkey":
            selectors.append(made["spec"]["podSelector"]["matchLabels"])
    for selector in selectors:
        assert selector.items() <= labels.items(), f"{selector} misses the pods"
        for other in others:
            assert not selector.items() <= other.items(), f"{selector} takes {other}"
        assert not any("version" in key or "chart" in key for key in selector), "an upgrade would change it"


def network_is_closed(objects):
    """Checks that the policies refuse all traffic in both directions, except traffic with listed
    peers. Only named peers may reach the admin port."""
    policies = [made for made in objects if made["kind"] == "NetworkPolicy"]
    for made in policies:
        assert made["spec"]["policyTypes"] == ["Ingress", "Egress"]
        for rule in made["spec"]["egress"]:
            assert rule.get("ports"), "egress to every port"
        for rule in made["spec"]["ingress"]:
            ports = [port["port"] for port in rule["ports"]]
            assert "admin" not in ports or rule.get("from"), "everybody reaches the admin port"
    jobs = [made for made in objects if made["kind"] == "Job"]
    assert not policies or len(policies) == 1 + len(jobs), "a pod without a policy"


def objects_are_labelled(objects):
    for made in objects:
        if made["metadata"]["name"] in ("latchkey-data", "latchkey-notes"):
            continue
        labels = made["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == "latchkey", made["metadata"]["name"]
        assert labels["app.kubernetes.io/managed-by"] == "Helm", made["metadata"]["name"]
        assert made["metadata"]["namespace"] == "auth", made["metadata"]["name"]


EVERYWHERE = [
    pods_are_restricted, resources_are_asked_for, probes_are_right, secrets_are_files, admin_is_inside, selectors_fit,
    network_is_closed, objects_are_labelled,
]
