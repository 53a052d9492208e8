#!/bin/bash
# Only the hashes of the passwords get into the environment; users.xml takes them from there.
set -euo pipefail

hash_of() {
  local password
  password="$(< "$1")"
  [ -n "$password" ] || { echo "start.sh: $1 is empty: run make-secrets.sh" >&2; exit 1; }
  printf %s "$password" | sha256sum | cut -d' ' -f1
}

secrets="${SECRETS:-/run/secrets}"
ANCHORWATCH_SHA256="$(hash_of "$secrets/clickhouse_password")"
GRAFANA_RO_SHA256="$(hash_of "$secrets/clickhouse_ro_password")"
export ANCHORWATCH_SHA256 GRAFANA_RO_SHA256

exec "${ENTRYPOINT:-/entrypoint.sh}" "$@"
