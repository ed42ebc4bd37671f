{{- define "webrtc-events.name" -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "webrtc-events.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "webrtc-events.account" -}}
{{ .Values.serviceAccount.name | default (include "webrtc-events.name" .) }}
{{- end }}

{{/* The address that listeners have, as a URL has it. */}}
{{- define "webrtc-events.listen" -}}
{{ ternary (printf "[%s]" .Values.listen) .Values.listen (contains ":" .Values.listen) }}
{{- end }}

{{/* What a selector names; `part` is api, network, worker or console. */}}
{{- define "webrtc-events.selector" -}}
app.kubernetes.io/name: webrtc-events
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "webrtc-events.labels" -}}
app.kubernetes.io/name: webrtc-events
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .part }}
app.kubernetes.io/component: {{ . }}
{{- end }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{/* What all pods have in common: rights, settings, secrets as files. A new ConfigMap means new pods. */}}
{{- define "webrtc-events.pod-metadata" -}}
metadata:
  labels: {{- include "webrtc-events.labels" . | nindent 4 }}
  annotations:
    checksum/settings: {{ include (print .root.Template.BasePath "/settings.yaml") .root | sha256sum }}
    {{- with .root.Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{- define "webrtc-events.pod" -}}
serviceAccountName: {{ include "webrtc-events.account" .root }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
volumes:
  - name: secret
    secret:
      secretName: {{ .root.Values.secret }}
      defaultMode: 0440
  - name: tmp
    emptyDir: {medium: Memory, sizeLimit: 64Mi}
{{- with .root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
{{- if .root.Values.topologySpreadConstraints }}
  {{- toYaml .root.Values.topologySpreadConstraints | nindent 2 }}
{{- else }}
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "webrtc-events.selector" . | nindent 8 }}
{{- end }}
{{- end }}

{{- define "webrtc-events.container" -}}
image: {{ include "webrtc-events.image" .root }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
envFrom:
  - configMapRef: {name: {{ include "webrtc-events.name" .root }}}
volumeMounts:
  - {name: secret, mountPath: /run/secrets/webrtc-events, readOnly: true}
  - {name: tmp, mountPath: /tmp}
{{- end }}

{{- define "webrtc-events.metrics-port" -}}
{{- if .root.Values.metrics.enabled -}}
- {name: metrics, containerPort: {{ .root.Values.metrics.port }}}
{{- end }}
{{- end }}
