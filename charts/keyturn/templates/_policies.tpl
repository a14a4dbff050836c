{{- /* Policies that hold only the operator ask first whether it is the operator: nobody else is slowed. */ -}}
{{- define "keyturn.onlyTheOperator" -}}
- name: only-the-operator
  expression: {{ printf "request.userInfo.username == '%s'" (include "keyturn.username" .) | quote }}
{{- end -}}

{{- /* Takes (context, name of the policy). */ -}}
{{- define "keyturn.policyBinding" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ index . 1 }}
  labels:
    {{- include "keyturn.labels" (index . 0) | nindent 4 }}
spec:
  policyName: {{ index . 1 }}
  validationActions: [Deny, Audit]
{{- end -}}
