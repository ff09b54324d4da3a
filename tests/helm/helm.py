"""Functions that render, install, upgrade and lint a chart with the real Helm engine."""

import asyncio
import os
import re

import helm_sdkpy
import yaml

# The engine reads HELM_DRIVER when the engine is loaded. With `memory`, the releases are stored in
# memory.
assert os.environ.get("HELM_DRIVER") == "memory", "start with HELM_DRIVER=memory, as scripts/lib/helm does"

NAMESPACE = "auth"
RELEASE = "latchkey"


class Helm:
    def __init__(self, cluster, chart):
        self.cluster = cluster
        self.chart = str(chart)

    def configuration(self):
        return helm_sdkpy.Configuration(namespace=NAMESPACE, kubeconfig=str(self.cluster.kubeconfig))

    def install(self, values, release=RELEASE, chart=None):
        """Returns the objects of a new installation. If Helm refuses it, raises an error with
        Helm's message."""
        self.cluster.clear()
        config = self.configuration()
        run = helm_sdkpy.Install(config).run(release, str(chart or self.chart), values=values, wait=False)
        return config, asyncio.run(run)

    def upgrade(self, config, values, release=RELEASE):
        run = helm_sdkpy.Upgrade(config).run(release, self.chart, values=values, wait=False, server_side_apply=False)
        return asyncio.run(run)

    def render(self, values, release=RELEASE, chart=None):
        """Returns the objects that an installation creates. The objects of the hooks, such as the
        pod of `helm test`, are included."""
        _, told = self.install(values, release, chart)
        return [*self.cluster.objects.values(), *(yaml.safe_load(hook["manifest"]) for hook in told["hooks"])]

    def refusal(self, values):
        """Returns Helm's message if Helm refuses the values, or an empty text if Helm accepts
        them."""
        try:
            self.install(values)
        except helm_sdkpy.HelmError as error:
            return re.sub(r"\s+", " ", str(error))
        return ""

    def lint(self, chart):
        """Lints a chart with its own values.yaml, and returns Helm's message."""
        return asyncio.run(helm_sdkpy.Lint(self.configuration()).run(str(chart)))

    def notes(self, told):
        return told["info"]["notes"]
