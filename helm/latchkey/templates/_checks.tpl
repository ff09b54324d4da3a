{{/* The settings that are secrets. tests/helm compares this list with that of the daemon. */}}
{{- define "latchkey.secretSettings" -}}
captcha.secret database.migrate_url database.url introspection.clients mail.smtp_url password.pepper password.pepper_previous redis.url secrets.master_key secrets.master_key_previous telemetry.headers tokens.secret
{{- end }}

{{/* The command that creates the Secret that the values name. */}}
{{- define "latchkey.createSecret" -}}
{{- $examples := dict "database.migrate_url" "'postgres://latchkey_owner:PASSWORD@HOST:5432/latchkey?sslmode=verify-full'" "database.url" "'postgres://latchkey:PASSWORD@HOST:5432/latchkey?sslmode=verify-full'" "redis.url" "'rediss://default:PASSWORD@HOST:6379'" "mail.smtp_url" "'smtps://USER:PASSWORD@HOST:465'" "secrets.master_key" "\"$(openssl rand -base64 32)\"" -}}
kubectl create secret generic {{ .Values.secrets.existingSecret | default (include "latchkey.fullname" .) }} --namespace {{ .Release.Namespace }}
{{- range $setting, $key := .Values.secrets.keys -}}
{{- if and $key (not (get $.Values.secrets.from $setting)) }} --from-literal={{ $key }}={{ get $examples $setting | default "'VALUE'" }}{{ end -}}
{{- end -}}
{{- end }}

{{/* Checks that a schema cannot express. Each message names one problem and its fix. */}}
{{- define "latchkey.check" -}}
{{- $faults := list -}}
{{- $sources := include "latchkey.secretSources" . | fromJson -}}
{{- $embedded := include "latchkey.isEmbedded" . -}}
{{- $max := include "latchkey.replicasMax" . | int -}}
{{- $key := "" -}}

{{- if not (include "latchkey.setting" (dict "root" . "key" "public_url")) -}}
{{- $faults = append $faults "config.public_url is missing: set it to the URL that clients use, e.g. --set config.public_url=https://auth.example.com" -}}
{{- end -}}

{{- range splitList " " (include "latchkey.secretSettings" .) -}}
{{- if include "latchkey.setting" (dict "root" $ "key" .) -}}
{{- $faults = append $faults (printf "config.%s is a secret and would be in a ConfigMap: put it into a Secret and name its key in secrets.keys" .) -}}
{{- end -}}
{{- if and (hasKey $sources .) (include "latchkey.setting" (dict "root" $ "key" (printf "%s_file" .))) -}}
{{- $faults = append $faults (printf "%s is set twice, in config.%s_file and in secrets: set secrets.keys.%s to null" . . (replace "." "\\." .)) -}}
{{- end -}}
{{- end -}}

{{- range $setting, $source := $sources -}}
{{- if not $source.secret -}}{{- $key = $source.key -}}{{- end -}}
{{- end -}}
{{- if $key -}}
{{- $faults = append $faults (printf "secrets.existingSecret is missing. Create the Secret:\n\n    %s\n\n  and set its name: --set secrets.existingSecret=%s" (include "latchkey.createSecret" .) (include "latchkey.fullname" .)) -}}
{{- end -}}

{{- if and $embedded (or (gt $max 1) (include "latchkey.scales" .)) -}}
{{- $faults = append $faults "more than one pod needs PostgreSQL: set secrets.keys.database\\.url, or set replicas to 1" -}}
{{- else if and $embedded (not .Values.persistence.existingClaim) -}}
{{- $faults = append $faults "without database.url the data is in files: set persistence.existingClaim to the name of a claim, or the data is lost with the pod" -}}
{{- end -}}
{{- if and (not $embedded) .Values.persistence.existingClaim -}}
{{- $faults = append $faults "persistence.existingClaim is for one pod without PostgreSQL: remove it, or remove secrets.keys.database\\.url" -}}
{{- end -}}
{{- if and $embedded (hasKey $sources "database.migrate_url") -}}
{{- $faults = append $faults "secrets.keys.database\\.migrate_url is set without database.url: set secrets.keys.database\\.url to the URL of the role that serves" -}}
{{- end -}}
{{- if and (gt $max 1) (not (include "latchkey.hasSecret" (dict "root" . "key" "redis.url"))) -}}
{{- $faults = append $faults "more than one pod needs Redis: set secrets.keys.redis\\.url, or set replicas to 1" -}}
{{- end -}}
{{- if and (not $embedded) (not (include "latchkey.hasSecret" (dict "root" . "key" "secrets.master_key"))) -}}
{{- $faults = append $faults "PostgreSQL needs a master key that all pods share: set secrets.keys.secrets\\.master_key" -}}
{{- end -}}
{{- if and (eq (.Values.config.profile | default "development") "production") (not (include "latchkey.hasSecret" (dict "root" . "key" "mail.smtp_url"))) -}}
{{- $faults = append $faults "production needs a mail server: set secrets.keys.mail\\.smtp_url" -}}
{{- end -}}

