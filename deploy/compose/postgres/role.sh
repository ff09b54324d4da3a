#!/bin/sh
# latchkey's own role: a plain one, since row-level security does not hold a superuser.
set -eu
password=$(cat /run/secrets/database_password)
psql -X -q -v ON_ERROR_STOP=1 -v password="$password" -U postgres -d postgres <<'SQL'
CREATE ROLE latchkey LOGIN PASSWORD :'password';
CREATE DATABASE latchkey OWNER latchkey;
SQL
