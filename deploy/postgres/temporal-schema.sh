#!/bin/sh
# Bring the tables of Temporal to the version of this tool, in both of its databases; may be run again at any time.
# SQL_PLUGIN, SQL_HOST, SQL_PORT, SQL_USER and SQL_PASSWORD say where.
set -eu
for schema in temporal visibility; do
    case $schema in
        temporal) SQL_DATABASE=temporal ;;
        visibility) SQL_DATABASE=temporal_visibility ;;
    esac
    export SQL_DATABASE
    # An update fails where there is no version table yet: then it is a new database.
    temporal-sql-tool update-schema --schema-name "postgresql/v12/$schema" || {
        temporal-sql-tool setup-schema --version 0.0
        temporal-sql-tool update-schema --schema-name "postgresql/v12/$schema"
    }
done
