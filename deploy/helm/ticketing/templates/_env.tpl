{{/* The variables of the host. The image sets the listeners and the data directory. */}}
{{- define "ticketing.env" -}}
- name: TICKETING_CONFIG
  value: /etc/ticketing/ticketing.toml
- name: TICKETING_LOG
  value: {{ .Values.log.filter | quote }}
- name: TICKETING_LOG_FORMAT
  value: {{ .Values.log.format }}
- name: TICKETING_ORDER_EXPIRATION_SECONDS
  value: {{ .Values.orderExpirationSeconds | quote }}
- name: TICKETING_MAX_UNPAID_ORDERS
  value: {{ .Values.maxUnpaidOrders | quote }}
- name: JWT_KEY
  {{- include "ticketing.fromSecret" .Values.secrets.jwt | nindent 2 }}
- name: TICKETING_ADMIN_TOKEN
  {{- include "ticketing.fromSecret" .Values.secrets.admin | nindent 2 }}
- name: STRIPE_KEY
  {{- include "ticketing.fromSecret" .Values.secrets.stripe | nindent 2 }}
      {{- if eq .Values.payments.provider "simulated" }}
      optional: true
      {{- end }}
{{- if .Values.postgres.enabled }}
- name: POSTGRES_PASSWORD
  {{- include "ticketing.fromSecret" .Values.postgres.secret | nindent 2 }}
- name: TICKETING_DATABASE_URL
  value: postgres://ticketing:$(POSTGRES_PASSWORD)@{{ include "ticketing.name" . }}-postgres:5432/ticketing
{{- else }}
- name: TICKETING_DATABASE_URL
  {{- include "ticketing.fromSecret" .Values.postgres.urlSecret | nindent 2 }}
{{- end }}
{{- if .Values.nats.enabled }}
- name: NATS_PASSWORD
  {{- include "ticketing.fromSecret" .Values.nats.secret | nindent 2 }}
- name: TICKETING_NATS_URL
  value: nats://ticketing:$(NATS_PASSWORD)@{{ include "ticketing.name" . }}-nats:4222
{{- else }}
- name: TICKETING_NATS_URL
  {{- include "ticketing.fromSecret" .Values.nats.urlSecret | nindent 2 }}
{{- end }}
{{- if .Values.telemetry.otlpEndpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ .Values.telemetry.otlpEndpoint | quote }}
- name: OTEL_SERVICE_NAME
  value: {{ include "ticketing.name" . }}
- name: OTEL_TRACES_SAMPLER_ARG
  value: {{ .Values.telemetry.sampleRatio | quote }}
{{- end }}
{{- end -}}

{{- define "ticketing.fromSecret" -}}
valueFrom:
  secretKeyRef:
    name: {{ .name }}
    key: {{ .key }}
{{- end -}}
