{{/* The common part of all names: the name of the release. It is `ticketing` in the plain manifests. */}}
{{- define "ticketing.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* The settings file. All servers of NATS that the chart runs keep each event. */}}
{{- define "ticketing.settings" -}}
{{ .Values.settings | trim }}
{{- $operator := printf "%s-operator" (include "ticketing.name" .) }}

[operator]
# The names of the service for operators.
hosts = ["{{ $operator }}", "{{ $operator }}.{{ .Release.Namespace }}", "{{ $operator }}.{{ .Release.Namespace }}.svc", "{{ $operator }}.{{ .Release.Namespace }}.svc.cluster.local"]
{{- if ne .Values.payments.provider "simulated" }}

[payments]
provider = {{ .Values.payments.provider | quote }}
{{- end }}
{{- if .Values.nats.enabled }}

[messaging.nats]
stream_replicas = {{ .Values.nats.replicas }}
{{- end }}
{{- end -}}

{{/* The labels of one part: host, postgres or nats. */}}
{{- define "ticketing.selector" -}}
app.kubernetes.io/name: ticketing
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end -}}

{{- define "ticketing.labels" -}}
{{ include "ticketing.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
{{- end -}}

{{/* The security context of each container, for the restricted Pod Security Standard. */}}
{{- define "ticketing.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: ["ALL"]
{{- end -}}

{{/* The security context of the pod. `user` is the user of the image. */}}
{{- define "ticketing.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ .user }}
runAsGroup: {{ .user }}
fsGroup: {{ .user }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Spreads the pods of one part over zones and machines. */}}
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
