#!/bin/sh
# Runs once, on an empty data folder: the catalog's own user and database.
set -eu
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" -v password="$(cat /run/secrets/assetflow-db-password)" <<'SQL'
CREATE ROLE assetflow LOGIN PASSWORD :'password';
CREATE DATABASE assetflow OWNER assetflow;
SQL
