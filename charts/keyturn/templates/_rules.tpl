{{- /* What the operator does at the API server, and nothing more. The same rules go into one ClusterRole, or into a Role per namespace. */ -}}

{{- define "keyturn.namespacedRules" -}}
- apiGroups: [keyturn.dev]
  resources: [rotatingsecrets, rotationruns, awsconnections]
  verbs: [get, list, watch]
- apiGroups: [keyturn.dev]
  resources: [rotatingsecrets/status, rotationruns/status, awsconnections/status]
  verbs: [patch]
# Runs are created for changes that nobody asked for, owned by their RotatingSecret, and deleted past the history limit.
- apiGroups: [keyturn.dev]
  resources: [rotationruns]
  verbs: [create, patch, delete]
# The mirrors, and static credentials of connections. Listed and watched by label, metadata only; RBAC has no word for either.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, update]
# Consumers: patched are annotations of pod templates.
- apiGroups: [apps]
  resources: [deployments, statefulsets, daemonsets]
  verbs: [get, list, watch, patch]
{{- if .Values.rollouts.enabled }}
- apiGroups: [argoproj.io]
  resources: [rollouts]
  verbs: [get, list, watch, patch]
{{- end }}
- apiGroups: [batch]
  resources: [cronjobs, jobs]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list]
# Labels of namespaces, for the `allow` of connections.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
- apiGroups: ["", events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{- define "keyturn.clusterRules" -}}
- apiGroups: [keyturn.dev]
  resources: [clusterawsconnections]
  verbs: [get, list, watch]
- apiGroups: [keyturn.dev]
  resources: [clusterawsconnections/status]
  verbs: [patch]
{{- end -}}
