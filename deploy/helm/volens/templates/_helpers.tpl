{{/* Every helper gets a dict with `root` (the top context) and, where it needs one, `site`. */}}

{{- define "volens.name" -}}
{{- printf "%s-%s" .root.Release.Name .site.name | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "volens.selector" -}}
app.kubernetes.io/name: volens
app.kubernetes.io/instance: {{ .root.Release.Name }}
volens/site: {{ .site.name }}
{{- end }}

{{- define "volens.labels" -}}
{{ include "volens.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "volens.image" -}}
{{ .root.Values.image.repository }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- define "volens.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
# Else the group would get rights to the root key's file at each mount.
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "volens.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* libpq reads a password from a file of mode 0600 only, and a Secret's file is readable by the group. */}}
{{- define "volens.password" -}}
umask 077
cat /run/secrets/database/pgpass > "$PGPASSFILE"
{{- end }}

{{- define "volens.databaseOptions" -}}
--database "$(cat /run/secrets/database/url)" {{ if .site.keyringDatabase }}--keyring-database "$(cat /run/secrets/database/keyring-url)" {{ end }}--root-key "$ROOT_KEY_URL"
{{- end }}

{{- define "volens.environment" -}}
env:
  - {name: VOLENS_HOME, value: /data/site}
  - {name: VOLENS_MODELS, value: /models}
  - {name: PGPASSFILE, value: /data/pgpass}
  - name: ROOT_KEY_URL
    value: {{ .site.rootKeyUrl | quote }}
{{- with .site.create }}
  - name: CONTROLLER
    value: {{ .controller | default "" | quote }}
  - name: CONTACT
    value: {{ .contact | default "" | quote }}
{{- end }}
{{- with .site.environmentSecret }}
envFrom:
  - secretRef:
      name: {{ . }}
{{- end }}
{{- end }}

{{- define "volens.mounts" -}}
- {name: home, mountPath: /data}
- {name: temporary, mountPath: /tmp}
- {name: database, mountPath: /run/secrets/database, readOnly: true}
{{- if .site.rootKeyClaim }}
- {name: root-key, mountPath: /keys}
{{- end }}
{{- end }}

{{- define "volens.volumes" -}}
- name: home
  emptyDir:
    medium: Memory
    sizeLimit: {{ .root.Values.memory.home }}
- name: temporary
  emptyDir:
    medium: Memory
    sizeLimit: {{ .root.Values.memory.temporary }}
- name: database
  secret:
    secretName: {{ .site.databaseSecret }}
    defaultMode: 0440
{{- with .site.rootKeyClaim }}
- name: root-key
  persistentVolumeClaim:
    claimName: {{ . }}
{{- end }}
{{- end }}
