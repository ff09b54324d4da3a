"""Values that cannot work, and the messages that the operator gets for them. Each entry has the
changes to ci/default-values.yaml and a part of the message."""

# Stands for a value that is absent.
MISSING = object()
NULLS = {"database.url": None, "redis.url": None, "secrets.master_key": None}

BAD = {
    "a value that nobody knows": ({"replica": 3}, "additional properties 'replica' not allowed"),
    "a setting that nobody knows": ({"config": {"tokens": {"acces_ttl": "5m"}}}, "'acces_ttl' not allowed"),
    "a section that nobody knows": ({"config": {"token": {}}}, "'token' not allowed"),
    "a duration without a unit": ({"config": {"tokens": {"vault_ttl": "300"}}}, "/config/tokens/vault_ttl"),
    "a number as a text": ({"config": {"http": {"max_in_flight": "many"}}}, "got string, want integer"),
    "a number out of bounds": ({"config": {"password": {"workers": 0}}}, "minimum: got 0, want 1"),
    "a choice that there is not": ({"config": {"tokens": {"algorithm": "none"}}}, "value must be one of 'ES256'"),
    "replicas as a text": ({"replicas": "3"}, "got string, want integer"),
    "no replica": ({"replicas": 0}, "minimum: got 0, want 1"),
    "a mode of migration that there is not": ({"migrations": {"mode": "hook"}}, "'initContainer', 'job', 'none'"),
    "a digest that is none": ({"image": {"digest": "latest"}}, "/image/digest"),
    "an image without a name": ({"image": {"repository": ""}}, "/image/repository"),
    "a port that there is not": ({"service": {"port": 70000}}, "maximum: got 70,000, want 65,535"),
    "a listener without a port": ({"config": {"http": {"listen": "0.0.0.0"}}}, "/config/http/listen"),
    "an amount that is none": ({"resources": {"limits": {"memory": "much"}}}, "/resources/limits/memory"),
    "a secret's name that Kubernetes refuses": ({"secrets": {"existingSecret": "My_Secret"}}, "/secrets/existingSecret"),
    "a secret for what is no setting": ({"secrets": {"keys": {"url": "a"}}}, "/secrets/keys"),
    "another Secret without its key": ({"secrets": {"from": {"redis.url": {"secret": "a"}}}}, "missing property 'key'"),
    "an admin Service of another type": ({"adminService": {"type": "LoadBalancer"}}, "'type' not allowed"),
    "a grace period without room": ({"terminationGracePeriodSeconds": 5}, "minimum: got 5, want 35"),
    "no public URL": ({"config": {"public_url": MISSING}}, "config.public_url is missing: set it to the URL that clients use"),
    "no Secret": (
        {"secrets": {"existingSecret": ""}},
        "secrets.existingSecret is missing. Create the Secret: kubectl create secret generic latchkey --namespace auth "
        "--from-literal=database-url='postgres://latchkey:PASSWORD@HOST:5432/latchkey?sslmode=verify-full' "
        "--from-literal=smtp-url='smtps://USER:PASSWORD@HOST:465' --from-literal=redis-url='rediss://default:PASSWORD@HOST:6379' "
        "--from-literal=master-key=\"$(openssl rand -base64 32)\" and set its name: --set secrets.existingSecret=latchkey",
    ),
    "two problems": (
        {"config": {"public_url": MISSING}, "secrets": {"existingSecret": ""}},
        "2 problems in the values: - config.public_url is missing",
    ),
    "a setting given twice": (
        {"config": {"redis": {"url_file": "/vault/redis"}}},
        "redis.url is set twice, in config.redis.url_file and in secrets: set secrets.keys.redis\\.url to null",
    ),
    "two pods on SQLite": (
        {"secrets": {"keys": NULLS}}, "more than one pod needs PostgreSQL: set secrets.keys.database\\.url",
    ),
    "one pod whose data would be lost": (
        {"replicas": 1, "secrets": {"keys": NULLS}}, "set persistence.existingClaim to the name of a claim, or the data is lost with the pod",
    ),
    "a claim beside PostgreSQL": (
        {"persistence": {"existingClaim": "a"}}, "persistence.existingClaim is for one pod without PostgreSQL",
    ),
    "the owner's URL beside SQLite": (
        {"replicas": 1, "secrets": {"keys": NULLS | {"database.migrate_url": "owner"}}},
        "secrets.keys.database\\.migrate_url is set without database.url",
    ),
    "two pods without Redis": (
        {"secrets": {"keys": {"redis.url": None}}}, "more than one pod needs Redis: set secrets.keys.redis\\.url",
    ),
    "no master key": (
        {"secrets": {"keys": {"secrets.master_key": None}}}, "PostgreSQL needs a master key that all pods share",
    ),
    "no mail server": ({"secrets": {"keys": {"mail.smtp_url": None}}}, "production needs a mail server"),
    "an Ingress that nobody trusts": (
        {"ingress": {"enabled": True}}, "config.http.trusted_proxies is missing: list the networks of the Ingress or Gateway",
    ),
    "a route that nobody trusts": (
        {"httpRoute": {"enabled": True, "parentRefs": [{"name": "a"}]}}, "config.http.trusted_proxies is missing",
    ),
    "a route without a Gateway": (
        {"httpRoute": {"enabled": True}, "config": {"http": {"trusted_proxies": ["10.0.0.0/8"]}}},
        "httpRoute.parentRefs is missing: name the Gateway",
    ),
    "a route to no host": ({"httpRoute": {"hostnames": [""]}}, "/httpRoute/hostnames/0"),
    "a route that leads away": (
        {"httpRoute": {"enabled": True, "parentRefs": [{"name": "a"}],
                       "filters": [{"type": "RequestRedirect", "requestRedirect": {"scheme": "https"}}]},
         "config": {"http": {"trusted_proxies": ["10.0.0.0/8"]}}},
        "httpRoute.filters: a RequestRedirect cannot be combined with a backend",
    ),
    "two autoscalers": (
        {"autoscaling": {"enabled": True}, "keda": {"enabled": True}}, "autoscaling.enabled and keda.enabled exclude each other",
    ),
    "fewer pods at most than at least": (
        {"autoscaling": {"enabled": True, "minReplicas": 9}}, "autoscaling.minReplicas is above autoscaling.maxReplicas",
    ),
    "autoscaling on SQLite": (
        {"autoscaling": {"enabled": True, "minReplicas": 1, "maxReplicas": 1}, "secrets": {"keys": NULLS},
         "persistence": {"existingClaim": "a"}},
        "more than one pod needs PostgreSQL",
    ),
    "an interval with the smaller unit first": ({"serviceMonitor": {"interval": "30s1m"}}, "/serviceMonitor/interval"),
    "metrics that nobody reaches": (
        {"serviceMonitor": {"enabled": True}}, "list Prometheus in networkPolicy.admin.from",
    ),
    "a listener on the loopback": (
        {"config": {"http": {"listen": "127.0.0.1:8080"}}}, "config.http.listen is the pod's loopback",
    ),
    "probes on the loopback": (
        {"config": {"admin": {"listen": "[::1]:9090"}}}, "config.admin.listen is the pod's loopback",
    ),
    "one port for both": (
        {"config": {"admin": {"listen": "0.0.0.0:8080"}}}, "config.http.listen and config.admin.listen have the same port",
    ),
    "a drain longer than the grace period": (
        {"config": {"http": {"drain_delay": "1m"}}},
        "terminationGracePeriodSeconds is too short: config.http.drain_delay, 25 s for running requests and 5 s for the last telemetry export take 90 s",
    ),
    "less memory than the hashes take": (
        {"config": {"password": {"workers": 32}}},
        "resources.limits.memory is too small: config.password.workers × memory_kib, 33 KB for each of config.http.max_connections and a base of 128 MiB take 988 MiB",
    ),
    "less memory than the connections take": (
        {"config": {"http": {"max_connections": 20000}}}, "config.http.max_connections and a base of 128 MiB take 796 MiB",
    ),
    "an Ingress for an address": (
        {"config": {"public_url": "https://[2001:db8::1]:8443"}, "ingress": {"enabled": True}}, "ingress.enabled is set, but config.public_url has an IP address",
    ),
    "a route for an address": (
        {"config": {"public_url": "https://192.0.2.7"}, "httpRoute": {"enabled": True}}, "httpRoute.enabled is set, but config.public_url has an IP address",
    ),
    "TLS in the pod behind a plain Ingress": (
        {"tls": {"existingSecret": "pod-tls"}, "ingress": {"enabled": True}}, "tls.existingSecret behind an Ingress",
    ),
    "an annotation that leads to a page, behind an Ingress": (
        {"tls": {"existingSecret": "pod-tls"}, "ingress": {"enabled": True, "annotations": {"example.com/wiki": "https://wiki.example.com/"}}},
        "tls.existingSecret behind an Ingress",
    ),
    "a setting among the variables": (
        {"extraEnv": [{"name": "LATCHKEY_LOG__FILTER", "value": "debug"}]}, "extraEnv: LATCHKEY_LOG__FILTER is a setting",
    ),
}
