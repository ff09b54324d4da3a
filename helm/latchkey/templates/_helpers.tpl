{{/* The chart's name, shortened to the maximum length of a label. */}}
{{- define "latchkey.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{/* The name of all objects. 46 characters leave space for `-migrate-` and a digest. */}}
{{- define "latchkey.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 46 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "latchkey.name" . -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 46 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* The labels that select the daemon's pods. They cannot change: Kubernetes refuses that. */}}
{{- define "latchkey.selectorLabels" -}}
app.kubernetes.io/name: {{ include "latchkey.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end }}

{{/* The labels of an object. The argument is (dict "root" $ "component" "server"). */}}
{{- define "latchkey.labels" -}}
{{- $root := .root -}}
app.kubernetes.io/name: {{ include "latchkey.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ .component | default "server" }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "latchkey.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "latchkey.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end }}

{{- define "latchkey.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The largest possible number of pods. */}}
{{- define "latchkey.replicasMax" -}}
{{- if .Values.autoscaling.enabled -}}{{ .Values.autoscaling.maxReplicas }}
{{- else if .Values.keda.enabled -}}{{ .Values.keda.maxReplicas }}
{{- else -}}{{ .Values.replicas }}{{- end -}}
{{- end }}

{{- define "latchkey.scales" -}}
{{- if or .Values.autoscaling.enabled .Values.keda.enabled -}}true{{- end -}}
{{- end }}

{{/* The value of the setting with this dotted name, as JSON. Empty if it is not set. */}}
{{- define "latchkey.setting" -}}
{{- $at := .root.Values.config -}}
{{- range splitList "." .key -}}
{{- if kindIs "map" $at -}}{{- $at = get $at . -}}{{- else -}}{{- $at = "" -}}{{- end -}}
{{- end -}}
{{- if not (or (kindIs "invalid" $at) (and (kindIs "string" $at) (eq $at ""))) -}}{{- toJson $at -}}{{- end -}}
{{- end }}

{{/* The source of each secret setting, as JSON: {"database.url": {"secret": …, "key": …}}. */}}
{{- define "latchkey.secretSources" -}}
{{- $sources := dict -}}
{{- range $setting, $key := .Values.secrets.keys -}}
{{- if $key -}}{{- $_ := set $sources $setting (dict "secret" $.Values.secrets.existingSecret "key" $key) -}}{{- end -}}
{{- end -}}
{{- range $setting, $source := .Values.secrets.from -}}
{{- if $source -}}{{- $_ := set $sources $setting $source -}}{{- end -}}
{{- end -}}
{{- toJson $sources -}}
{{- end }}

{{/* The sources of the secrets that a container gets. The container that migrates gets only the URL
     of the database. The daemon does not get the URL of the owner. */}}
{{- define "latchkey.sourcesFor" -}}
{{- $all := include "latchkey.secretSources" .root | fromJson -}}
{{- if eq .for "daemon" -}}{{- omit $all "database.migrate_url" | toJson -}}
{{- else if hasKey $all "database.migrate_url" -}}{{- pick $all "database.migrate_url" | toJson -}}
{{- else -}}{{- pick $all "database.url" | toJson -}}{{- end -}}
{{- end }}

{{/* True if the setting is set: from a Secret, or from a file that the operator mounts. */}}
{{- define "latchkey.hasSecret" -}}
{{- $sources := include "latchkey.secretSources" .root | fromJson -}}
{{- if or (hasKey $sources .key) (include "latchkey.setting" (dict "root" .root "key" (printf "%s_file" .key))) -}}true{{- end -}}
{{- end }}

{{/* True if no database is set. Then the daemon stores its data in files. */}}
{{- define "latchkey.isEmbedded" -}}
{{- if not (include "latchkey.hasSecret" (dict "root" . "key" "database.url")) -}}true{{- end -}}
{{- end }}

{{/* The settings, as the JSON in the ConfigMap. */}}
{{- define "latchkey.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- if not (include "latchkey.setting" (dict "root" . "key" "rate_limit.replicas")) -}}
{{- $limit := get $config "rate_limit" | default dict -}}
{{- $_ := set $config "rate_limit" (set $limit "replicas" (include "latchkey.replicasMax" . | int)) -}}
{{- end -}}
{{- if and (include "latchkey.isEmbedded" .) (not $config.data_dir) -}}
{{- $_ := set $config "data_dir" "/var/lib/latchkey" -}}
{{- end -}}
{{- if .Values.tls.existingSecret -}}
{{- $http := get $config "http" | default dict -}}
{{- $_ := set $config "http" (set $http "tls" (dict "cert" "/etc/latchkey/tls/tls.crt" "key" "/etc/latchkey/tls/tls.key")) -}}
{{- end -}}
{{- toPrettyJson $config -}}
{{- end }}

{{- define "latchkey.httpPort" -}}{{ regexFind "[0-9]+$" .Values.config.http.listen }}{{- end }}
{{- define "latchkey.adminPort" -}}{{ regexFind "[0-9]+$" .Values.config.admin.listen }}{{- end }}

{{/* The host of the public URL, without scheme and port. */}}
{{- define "latchkey.publicHost" -}}
{{- regexReplaceAll "^https?://([^/:]+).*$" .Values.config.public_url "${1}" | lower -}}
{{- end }}

{{/* The memory of a pod in MiB: workers × memory_kib, 33 KB for each connection, and a base.
     `latchkey doctor` calculates it in the same way. */}}
{{- define "latchkey.memoryMiB" -}}
{{- $password := .Values.config.password | default dict -}}
{{- $kib := $password.memory_kib | default 19456 | int -}}
{{- $workers := $password.workers | default 2 | int -}}
{{- $connections := .Values.config.http.max_connections | default 20000 | int -}}
{{- add 128 (div (add (mul $workers $kib) 1023) 1024) (div (add (mul $connections 33000) 1048575) 1048576) -}}
{{- end }}

{{/* Converts a quantity of memory to MiB. Empty if its unit is not Gi, Mi, G or M. */}}
{{- define "latchkey.quantityMiB" -}}
{{- $text := . | toString -}}
{{- if hasSuffix "Gi" $text -}}{{ mulf 1024 (trimSuffix "Gi" $text | float64) | int }}
{{- else if hasSuffix "Mi" $text -}}{{ trimSuffix "Mi" $text | float64 | int }}
{{- else if hasSuffix "G" $text -}}{{ mulf 953 (trimSuffix "G" $text | float64) | int }}
{{- else if hasSuffix "M" $text -}}{{ mulf 0.953 (trimSuffix "M" $text | float64) | int }}
{{- end -}}
{{- end }}

{{/* Converts a duration of the settings (`5s`, `2m`) to seconds, rounded up. */}}
{{- define "latchkey.seconds" -}}
{{- $count := regexFind "^[0-9]+" . | int -}}
{{- if hasSuffix "ms" . -}}{{ div (add $count 999) 1000 }}
{{- else if hasSuffix "m" . -}}{{ mul $count 60 }}
{{- else if hasSuffix "h" . -}}{{ mul $count 3600 }}
{{- else -}}{{ $count }}{{- end -}}
{{- end }}
