#!/usr/bin/env bash
# Runs at every start, before the migrations: one database per service, owned by a role that may connect to no other.
# Makes what is missing, whenever an earlier start ended, and gives each role the password of its secret.
set -euo pipefail
export PGHOST=postgres PGUSER=postgres PGDATABASE=postgres
PGPASSWORD=$(</run/secrets/postgres_password)
export PGPASSWORD
for service in registry matching projects notifications; do
  password=$(<"/run/secrets/${service}_database_password") \
    psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 -v service="$service" <<'SQL'
\getenv password password
select format('create role %I', :'service') where not exists (select from pg_roles where rolname = :'service') \gexec
alter role :"service" login password :'password' nosuperuser nocreatedb nocreaterole connection limit 60;
select format('create database %I owner %I', :'service', :'service')
  where not exists (select from pg_database where datname = :'service') \gexec
revoke all on database :"service" from public;
SQL
done
psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 -c 'revoke connect on database postgres, template1 from public'
