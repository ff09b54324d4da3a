{{/* The chart's name, shortened to what a label may hold. */}}
{{- define "latchkey.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{/* The objects' name: 46 letters leave room for `-migrate-` and a digest. */}}
{{- define "latchkey.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 46 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "latchkey.name" . -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 46 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* What chooses the daemon's pods; never to change. */}}
{{- define "latchkey.selectorLabels" -}}
app.kubernetes.io/name: {{ include "latchkey.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end }}

{{/* Labels of an object: (dict "root" $ "component" "server"). */}}
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

{{/* The most pods that there may be. */}}
{{- define "latchkey.replicasMax" -}}
{{- if .Values.autoscaling.enabled -}}{{ .Values.autoscaling.maxReplicas }}
{{- else if .Values.keda.enabled -}}{{ .Values.keda.maxReplicas }}
{{- else -}}{{ .Values.replicas }}{{- end -}}
{{- end }}

{{- define "latchkey.scales" -}}
{{- if or .Values.autoscaling.enabled .Values.keda.enabled -}}true{{- end -}}
{{- end }}

{{/* The value at a dotted path of the settings, as JSON; empty where there is none. */}}
{{- define "latchkey.setting" -}}
{{- $at := .root.Values.config -}}
{{- range splitList "." .key -}}
{{- if kindIs "map" $at -}}{{- $at = get $at . -}}{{- else -}}{{- $at = "" -}}{{- end -}}
{{- end -}}
{{- if not (or (kindIs "invalid" $at) (and (kindIs "string" $at) (eq $at ""))) -}}{{- toJson $at -}}{{- end -}}
{{- end }}

{{/* Where each secret setting comes from: {"database.url": {"secret": …, "key": …}}, as JSON. */}}
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

{{/* Whether a setting is given at all, as a secret or as a file that the operator mounts. */}}
{{- define "latchkey.hasSecret" -}}
{{- $sources := include "latchkey.secretSources" .root | fromJson -}}
{{- if or (hasKey $sources .key) (include "latchkey.setting" (dict "root" .root "key" (printf "%s_file" .key))) -}}true{{- end -}}
{{- end }}

{{/* Without a database of its own the daemon keeps its data in files. */}}
{{- define "latchkey.isEmbedded" -}}
{{- if not (include "latchkey.hasSecret" (dict "root" . "key" "database.url")) -}}true{{- end -}}
{{- end }}

{{/* The settings as the ConfigMap holds them. */}}
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

{{/* MiB: workers × m_cost, 33 KB a connection and a base, as `latchkey doctor` reckons. */}}
{{- define "latchkey.memoryMiB" -}}
{{- $password := .Values.config.password | default dict -}}
{{- $kib := $password.memory_kib | default 19456 | int -}}
{{- $workers := $password.workers | default 2 | int -}}
{{- $connections := .Values.config.http.max_connections | default 20000 | int -}}
{{- add 128 (div (add (mul $workers $kib) 1023) 1024) (div (add (mul $connections 33000) 1048575) 1048576) -}}
{{- end }}

{{/* A quantity of memory in MiB; empty where its unit is none of ours. */}}
{{- define "latchkey.quantityMiB" -}}
{{- $text := . | toString -}}
{{- if hasSuffix "Gi" $text -}}{{ mulf 1024 (trimSuffix "Gi" $text | float64) | int }}
{{- else if hasSuffix "Mi" $text -}}{{ trimSuffix "Mi" $text | float64 | int }}
{{- else if hasSuffix "G" $text -}}{{ mulf 953 (trimSuffix "G" $text | float64) | int }}
{{- else if hasSuffix "M" $text -}}{{ mulf 0.953 (trimSuffix "M" $text | float64) | int }}
{{- end -}}
{{- end }}

{{/* Seconds of a duration of ours (`5s`, `2m`), rounded up. */}}
{{- define "latchkey.seconds" -}}
{{- $count := regexFind "^[0-9]+" . | int -}}
{{- if hasSuffix "ms" . -}}{{ div (add $count 999) 1000 }}
{{- else if hasSuffix "m" . -}}{{ mul $count 60 }}
{{- else if hasSuffix "h" . -}}{{ mul $count 3600 }}
{{- else -}}{{ $count }}{{- end -}}
{{- end }}
