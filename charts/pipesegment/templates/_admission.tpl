{{/*
Parts of the admission policies (docs/admission.md). Their parameters are the stages' own NetworkPolicies: what gives pods a
reach says whose pods those are, and where there is none nothing is refused (docs/adr/0039).
*/}}

{{/* validationActions for what a value says. Audit comes along: a refusal leaves a trace beside the request's own. */}}
{{- define "pipesegment.admission.actions" -}}
{{- if eq . "Audit" -}}[Audit]{{- else -}}[{{ . }}, Audit]{{- end -}}
{{- end -}}

{{/*
Another name for a binding that does not deny: the one that does is then as old as its denying, and the operator believes
nothing that is older.
*/}}
{{- define "pipesegment.admission.softly" -}}
{{- if ne . "Deny" -}}-{{ lower . }}{{- end -}}
{{- end -}}

{{- define "pipesegment.admission.operator" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "pipesegment.serviceAccountName" . }}
{{- end -}}

{{/* The control plane's namespaces and the operator's own: a policy that errs must not keep the cluster from its mending. */}}
{{- define "pipesegment.admission.namespaces" -}}
namespaceSelector:
  matchExpressions:
    - key: kubernetes.io/metadata.name
      operator: NotIn
      values: {{ concat (list "kube-system" "kube-public" "kube-node-lease" .Release.Namespace) .Values.admission.exempt.namespaces | uniq | toJson }}
{{- end -}}

{{/* The stages of a request's namespace; `more` narrows them by label. */}}
{{- define "pipesegment.admission.stages" -}}
paramRef:
  parameterNotFoundAction: Allow
  selector:
    matchLabels:
      app.kubernetes.io/managed-by: pipesegment
      {{- range $label, $value := .labels }}
      {{ $label }}: {{ $value | quote }}
      {{- end }}
    matchExpressions:
      - {key: pipesegment.dev/stage, operator: Exists}
      - {key: pipesegment.dev/origin, operator: DoesNotExist}
      - {key: pipesegment.dev/part, operator: DoesNotExist}
      {{- range .expressions }}
      - {{ . }}
      {{- end }}
{{- end -}}

{{- define "pipesegment.admission.exempt" -}}
- name: not-exempt
  expression: >-
    !(request.userInfo.username in {{ .Values.admission.exempt.users | toJson }})
    && !request.userInfo.groups.exists(g, g in {{ .Values.admission.exempt.groups | toJson }})
{{- end -}}

{{/* Whether the stage's podSelector selects an object's labels; `.` is the object. */}}
{{- define "pipesegment.admission.selects" -}}
(!has(params.spec.podSelector.matchLabels) || params.spec.podSelector.matchLabels.all(k,
  has({{ . }}.metadata.labels) && k in {{ . }}.metadata.labels
  && {{ . }}.metadata.labels[k] == params.spec.podSelector.matchLabels[k]))
&& (!has(params.spec.podSelector.matchExpressions) || params.spec.podSelector.matchExpressions.all(e,
  has({{ . }}.metadata.labels) && e.key in {{ . }}.metadata.labels
  ? e.operator == 'Exists' || e.operator == 'In' && {{ . }}.metadata.labels[e.key] in e.values
    || e.operator == 'NotIn' && !({{ . }}.metadata.labels[e.key] in e.values)
  : e.operator in ['NotIn', 'DoesNotExist']))
{{- end -}}

{{- define "pipesegment.admission.runsAsStage" -}}
(has(object.spec.serviceAccountName) ? object.spec.serviceAccountName : 'default')
== (has(params.metadata.annotations) && 'pipesegment.dev/service-account' in params.metadata.annotations
  ? params.metadata.annotations['pipesegment.dev/service-account'] : params.metadata.name)
{{- end -}}

{{/*
Conditions of the policies about pods. Most pods have nothing to do with most stages: what is no concern of a stage ends here,
before the API server prepares validations, messages and all their inputs once more each.
*/}}
{{- define "pipesegment.admission.concerns" -}}
{{ include "pipesegment.admission.exempt" . }}
- name: concerns-the-stage
  expression: >-
    {{- include "pipesegment.admission.runsAsStage" . | nindent 4 }}
    || {{- include "pipesegment.admission.selects" "object" | nindent 4 }}
    || request.operation == 'UPDATE' && {{- include "pipesegment.admission.selects" "oldObject" | nindent 4 }}
{{- end -}}

{{- define "pipesegment.admission.variables" -}}
- name: stage
  expression: params.metadata.labels['pipesegment.dev/segment'] + '/' + params.metadata.labels['pipesegment.dev/stage']
- name: marks
  expression: "has(params.metadata.annotations) ? params.metadata.annotations : {}"
- name: account
  expression: >-
    'pipesegment.dev/service-account' in variables.marks
    ? variables.marks['pipesegment.dev/service-account'] : params.metadata.name
{{- end -}}

{{/* Whose pod it is: by its labels, by the labels that it had, by its account. */}}
{{- define "pipesegment.admission.pod" -}}
{{ include "pipesegment.admission.variables" . }}
- name: selected
  expression: >-
    {{- include "pipesegment.admission.selects" "object" | nindent 4 }}
- name: selectedBefore
  expression: >-
    request.operation == 'UPDATE' && {{- include "pipesegment.admission.selects" "oldObject" | nindent 4 }}
- name: runsAsStage
  expression: >-
    {{- include "pipesegment.admission.runsAsStage" . | nindent 4 }}
{{- end -}}