{{- if and (or .Values.ingress.enabled .Values.httpRoute.enabled) (not .Values.config.http.trusted_proxies) -}}
{{- $faults = append $faults "config.http.trusted_proxies is missing: list the networks of the Ingress or Gateway, otherwise all clients behind it count as one address and share one budget" -}}
{{- end -}}
{{- range $way, $named := dict "ingress" .Values.ingress.host "httpRoute" .Values.httpRoute.hostnames -}}
{{- if and (get $.Values $way).enabled (not $named) (regexMatch "^https?://(\\[|[0-9.]+([:/]|$))" $.Values.config.public_url) -}}
{{- $faults = append $faults (printf "%s.enabled is set, but config.public_url has an IP address instead of a host name" $way) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.ingress.enabled .Values.tls.existingSecret (not (regexMatch "(?i)\\bhttps\\b[^:]|server-ssl" (printf "%s %s " (.Values.ingress.annotations | toString) (.Values.service.annotations | toString)))) -}}
{{- $faults = append $faults "tls.existingSecret behind an Ingress: the controller uses plain HTTP for the pods unless an annotation of the Ingress or of the Service sets HTTPS, e.g. ingress.annotations.nginx\\.ingress\\.kubernetes\\.io/backend-protocol=HTTPS" -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- $faults = append $faults "httpRoute.parentRefs is missing: name the Gateway, e.g. [{name: public, namespace: gateways}]" -}}
{{- end -}}
{{- range .Values.httpRoute.filters -}}
{{- if and $.Values.httpRoute.enabled (eq (.type | default "") "RequestRedirect") -}}
{{- $faults = append $faults "httpRoute.filters: a RequestRedirect cannot be combined with a backend, create a separate route in extraObjects" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled .Values.keda.enabled -}}
{{- $faults = append $faults "autoscaling.enabled and keda.enabled exclude each other: both would scale the same Deployment, disable one" -}}
{{- end -}}
{{- range $name := list "autoscaling" "keda" -}}
{{- with get $.Values $name -}}
{{- if and .enabled (gt (.minReplicas | int) (.maxReplicas | int)) -}}
{{- $faults = append $faults (printf "%s.minReplicas is above %s.maxReplicas" $name $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled .Values.networkPolicy.enabled (not .Values.networkPolicy.admin.from) -}}
{{- $faults = append $faults "serviceMonitor.enabled is set, but the NetworkPolicy blocks all requests for metrics: list Prometheus in networkPolicy.admin.from" -}}
{{- end -}}

{{- range $name := list "http" "admin" -}}
{{- if regexMatch "^(127\\.|\\[::1\\]|localhost)" (get $.Values.config $name).listen -}}
{{- $faults = append $faults (printf "config.%s.listen is the pod's loopback, which nothing outside the pod can reach: use 0.0.0.0 or [::]" $name) -}}
{{- end -}}
{{- end -}}
{{- if eq (include "latchkey.httpPort" .) (include "latchkey.adminPort" .) -}}
{{- $faults = append $faults "config.http.listen and config.admin.listen have the same port" -}}
{{- end -}}
{{- $grace := add (include "latchkey.seconds" (.Values.config.http.drain_delay | default "5s") | int) 30 -}}
{{- if gt $grace (.Values.terminationGracePeriodSeconds | int64) -}}
{{- $faults = append $faults (printf "terminationGracePeriodSeconds is too short: config.http.drain_delay, 25 s for running requests and 5 s for the last telemetry export take %d s" $grace) -}}
{{- end -}}
{{- with dig "limits" "memory" "" .Values.resources -}}
{{- $has := include "latchkey.quantityMiB" . -}}
{{- $needs := include "latchkey.memoryMiB" $ -}}
{{- if and $has (lt ($has | int) ($needs | int)) -}}
{{- $faults = append $faults (printf "resources.limits.memory is too small: config.password.workers × memory_kib, 33 KB for each of config.http.max_connections and a base of 128 MiB take %s MiB" $needs) -}}
{{- end -}}
{{- end -}}
{{- range .Values.extraEnv -}}
{{- if hasPrefix "LATCHKEY_" .name -}}
{{- $faults = append $faults (printf "extraEnv: %s is a setting of latchkey: set it in config, or in secrets if it is a secret" .name) -}}
{{- end -}}
{{- end -}}

{{- if $faults -}}
{{- fail (printf "\n\n%d %s in the values:\n\n- %s\n" (len $faults) (ternary "problem" "problems" (eq (len $faults) 1)) (join "\n- " $faults)) -}}
{{- end -}}
{{- end }}
