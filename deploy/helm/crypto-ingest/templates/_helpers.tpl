{{- define "crypto-ingest.name" -}}
{{- if contains "crypto-ingest" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-crypto-ingest" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Of what is alike in all instances of a service: (dict "root" $ "service" name). */}}
{{- define "crypto-ingest.selector" -}}
app.kubernetes.io/name: crypto-ingest
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .service }}
{{- end -}}

{{- define "crypto-ingest.labels" -}}
{{ include "crypto-ingest.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "crypto-ingest.image" -}}
{{- $name := printf "crypto-ingest-%s" .service -}}
{{- $tag := .root.Values.image.tag | default .root.Chart.AppVersion -}}
{{- if .root.Values.image.registry -}}
{{- printf "%s/%s:%s" .root.Values.image.registry $name $tag -}}
{{- else -}}
{{- printf "%s:%s" $name $tag -}}
{{- end -}}
{{- end -}}

{{/* What a pod may not do. */}}
{{- define "crypto-ingest.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "crypto-ingest.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Settings for all services, and the secrets that this one needs. */}}
{{- define "crypto-ingest.env" -}}
- {name: KAFKA_BOOTSTRAP_SERVERS, value: {{ .root.Values.kafka.bootstrapServers | quote }}}
- {name: KAFKA_BROKERS, value: {{ .root.Values.kafka.brokers | quote }}}
- {name: KAFKA_SECURITY_PROTOCOL, value: {{ .root.Values.kafka.securityProtocol | quote }}}
{{- if hasPrefix "SASL" .root.Values.kafka.securityProtocol }}
- {name: KAFKA_SASL_MECHANISM, value: {{ .root.Values.kafka.saslMechanism | quote }}}
- {name: KAFKA_USERNAME, value: {{ .root.Values.kafka.username | quote }}}
- name: KAFKA_PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ .root.Values.kafka.passwordSecret }}, key: password}
{{- end }}
{{- if .root.Values.kafka.caSecret }}
- {name: KAFKA_CA_FILE, value: /etc/kafka-ca/ca.crt}
{{- end }}
{{- if eq .service "migrate" }}
- name: DATABASE_URL
  valueFrom:
    secretKeyRef: {name: {{ .root.Values.database.ownerSecret }}, key: {{ .root.Values.database.ownerKey }}}
{{- else if has .service (list "extractor" "loader" "gateway") }}
{{- with .root.Values.database }}
- name: DATABASE_URL
  value: {{ printf "postgresql://%s@%s:%v/%s?sslmode=%s" .owner .host .port .name .sslmode | quote }}
{{- end }}
{{- end }}
{{- $secrets := dict
  "migrate" (list "LOADER_PASSWORD" "READER_PASSWORD")
  "extractor" (list "READER_PASSWORD" "API_KEY" "INSTALLATION_SECRET" "COINPAPRIKA_API_KEY")
  "loader" (list "LOADER_PASSWORD" "API_KEY" "INSTALLATION_SECRET")
  "notifier" (list "API_KEY" "INSTALLATION_SECRET")
  "gateway" (list "READER_PASSWORD" "API_KEY" "INSTALLATION_SECRET") -}}
{{- range get $secrets .service | default list }}
- name: {{ . }}
  valueFrom:
    secretKeyRef: {name: {{ $.root.Values.secret }}, key: {{ . }}{{ if eq . "COINPAPRIKA_API_KEY" }}, optional: true{{ end }}}
{{- end }}
- {name: METRICS_PORT, value: "9464"}
- {name: METRICS_HOST, value: 0.0.0.0}
- {name: HEALTH_FILE, value: /tmp/health.json}
{{- if or (eq .service "extractor") (eq .service "gateway") }}
- {name: CSV_DIR, value: {{ .root.Values.csv.url | default "/data/csv" }}}
{{- if .root.Values.csv.secret }}
{{- range list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" "AWS_SESSION_TOKEN" "AWS_REGION" "AWS_ENDPOINT_URL" }}
- name: {{ . }}
  valueFrom:
    secretKeyRef: {name: {{ $.root.Values.csv.secret }}, key: {{ . }}, optional: true}
{{- end }}
{{- end }}
{{- end }}
{{- if eq .service "gateway" }}
- {name: TRUSTED_PROXIES, value: "*"}
{{- end }}
{{- end -}}

{{/* Temporary files, the CA of Kafka, and files where the service uses them. */}}
{{- define "crypto-ingest.volumes" -}}
- name: tmp
  emptyDir: {}
{{- if .root.Values.kafka.caSecret }}
- name: kafka-ca
  secret: {secretName: {{ .root.Values.kafka.caSecret }}}
{{- end }}
{{- if or (eq .service "extractor") (eq .service "gateway") }}
- name: csv
  {{- if .root.Values.csv.existingClaim }}
  persistentVolumeClaim: {claimName: {{ .root.Values.csv.existingClaim }}}
  {{- else }}
  emptyDir: {}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "crypto-ingest.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if .root.Values.kafka.caSecret }}
- {name: kafka-ca, mountPath: /etc/kafka-ca, readOnly: true}
{{- end }}
{{- if eq .service "extractor" }}
- {name: csv, mountPath: /data/csv, readOnly: true}
{{- else if eq .service "gateway" }}
- {name: csv, mountPath: /data/csv}
{{- end }}
{{- end -}}
