"""The parts of a Kubernetes API server that Helm needs: the discovery, and objects in memory.

The tests use the real Helm (the engine in helm-sdkpy). Its memory driver stores the releases.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

# For each group and version, the plural names and the kinds of its resources.
RESOURCES = {
    "v1": {"configmaps": "ConfigMap", "services": "Service", "serviceaccounts": "ServiceAccount", "pods": "Pod",
           "secrets": "Secret", "persistentvolumeclaims": "PersistentVolumeClaim"},
    "apps/v1": {"deployments": "Deployment"},
    "batch/v1": {"jobs": "Job"},
    "autoscaling/v2": {"horizontalpodautoscalers": "HorizontalPodAutoscaler"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
    "networking.k8s.io/v1": {"networkpolicies": "NetworkPolicy", "ingresses": "Ingress"},
    "gateway.networking.k8s.io/v1": {"httproutes": "HTTPRoute", "backendtlspolicies": "BackendTLSPolicy"},
    "monitoring.coreos.com/v1": {"servicemonitors": "ServiceMonitor", "prometheusrules": "PrometheusRule"},
    "keda.sh/v1alpha1": {"scaledobjects": "ScaledObject"},
}
VERSION = {"major": "1", "minor": "31", "gitVersion": "v1.31.0", "platform": "linux/amd64"}


def merge(old, new):
    """Merges as RFC 7386 says. This is enough for Helm's three-way patches of these objects."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    merged = dict(old)
    for key, value in new.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def discovery(path):
    """Returns the discovery document of a path, or None."""
    if path == "/version":
        return VERSION
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        groups = []
        for name in RESOURCES:
            group, slash, version = name.partition("/")
            if slash:
                preferred = {"groupVersion": name, "version": version}
                groups.append({"name": group, "versions": [preferred], "preferredVersion": preferred})
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    name = path.removeprefix("/apis/").removeprefix("/api/")
    if name not in RESOURCES:
        return None
    verbs = ["create", "delete", "get", "list", "patch", "update", "watch"]
    resources = [
        {"name": plural, "singularName": kind.lower(), "namespaced": True, "kind": kind, "verbs": verbs}
        for plural, kind in RESOURCES[name].items()
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": resources}


class Cluster:
    """Serves on the loopback, on a port that the kernel chooses."""

    def __init__(self, work: Path):
        self.objects = {}
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.kubeconfig = work / "kubeconfig"
        address = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.kubeconfig.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": address}}],
            "users": [{"name": "test", "user": {}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }))

    def close(self):
        self.server.shutdown()

    def clear(self):
        with self.lock:
            self.objects.clear()

    def answer(self, method, path, body):
        """Returns the status and the object of the response."""
        with self.lock:
            found = discovery(path) if method == "GET" else None
            if found is not None:
                return 200, found
            if method == "POST":
                name = body["metadata"]["name"]
                if f"{path}/{name}" in self.objects:
                    return 409, status(409, "AlreadyExists", f"{name} already exists")
                self.objects[f"{path}/{name}"] = body
                return 201, body
            held = self.objects.get(path)
            if held is None:
                return 404, status(404, "NotFound", f"{path} not found")
            if method == "DELETE":
                del self.objects[path]
                return 200, status(200, "", "deleted")
            if method in ("PUT", "PATCH"):
                self.objects[path] = body if method == "PUT" else merge(held, body)
            return 200, self.objects[path]

    def handler(self):
        cluster = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def serve(self):
                length = int(self.headers.get("content-length") or 0)
                body = json.loads(self.rfile.read(length)) if length else {}
                code, told = cluster.answer(self.command, self.path.partition("?")[0].rstrip("/"), body)
                data = json.dumps(told).encode()
                self.send_response(code)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve

            def log_message(self, *_):
                pass

        return Handler


def status(code, reason, message):
    word = "Success" if code < 300 else "Failure"
    return {"kind": "Status", "apiVersion": "v1", "status": word, "code": code, "reason": reason, "message": message}
