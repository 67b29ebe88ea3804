#!/bin/sh
# Run once by PostgreSQL's image, when its volume is empty: Placet's own role and database, and those of Temporal.
set -eu
psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres --set password="$PLACET_DATABASE_PASSWORD" <<'SQL'
CREATE ROLE placet LOGIN PASSWORD :'password';
CREATE DATABASE placet OWNER placet;
CREATE DATABASE temporal_visibility;
SQL
