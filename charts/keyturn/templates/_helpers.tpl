{{- /* Names and labels that several templates share. Names leave room for suffixes within 63 characters. */ -}}

{{- define "keyturn.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "keyturn.fullname" -}}
{{- $name := include "keyturn.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "keyturn.selectorLabels" -}}
app.kubernetes.io/name: {{ include "keyturn.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "keyturn.labels" -}}
{{ include "keyturn.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: keyturn
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "keyturn.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "keyturn.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- /* The operator as the API server knows it: the name in admission policies. */ -}}
{{- define "keyturn.username" -}}
{{- printf "system:serviceaccount:%s:%s" .Release.Namespace (include "keyturn.serviceAccountName" .) -}}
{{- end -}}

{{- define "keyturn.image" -}}
{{- $registry := default .Values.image.registry .Values.global.imageRegistry -}}
{{- $repository := ternary (printf "%s/%s" $registry .Values.image.repository) .Values.image.repository (ne $registry "") -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "keyturn.port" -}}
{{- regexFind "[0-9]+$" .Values.settings.listen -}}
{{- end -}}

{{- /* The one subject of all bindings. */ -}}
{{- define "keyturn.subjects" -}}
- kind: ServiceAccount
  name: {{ include "keyturn.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}
