"""Creates values.schema.json. The schema of `config` comes from the daemon. The schema of all other
values is in this module, and it allows no unknown members."""

TEXT = {"type": "string"}
BOOLEAN = {"type": "boolean"}
LABEL_VALUE = {"type": "string", "maxLength": 63, "pattern": "^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$"}
NAME = {"type": "string", "maxLength": 253, "pattern": "^([a-z0-9]([a-z0-9.-]*[a-z0-9])?)?$"}
LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
# The form of a host name that a Gateway accepts. It has small letters, and its first label can be a
# wildcard.
HOSTNAME = {"type": "string", "minLength": 1, "maxLength": 253, "pattern": rf"^(\*\.)?{LABEL}(\.{LABEL})*$"}
PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
QUANTITY = {"type": ["string", "number"], "pattern": r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$"}
# Kubernetes defines the form of these values, and the API server checks it.
ANY_MAP = {"type": "object"}
ANY_LIST = {"type": "array", "items": {"type": "object"}}
SETTING = "^[a-z_]+(\\.[a-z_]+)+$"


def within(least, most=None):
    bounds = {"type": "integer", "minimum": least}
    return bounds if most is None else bounds | {"maximum": most}


def one_of(*words):
    return {"type": "string", "enum": list(words)}


def map_of(value):
    return {"type": "object", "additionalProperties": value}


def list_of(value):
    return {"type": "array", "items": value}


def by_setting(value):
    return {"type": "object", "additionalProperties": False, "patternProperties": {SETTING: value}}


def fields(required=(), **properties):
    schema = {"type": "object", "additionalProperties": False, "properties": properties}
    return schema | {"required": list(required)} if required else schema


ANNOTATIONS = map_of(TEXT)
LABELS = map_of(LABEL_VALUE)
# A duration in the form of the Prometheus operator. Larger units come first, and each unit appears
# at most once.
DURATION = {"type": "string", "minLength": 2, "pattern": "^([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"}
AMOUNTS = fields(cpu=QUANTITY, memory=QUANTITY, **{"ephemeral-storage": QUANTITY})
EGRESS = fields(to=ANY_LIST, ports=list_of(PORT))
SOURCE = fields(required=["secret", "key"], secret=NAME | {"minLength": 1}, key=TEXT | {"minLength": 1})
VARIABLE = {"type": "object", "required": ["name"], "properties": {"name": TEXT}}
SCALE = {"enabled": BOOLEAN, "minReplicas": within(1), "maxReplicas": within(1, 1000), "targetCPU": within(1, 1000)}


def config_schema(schema):
    """Returns the schema of the daemon's settings, without the members that only a separate schema
    file needs."""
    config = {key: value for key, value in schema.items() if key not in ("$schema", "title")}
    # The templates of the chart read these two settings.
    for section in ("http", "admin"):
        config["properties"][section]["properties"]["listen"]["pattern"] = ":[0-9]+$"
        config["properties"][section]["required"] = ["listen"]
    return config | {"required": ["http", "admin"]}


def values_schema(config):
    """Returns the complete schema. `latchkey config schema` has printed the part for `config`."""
    properties = {
        "global": ANY_MAP,
        "replicas": within(1, 1000),
        "nameOverride": NAME,
        "fullnameOverride": NAME,
        "commonLabels": LABELS,
        "image": fields(
            repository=TEXT | {"minLength": 1},
            tag={"type": "string", "pattern": "^[A-Za-z0-9_.-]{0,128}$"},
            digest={"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
            pullPolicy=one_of("Always", "IfNotPresent", "Never"),
        ),
        "imagePullSecrets": list_of(fields(required=["name"], name=NAME)),
        "config": config_schema(config),
        "secrets": fields(
            existingSecret=NAME,
            keys=by_setting({"type": ["string", "null"]}),
            **{"from": by_setting({"oneOf": [SOURCE, {"type": "null"}]})},
        ),
        "tls": fields(existingSecret=NAME),
        "persistence": fields(existingClaim=NAME),
        "migrations": fields(
            mode=one_of("initContainer", "job", "none"),
            job=fields(annotations=ANNOTATIONS, backoffLimit=within(0), ttlSecondsAfterFinished=within(0)),
        ),
        "service": fields(type=one_of("ClusterIP", "NodePort", "LoadBalancer"), port=PORT, annotations=ANNOTATIONS),
        "adminService": fields(port=PORT, annotations=ANNOTATIONS),
        "serviceAccount": fields(create=BOOLEAN, name=NAME, annotations=ANNOTATIONS),
        "ingress": fields(enabled=BOOLEAN, className=NAME, annotations=ANNOTATIONS, host=NAME, tlsSecret=NAME),
        "httpRoute": fields(
            enabled=BOOLEAN, annotations=ANNOTATIONS, hostnames=list_of(HOSTNAME) | {"maxItems": 16}, filters=ANY_LIST,
            parentRefs=list_of({"type": "object", "required": ["name"], "properties": {"name": NAME | {"minLength": 1}}}),
            backendTLS=fields(hostname=NAME, caConfigMap=NAME),
        ),
        "networkPolicy": fields(
            enabled=BOOLEAN,
            http=fields(**{"from": ANY_LIST}),
            admin=fields(**{"from": ANY_LIST}),
            egress=fields(dns=EGRESS, postgres=EGRESS, redis=EGRESS, smtp=EGRESS, otlp=EGRESS, https=EGRESS, extra=ANY_LIST),
        ),
        "resources": fields(requests=AMOUNTS, limits=AMOUNTS, claims=ANY_LIST),
        "autoscaling": fields(**SCALE, targetQueueDepth={"type": ["integer", "null"], "minimum": 1}, behavior=ANY_MAP),
        "keda": fields(
            **SCALE, prometheusAddress={"type": "string", "pattern": "^(https?://.+)?$"},
            targetQueueDepth=within(1), triggers=ANY_LIST,
        ),
        "podDisruptionBudget": fields(
            enabled=BOOLEAN, maxUnavailable={"type": ["integer", "string"], "minimum": 1, "pattern": "^[0-9]+%$"}
        ),
        "topologySpreadConstraints": ANY_LIST,
        "affinity": ANY_MAP,
        "nodeSelector": map_of(TEXT),
        "tolerations": ANY_LIST,
        "priorityClassName": NAME,
        "podAnnotations": ANNOTATIONS,
        "podLabels": LABELS,
        "terminationGracePeriodSeconds": within(35, 3600),
        "serviceMonitor": fields(enabled=BOOLEAN, labels=LABELS, interval=DURATION, scrapeTimeout=DURATION),
        "prometheusRule": fields(enabled=BOOLEAN, labels=LABELS),
        "dashboards": fields(enabled=BOOLEAN, labels=LABELS, annotations=ANNOTATIONS),
        "extraEnv": list_of(VARIABLE),
        "extraVolumes": list_of(VARIABLE),
        "extraVolumeMounts": list_of(VARIABLE),
        "extraObjects": list_of({"type": ["object", "string"]}),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Values of the chart latchkey",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }
