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

{{/* Secrets are files, because everyone who may read the pod object also sees its variables. */}}
{{- define "latchkey.env" -}}
{{- range $setting, $_ := include "latchkey.secretSources" . | fromJson }}
- name: LATCHKEY_{{ $setting | replace "." "__" | upper }}_FILE
  value: /etc/latchkey/secrets/{{ $setting }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "latchkey.volumeMounts" -}}
- name: config
  mountPath: /etc/latchkey/config
  readOnly: true
{{- if include "latchkey.secretSources" . | fromJson }}
- name: secrets
  mountPath: /etc/latchkey/secrets
  readOnly: true
{{- end }}
{{- if .Values.tls.existingSecret }}
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

{{- define "latchkey.volumes" -}}
{{- $sources := include "latchkey.secretSources" . | fromJson -}}
- name: config
  configMap:
    name: {{ include "latchkey.fullname" . }}
{{- if $sources }}
- name: secrets
  projected:
    # In production the daemon refuses a secret's file that every account can read.
    defaultMode: 0440
    sources:
      {{- range $setting, $source := $sources }}
      - secret:
          name: {{ $source.secret }}
          items:
            - key: {{ $source.key }}
              path: {{ $setting }}
      {{- end }}
{{- end }}
{{- with .Values.tls.existingSecret }}
- name: tls
  secret:
    secretName: {{ . }}
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

{{/* A container that runs `latchkey migrate up`. */}}
{{- define "latchkey.migrate" -}}
- name: migrate
  image: {{ include "latchkey.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command: [/latchkey]
  args: [--config, /etc/latchkey/config/latchkey.json, migrate, up]
  env: {{- include "latchkey.env" . | nindent 4 }}
  resources: {{- toYaml .Values.resources | nindent 4 }}
  securityContext: {{- include "latchkey.containerSecurity" . | nindent 4 }}
  volumeMounts: {{- include "latchkey.volumeMounts" . | nindent 4 }}
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
