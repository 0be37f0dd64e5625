{{/* The name of everything: the release's, which is `ticketing` in the plain manifests. */}}
{{- define "ticketing.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* The settings file. Each event is kept by as many servers as the chart runs. */}}
{{- define "ticketing.settings" -}}
{{ .Values.settings | trim }}
{{- if ne .Values.payments.provider "simulated" }}

[payments]
provider = {{ .Values.payments.provider | quote }}
{{- end }}
{{- if .Values.nats.enabled }}

[messaging.nats]
stream_replicas = {{ .Values.nats.replicas }}
{{- end }}
{{- end -}}

{{/* Labels of one part: host, postgres or nats. */}}
{{- define "ticketing.selector" -}}
app.kubernetes.io/name: ticketing
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end -}}

{{- define "ticketing.labels" -}}
{{ include "ticketing.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
{{- end -}}

{{/* What a pod of the restricted standard says of each of its containers. */}}
{{- define "ticketing.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: ["ALL"]
{{- end -}}

{{/* And of itself. `user` is the one of the image. */}}
{{- define "ticketing.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ .user }}
runAsGroup: {{ .user }}
fsGroup: {{ .user }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Pods of one part keep apart: by zone and by machine. */}}
{{- define "ticketing.spread" -}}
{{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- topologyKey: {{ $key }}
  maxSkew: 1
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "ticketing.selector" $ | nindent 6 }}
{{- end }}
{{- end -}}
