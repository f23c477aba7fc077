#!/bin/sh
# Runs once, in an empty server, as its superuser: makes the database, the user that owns it, and the role under which tenants' work runs.
# The role is made here so that the owner needs no right to make roles (docs/access.md, "Tenants kept apart").
set -eu
export ENDCAP_DATABASE_PASSWORD_FILE="${ENDCAP_DATABASE_PASSWORD_FILE:-/run/secrets/database-password}"
# psql reads the password itself, so that it is in no list of processes, and quotes it, so that it may hold any character.
psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
\set password `cat "$ENDCAP_DATABASE_PASSWORD_FILE"`
CREATE ROLE endcap LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'password';
CREATE ROLE endcap_tenant NOLOGIN;
GRANT endcap_tenant TO endcap;
CREATE DATABASE endcap OWNER endcap ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE endcap FROM PUBLIC;
SQL
