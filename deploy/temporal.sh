#!/bin/sh
# Starts the Temporal server, which takes its database password from the environment alone.
set -eu
POSTGRES_PWD=$(cat /run/secrets/temporal-db-password)
export POSTGRES_PWD
exec /etc/temporal/entrypoint.sh
