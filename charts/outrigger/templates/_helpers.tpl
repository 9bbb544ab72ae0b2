{{- define "outrigger.labels" -}}
app.kubernetes.io/name: outrigger
app.kubernetes.io/component: manager
{{- end }}

{{- define "outrigger.metadata-labels" -}}
{{ include "outrigger.labels" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}
