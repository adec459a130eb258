{{/* The name that every object of the release starts with. */}}
{{- define "pipesegment.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What selects the operator's own pods. Never changed: a Deployment's selector is immutable. */}}
{{- define "pipesegment.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/*
managed-by is the installer's (Helm), never "pipesegment": by that value the operator knows the objects that it owns.
*/}}
{{- define "pipesegment.labels" -}}
{{ include "pipesegment.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "pipesegment.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "pipesegment.fullname" .) -}}
{{- end -}}

{{/* A digest says exactly which bytes run, so it wins over the tag. */}}
{{- define "pipesegment.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
