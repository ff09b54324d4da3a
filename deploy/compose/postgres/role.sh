#!/bin/sh
# Creates latchkey's own role. It is no superuser, because row-level security does not apply to a
# superuser.
set -eu
password=$(cat /run/secrets/database_password)
psql -X -q -v ON_ERROR_STOP=1 -v password="$password" -U postgres -d postgres <<'SQL'
CREATE ROLE latchkey LOGIN PASSWORD :'password';
CREATE DATABASE latchkey OWNER latchkey;
SQL
