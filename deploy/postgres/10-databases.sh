#!/usr/bin/env bash
# Runs once, when the data folder is new: one database per service, owned by a role that may connect to no other.
set -euo pipefail
for service in registry matching projects notifications; do
  psql --no-psqlrc -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
    -v service="$service" -v password="$(<"/run/secrets/${service}_database_password")" <<'SQL'
create role :"service" login password :'password' nosuperuser nocreatedb nocreaterole connection limit 60;
create database :"service" owner :"service";
revoke all on database :"service" from public;
SQL
done
psql --no-psqlrc -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres -c 'revoke connect on database postgres, template1 from public'
