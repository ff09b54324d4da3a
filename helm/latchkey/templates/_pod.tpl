{{/* The security context of every pod, for the Pod Security Standard `restricted`. */}}
{{- define "latchkey.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "latchkey.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 65532
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* The variables and mounts of a container. The argument is (dict "root" $ "for" "daemon"), or
     "migrate". Secrets are files, because everyone who may read the pod object also sees its
     variables. */}}
{{- define "latchkey.env" -}}
{{- $for := .for -}}
{{- range $setting, $_ := include "latchkey.sourcesFor" . | fromJson }}
- name: LATCHKEY_{{ $setting | replace "." "__" | upper }}_FILE
  value: /etc/latchkey/{{ $for }}-secrets/{{ $setting }}
{{- end }}
{{- with .root.Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "latchkey.volumeMounts" -}}
- name: config
  mountPath: /etc/latchkey/config
  readOnly: true
{{- if include "latchkey.sourcesFor" . | fromJson }}
- name: {{ .for }}-secrets
  mountPath: /etc/latchkey/{{ .for }}-secrets
  readOnly: true
{{- end }}
{{- with .root -}}
{{- if and (eq $.for "daemon") .Values.tls.existingSecret }}
- name: tls
  mountPath: /etc/latchkey/tls
  readOnly: true
{{- end }}
{{- if include "latchkey.isEmbedded" . }}
- name: data
  mountPath: {{ .Values.config.data_dir | default "/var/lib/latchkey" }}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end }}

{{/* The volume with the secrets of a container. */}}
{{- define "latchkey.secretVolume" -}}
{{- with include "latchkey.sourcesFor" . | fromJson }}
- name: {{ $.for }}-secrets
  projected:
    # In production the daemon refuses a secret's file that every account can read.
    defaultMode: 0440
    sources:
      {{- range $setting, $source := . }}
      - secret:
          name: {{ $source.secret }}
          items:
            - key: {{ $source.key }}
              path: {{ $setting }}
      {{- end }}
{{- end }}
{{- end }}

{{/* The volumes of a pod. The argument is (dict "root" $ "containers" (list "daemon" "migrate")). */}}
{{- define "latchkey.volumes" -}}
- name: config
  configMap:
    name: {{ include "latchkey.fullname" .root }}
{{- range .containers }}
{{- include "latchkey.secretVolume" (dict "root" $.root "for" .) }}
{{- end }}
{{- with .root }}
{{- if and (has "daemon" $.containers) .Values.tls.existingSecret }}
- name: tls
  secret:
    secretName: {{ .Values.tls.existingSecret }}
    defaultMode: 0440
{{- end }}
{{- if include "latchkey.isEmbedded" . }}
- name: data
  persistentVolumeClaim:
    claimName: {{ .Values.persistence.existingClaim }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end }}

{{/* A container that runs `latchkey migrate up`. The URL of the database is its only secret. */}}
{{- define "latchkey.migrate" -}}
- name: migrate
  image: {{ include "latchkey.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command: [/latchkey]
  args: [--config, /etc/latchkey/config/latchkey.json, migrate, up]
  env: {{- include "latchkey.env" (dict "root" . "for" "migrate") | nindent 4 }}
  resources: {{- toYaml .Values.resources | nindent 4 }}
  securityContext: {{- include "latchkey.containerSecurity" . | nindent 4 }}
  volumeMounts: {{- include "latchkey.volumeMounts" (dict "root" . "for" "migrate") | nindent 4 }}
{{- end }}

{{/* The settings that all pods have in common. */}}
{{- define "latchkey.podCommon" -}}
automountServiceAccountToken: false
# Service links would add variables such as LATCHKEY_PORT, which look like settings.
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext: {{- include "latchkey.podSecurity" . | nindent 2 }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
