"""Schemas of kinds that are not part of Kubernetes itself. They describe exactly what the chart
writes.

The schemas are written for the tests and are as strict as the definitions of Gateway API 1.4 to
1.6, KEDA 2.20 and the Prometheus operator 0.93. An API server drops or refuses members that a
definition does not name. If you add a new member to a template, check the definition and add the
member to this module. A definition also has CEL rules. The schemas contain only the CEL rules that
a template could break.
"""

from schema import HOSTNAME, LABEL, PORT, TEXT, fields, list_of, map_of, one_of, within

# The definitions set these lengths and these characters.
NAME = {"type": "string", "minLength": 1, "maxLength": 253}
NAMESPACE = {"type": "string", "maxLength": 63, "pattern": f"^{LABEL}$"}
GROUP = {"type": "string", "maxLength": 253, "pattern": rf"^$|^{LABEL}(\.{LABEL})*$"}
KIND = {"type": "string", "maxLength": 63, "pattern": "^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$"}
DOMAIN = NAME | {"pattern": rf"^{LABEL}(\.{LABEL})*$"}
HEADER = NAME | {"maxLength": 256, "pattern": r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"}
# A duration in the form of Prometheus. Larger units come first, and each unit appears at most once.
PERIOD = {"type": "string", "minLength": 2, "pattern": "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"}


def some(item, least=1, most=None):
    bounds = list_of(item) | {"minItems": least}
    return bounds if most is None else bounds | {"maxItems": most}


def this(word):
    return {"const": word}


def either(*members):
    """Returns a rule that requires exactly one of these members."""
    return {"oneOf": [{"required": [member]} for member in members]}


def header_filter(kind, member):
    """Returns the schema of a filter. The filter has its type and the member of this type, and it
    has no member of another type."""
    headers = list_of(fields(["name", "value"], name=HEADER, value=TEXT | {"minLength": 1, "maxLength": 4096})) | {"maxItems": 16}
    changes = fields(add=headers, set=headers, remove=list_of(TEXT) | {"maxItems": 16, "uniqueItems": True})
    return fields(["type", member], type=this(kind), **{member: changes})


PARENT = fields(["name"], group=GROUP, kind=KIND, name=NAME, namespace=NAMESPACE, sectionName=DOMAIN, port=PORT)
FILTER = {"oneOf": [
    header_filter("RequestHeaderModifier", "requestHeaderModifier"),
    header_filter("ResponseHeaderModifier", "responseHeaderModifier"),
]}
ROUTE = fields(
    ["parentRefs", "hostnames", "rules"],
    parentRefs=some(PARENT, most=32),
    hostnames=some(HOSTNAME, most=16),
    rules=some(fields(
        ["matches", "backendRefs"],
        matches=some(fields(["path"], path=fields(["type", "value"], type=this("PathPrefix"), value=this("/"))), most=64),
        filters=some(FILTER, most=16),
        # A reference to a Service needs a port.
        backendRefs=some(fields(["name", "port"], name=NAME, port=PORT), most=16),
    ), most=16),
)

AUTHORITY = fields(["group", "kind", "name"], group=this(""), kind=this("ConfigMap"), name=NAME)
BACKEND = fields(["group", "kind", "name"], group=this(""), kind=this("Service"), name=NAME)
BACKEND_TLS = fields(
    ["targetRefs", "validation"],
    targetRefs=some(BACKEND, most=16),
    validation=fields(
        ["hostname"], hostname=DOMAIN, caCertificateRefs=some(AUTHORITY, most=8), wellKnownCACertificates=this("System"),
    ) | either("caCertificateRefs", "wellKnownCACertificates"),
)

TRIGGER = fields(
    ["type", "metadata"],
    type=TEXT | {"minLength": 1}, name=TEXT, metricType=one_of("AverageValue", "Utilization", "Value"),
    # The values are strings, even if they are numbers.
    metadata=map_of(TEXT),
    useCachedMetrics={"type": "boolean"},
    authenticationRef=fields(["name"], name=TEXT, kind=one_of("TriggerAuthentication", "ClusterTriggerAuthentication")),
)
SCALED = fields(
    ["scaleTargetRef", "triggers"],
    scaleTargetRef=fields(["name"], name=NAME),
    minReplicaCount=within(0), maxReplicaCount=within(1),
    triggers=some(TRIGGER),
)

MONITOR = fields(
    ["selector", "endpoints"],
    selector=fields(["matchLabels"], matchLabels=map_of(TEXT)),
    endpoints=some(fields(
        port=TEXT, path=TEXT, interval=PERIOD, scrapeTimeout=PERIOD,
        relabelings=list_of(fields(targetLabel=TEXT, replacement=TEXT)),
    )),
)

# A recording rule or an alert. The definition allows the members `record` and `alert` at the same
# time, but Prometheus does not.
RULE = fields(
    ["expr"],
    record=TEXT, alert=TEXT, expr=TEXT, labels=map_of(TEXT), annotations=map_of(TEXT), **{"for": PERIOD, "keep_firing_for": PERIOD},
) | either("record", "alert")
RULES = fields(
    ["groups"],
    groups=some(fields(["name", "rules"], name=NAME, interval=PERIOD, rules=some(RULE))),
)

# Each key is the apiVersion and the kind of an object.
SPECS = {
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): ROUTE,
    ("gateway.networking.k8s.io/v1", "BackendTLSPolicy"): BACKEND_TLS,
    ("keda.sh/v1alpha1", "ScaledObject"): SCALED,
    ("monitoring.coreos.com/v1", "ServiceMonitor"): MONITOR,
    ("monitoring.coreos.com/v1", "PrometheusRule"): RULES,
}
