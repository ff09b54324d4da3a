"""Faults in rendered objects. The schemas must find each of them."""

import copy

import outside

# Each entry has the name of the values, the kind of the object, the path of the fault, the wrong
# value, and a part of the message.
SPOILT = [
    ("default", "Service", ["spec", "port"], 80, "('port' was unexpected)"),
    ("gateway", "HTTPRoute", ["spec", "hostname"], "a.example.com", "('hostname' was unexpected)"),
    ("gateway", "HTTPRoute", ["metadata", "label"], {}, "('label' was unexpected)"),
    ("gateway", "HTTPRoute", ["status"], {}, "('status' was unexpected)"),
    ("gateway", "HTTPRoute", ["spec", "rules", 0, "backendRefs", 0, "port"], "http", "'http' is not of type 'integer'"),
    ("gateway", "HTTPRoute", ["spec", "rules", 0, "filters", 0, "requestHeaderModifier"], {}, "'RequestHeaderModifier' was expected"),
    ("gateway", "BackendTLSPolicy", ["spec", "validation", "hostname"], "https://a", "'https://a' does not match"),
    ("gateway", "BackendTLSPolicy", ["spec", "validation", "wellKnownCACertificates"], "System", "is valid under each of"),
    ("gateway", "ScaledObject", ["spec", "triggers", 0, "metadata", "value"], 70, "70 is not of type 'string'"),
    ("gateway", "ScaledObject", ["spec", "maxReplicas"], 8, "('maxReplicas' was unexpected)"),
    ("gateway", "ScaledObject", ["apiVersion"], "keda.sh/v1", "Couldn't find schema for kind ScaledObject"),
    ("monitoring", "ServiceMonitor", ["spec", "endpoints", 0, "interval"], "30s1m", "'30s1m' does not match"),
    ("monitoring", "ServiceMonitor", ["spec", "endpoints"], [], "[] should be non-empty"),
    ("monitoring", "PrometheusRule", ["spec", "groups", 0, "rules", 0, "labels", "slo"], 1, "1 is not of type 'string'"),
]


def schemas_find_faults(rendered):
    for values, kind, path, fault, words in SPOILT:
        made = copy.deepcopy(next(made for made in rendered[values] if made["kind"] == kind))
        outside.schema_of(made, outside.VERSIONS[-1])
        *parents, last = path
        where = made
        for part in parents:
            where = where[part]
        where[last] = fault
        try:
            outside.schema_of(made, outside.VERSIONS[-1])
        except AssertionError as error:
            assert words in str(error), f"{kind}: {path}: {error}"
        else:
            raise AssertionError(f"{kind}: no schema minds {fault!r} at {path}")
