{{- define "placet.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "placet.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "placet.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{ include "placet.selectorLabels" . }}
app.kubernetes.io/version: {{ include "placet.build" . | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "placet.build" -}}
{{- default .Chart.AppVersion .Values.image.tag -}}
{{- end -}}

{{- define "placet.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "placet.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Each variable that the Secret holds, with its key. */}}
{{- define "placet.secrets" -}}
PLACET_DATABASE_URL: {{ .Values.secret.databaseUrlKey | quote }}
PLACET_SECRET_KEY: {{ .Values.secret.secretKeyKey | quote }}
{{- range $name, $key := .Values.secret.variables }}
{{ $name }}: {{ $key | quote }}
{{- end }}
{{- end -}}

{{- define "placet.secretsFolder" -}}
/etc/placet/secrets
{{- end -}}

{{/* Variables whose secret Placet reads from the file that NAME_FILE names; those of actions, PLACET_SECRET_…, are besides. */}}
{{- define "placet.readFromFiles" -}}
PLACET_DATABASE_URL PLACET_SECRET_KEY PLACET_ENGINE_DATABASE PLACET_METRICS_TOKEN PLACET_OIDC_CLIENT_SECRET PLACET_DRAFTING_KEY
PLACET_SMTP_PASSWORD PLACET_CHAT_URLS PLACET_SMS_URLS PLACET_SLACK_BOT_TOKEN PLACET_SLACK_SIGNING_SECRET PLACET_TEAMS_URL PLACET_TEAMS_SECRETS
TEMPORAL_API_KEY
AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
AZURE_STORAGE_ACCOUNT_KEY AZURE_STORAGE_CLIENT_SECRET AZURE_STORAGE_SAS_KEY
{{- end -}}

{{/* How a container gets a secret (dict "root" $ "name" "PLACET_…"): `path`, a variable that names a file by itself; `file`, by NAME_FILE; `variable`. */}}
{{- define "placet.secretKind" -}}
{{- if or (hasSuffix "_FILE" .name) (eq "GOOGLE_APPLICATION_CREDENTIALS" .name) -}}
path
{{- else if and .root.Values.secret.mount (or (hasPrefix "PLACET_SECRET_" .name) (has .name (regexSplit "\\s+" (include "placet.readFromFiles" .root) -1))) -}}
file
{{- else -}}
variable
{{- end -}}
{{- end -}}

{{/* The keys of the Secret that are mounted, as a set. */}}
{{- define "placet.mountedKeys" -}}
{{- range $name, $key := include "placet.secrets" . | fromYaml }}
{{- if ne "variable" (include "placet.secretKind" (dict "root" $ "name" $name)) }}
{{ $key | quote }}: true
{{- end }}
{{- end }}
{{- end -}}

{{/* What every container has; the settings of people are in a ConfigMap beside it. */}}
{{- define "placet.env" -}}
- name: PLACET_HOME
  value: /var/lib/placet
- name: TMPDIR
  value: /tmp
{{- range $name, $key := include "placet.secrets" . | fromYaml }}
{{- $kind := include "placet.secretKind" (dict "root" $ "name" $name) }}
{{- if eq $kind "variable" }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef: {name: {{ $.Values.secret.name }}, key: {{ $key | quote }}}
{{- else }}
- name: {{ $name }}{{ if eq $kind "file" }}_FILE{{ end }}
  value: {{ include "placet.secretsFolder" $ }}/{{ $key }}
{{- end }}
{{- end }}
- name: TEMPORAL_ADDRESS
  value: {{ .Values.temporal.address | quote }}
- name: TEMPORAL_NAMESPACE
  value: {{ .Values.temporal.namespace | quote }}
{{- if .Values.temporal.uiUrl }}
- name: TEMPORAL_UI_URL
  value: {{ .Values.temporal.uiUrl | quote }}
{{- end }}
{{- if .Values.temporal.tlsSecret }}
- name: TEMPORAL_TLS_CA
  value: /etc/placet/tls/ca.crt
- name: TEMPORAL_TLS_CERT
  value: /etc/placet/tls/tls.crt
- name: TEMPORAL_TLS_KEY
  value: /etc/placet/tls/tls.key
{{- end }}
{{- if .Values.publicUrl }}
- name: PLACET_PUBLIC_URL
  value: {{ .Values.publicUrl | quote }}
{{- end }}
{{- if .Values.attachments.url }}
- name: PLACET_ATTACHMENTS_URL
  value: {{ .Values.attachments.url | quote }}
{{- end }}
{{- end -}}

{{- define "placet.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "placet.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* The root of the file system is read-only: these are what a process writes to. */}}
{{- define "placet.volumeMounts" -}}
- name: home
  mountPath: /var/lib/placet
- name: tmp
  mountPath: /tmp
{{- if .Values.attachments.existingClaim }}
- name: attachments
  mountPath: /var/lib/placet/attachments
{{- end }}
{{- if include "placet.mountedKeys" . }}
- name: secrets
  mountPath: {{ include "placet.secretsFolder" . }}
  readOnly: true
{{- end }}
{{- if .Values.temporal.tlsSecret }}
- name: temporal-tls
  mountPath: /etc/placet/tls
  readOnly: true
{{- end }}
{{- end -}}

{{- define "placet.volumes" -}}
- name: home
  emptyDir: {}
- name: tmp
  emptyDir: {}
{{- if .Values.attachments.existingClaim }}
- name: attachments
  persistentVolumeClaim:
    claimName: {{ .Values.attachments.existingClaim }}
{{- end }}
{{- with include "placet.mountedKeys" . | fromYaml }}
# The Secret's own owner is root: the pod's group may read it, and nobody may change it.
- name: secrets
  secret:
    secretName: {{ $.Values.secret.name }}
    defaultMode: 0440
    items:
      {{- range $key, $_ := . }}
      - {key: {{ $key | quote }}, path: {{ $key | quote }}}
      {{- end }}
{{- end }}
{{- if .Values.temporal.tlsSecret }}
- name: temporal-tls
  secret:
    secretName: {{ .Values.temporal.tlsSecret }}
    defaultMode: 0440
{{- end }}
{{- end -}}

{{/* A Deployment: (dict "root" $ "name" "api" "values" .Values.api "grace" 30 "container" "…") */}}
{{- define "placet.deployment" -}}
{{- $root := .root -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "placet.fullname" $root }}-{{ .name }}
  labels:
    {{- include "placet.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .name }}
spec:
  {{- if not .scaled }}
  replicas: {{ .values.replicas }}
  {{- end }}
  # A new pod is ready before an old one is stopped.
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
  selector:
    matchLabels:
      {{- include "placet.selectorLabels" $root | nindent 6 }}
      app.kubernetes.io/component: {{ .name }}
  template:
    metadata:
      labels:
        {{- include "placet.labels" $root | nindent 8 }}
        app.kubernetes.io/component: {{ .name }}
      annotations:
        # Pods that read other settings are other pods.
        placet/settings: {{ toJson $root.Values.settings | sha256sum }}
        {{- with .values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "placet.serviceAccountName" $root }}
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: {{ .grace }}
      {{- with $root.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- include "placet.podSecurity" $root | nindent 8 }}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "placet.selectorLabels" $root | nindent 14 }}
              app.kubernetes.io/component: {{ .name }}
      containers:
        - name: {{ .name }}
          image: "{{ $root.Values.image.repository }}:{{ include "placet.build" $root }}"
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          {{- .container | nindent 10 }}
          envFrom:
            - configMapRef:
                name: {{ include "placet.fullname" $root }}
          securityContext:
            {{- include "placet.containerSecurity" $root | nindent 12 }}
          resources:
            {{- toYaml .values.resources | nindent 12 }}
          volumeMounts:
            {{- include "placet.volumeMounts" $root | nindent 12 }}
      volumes:
        {{- include "placet.volumes" $root | nindent 8 }}
      {{- with .values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .values.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
{{- end -}}
