#!/bin/sh
# Make the passwords and the token that the compose files name; those that are there already stay.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
# The containers read these files as users of their own (101, 472, 10001), so the files are readable and the folder is
# not: whoever can't enter the folder can't read them.
chmod 0700 secrets
for name in clickhouse_password clickhouse_ro_password grafana_admin_password http_token; do
  [ -s "secrets/$name" ] || head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n' > "secrets/$name"
  chmod 0444 "secrets/$name"
done
echo "secrets/ is complete"
