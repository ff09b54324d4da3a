# Functions that start a private PostgreSQL and a private Redis on the loopback address. Other
# scripts source this file. It is not run.
# shellcheck shell=bash

# PostgreSQL refuses to run as root, so root starts it as another Unix user with setpriv. The
# process of setpriv becomes the process of the server, so $! is the server's process id.
as_postgres=(env)
if [[ $EUID -eq 0 ]]; then as_postgres=(setpriv --reuid=postgres --regid=postgres --init-groups --); fi

# init_postgres DIRECTORY: creates an empty database cluster. The superuser of the cluster can
# connect only through the socket in the directory.
init_postgres() {
    local directory=$1 bin
    bin=$(pg_bin)
    mkdir -p "$directory"
    if [[ $EUID -eq 0 ]]; then chown postgres: "$directory"; fi
    (cd / && "${as_postgres[@]}" "$bin/initdb" --no-sync -A trust -U postgres -E UTF8 --locale=C.UTF-8 \
        -D "$directory/data" >"$directory.log" 2>&1) || die "initdb failed: $(tail -5 "$directory.log")"
}

# start_postgres DIRECTORY PORT [SETTING...]: starts the server, waits until it is ready, and sets
# POSTGRES_PID.
start_postgres() {
    local directory=$1 port=$2 bin settings=() setting
    shift 2
    bin=$(pg_bin)
    for setting in "$@"; do settings+=(-c "$setting"); done
    cd / || return
    "${as_postgres[@]}" "$bin/postgres" -D "$directory/data" -p "$port" -c listen_addresses=127.0.0.1 \
        -c "unix_socket_directories=$directory" -c max_connections=500 "${settings[@]}" \
        >>"$directory.log" 2>&1 &
    POSTGRES_PID=$!
    cd "$ROOT" || return
    wait_until 30 "the start of PostgreSQL (see $directory.log)" \
        "$bin/pg_isready" -q -h 127.0.0.1 -p "$port"
}

# make_role DIRECTORY PORT: creates the role `latchkey` and its database `latchkey`. The role may
# create further databases.
make_role() {
    local psql=("$(pg_bin)/psql" -X -q -v ON_ERROR_STOP=1 -h "$1" -p "$2" -U postgres -d postgres)
    [[ -n $("${psql[@]}" -At -c "SELECT 1 FROM pg_roles WHERE rolname = 'latchkey'") ]] && return
    "${psql[@]}" -c 'CREATE ROLE latchkey LOGIN CREATEDB' -c 'CREATE DATABASE latchkey OWNER latchkey'
}

# start_redis DIRECTORY PORT [ARGUMENT...]: starts the server, waits until it is ready, and sets
# REDIS_PID.
start_redis() {
    local directory=$1 port=$2
    shift 2
    mkdir -p "$directory"
    redis-server --bind 127.0.0.1 --port "$port" --dir "$directory" --databases 512 "$@" \
        >>"$directory.log" 2>&1 &
    REDIS_PID=$!
    wait_until 10 "the start of Redis (see $directory.log)" redis-cli -h 127.0.0.1 -p "$port" ping
}
