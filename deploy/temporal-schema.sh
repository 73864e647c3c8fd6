#!/bin/sh
# Makes or updates Temporal's two databases. Safe to run again: creating what exists is skipped.
set -eu
SQL_PASSWORD=$(cat /run/secrets/temporal-db-password)
export SQL_PASSWORD
for db in temporal temporal_visibility; do
  schema=temporal
  [ "$db" = temporal_visibility ] && schema=visibility
  temporal-sql-tool --db "$db" create || true
  temporal-sql-tool --db "$db" setup-schema -v 0.0 || true
  temporal-sql-tool --db "$db" update-schema --schema-name "postgresql/v12/$schema"
done
