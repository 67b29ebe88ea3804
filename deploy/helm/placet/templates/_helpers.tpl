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

{{/* What every container has; the settings of people are in a ConfigMap beside it. */}}
{{- define "placet.env" -}}
- name: PLACET_HOME
  value: /var/lib/placet
- name: TMPDIR
  value: /tmp
- name: PLACET_DATABASE_URL
  valueFrom:
    secretKeyRef: {name: {{ .Values.secret.name }}, key: {{ .Values.secret.databaseUrlKey }}}
- name: PLACET_SECRET_KEY
  valueFrom:
    secretKeyRef: {name: {{ .Values.secret.name }}, key: {{ .Values.secret.secretKeyKey }}}
{{- range $name, $key := .Values.secret.variables }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef: {name: {{ $.Values.secret.name }}, key: {{ $key }}}
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
