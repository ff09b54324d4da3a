# Functions that install the tools of the tests, except Rust and a C compiler. Other scripts source
# this file. It is not run.
# shellcheck shell=bash

DENY_VERSION=0.20.2
# Transaction mode needs 1.21 or later, and Debian 12 has 1.18.
PGBOUNCER_VERSION=1.24.1
PGBOUNCER_SHA256=da72a3aba13072876d055a3e58dd4aba4a5de4ed6148e73033185245598fd3e0

# as_root COMMAND...: runs the command as root. It uses sudo only if sudo needs no password.
as_root() {
    if [[ $EUID -eq 0 ]]; then "$@"; else sudo -n "$@"; fi
}

may_be_root() {
    [[ $EUID -eq 0 ]] || sudo -n true 2>/dev/null
}

# pg_bin: prints the directory with the programs of the newest PostgreSQL. It fails if no PostgreSQL
# is installed.
pg_bin() {
    local directory newest=''
    if [[ -n ${LATCHKEY_TEST_PG_BIN:-} ]]; then
        printf '%s\n' "$LATCHKEY_TEST_PG_BIN"
        return
    fi
    while IFS= read -r directory; do
        [[ -x $directory/initdb ]] && newest=$directory
    done < <(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V)
    if [[ -z $newest ]] && command -v initdb >/dev/null; then
        newest=$(dirname "$(readlink -f "$(command -v initdb)")")
    fi
    [[ -n $newest ]] && printf '%s\n' "$newest"
}

# missing_servers: prints the Debian names of PostgreSQL and Redis, if they are missing.
missing_servers() {
    pg_bin >/dev/null || echo postgresql-15
    command -v redis-server >/dev/null && command -v redis-cli >/dev/null || echo redis-server
}

# missing_packages: prints the Debian names of the packages that are missing, one on each line.
missing_packages() {
    missing_servers
    command -v sqlite3 >/dev/null || echo sqlite3
    [[ -x /usr/sbin/nginx ]] || command -v nginx >/dev/null || echo nginx-light
    [[ -x /usr/sbin/haproxy ]] || command -v haproxy >/dev/null || echo haproxy
    command -v prometheus >/dev/null || echo prometheus
    command -v curl >/dev/null || echo curl
    command -v node >/dev/null || echo nodejs
    command -v oathtool >/dev/null || echo oathtool
    command -v chromium >/dev/null || echo chromium
    command -v shellcheck >/dev/null || echo shellcheck
    command -v openssl >/dev/null || echo openssl
    command -v make >/dev/null || echo make
    command -v pkg-config >/dev/null || echo pkg-config
    pkg-config --exists libevent 2>/dev/null || echo libevent-dev
    pkg-config --exists openssl 2>/dev/null || echo libssl-dev
    command -v systemd-analyze >/dev/null || echo systemd
    python3 -c 'import venv, ensurepip' 2>/dev/null || echo python3-venv
}

# missing_mail_packages: prints the Debian names of the packages that only scripts/lib/postfix needs
# and that are missing.
missing_mail_packages() {
    command -v openssl >/dev/null || echo openssl
    command -v python3 >/dev/null || echo python3
    [[ -x /usr/sbin/postfix ]] || echo postfix
    [[ -x /usr/sbin/postgrey ]] || echo postgrey
    [[ -x /usr/sbin/saslpasswd2 ]] || echo sasl2-bin
    compgen -G '/usr/lib/*/sasl2/libplain.so' >/dev/null || echo libsasl2-modules
}

# ensure_packages: installs the packages of missing_packages.
ensure_packages() { install_missing missing_packages; }

# install_missing COMMAND: installs the packages whose names the command prints. If it cannot, it
# prints their names and stops the script.
install_missing() {
    local missing=$1 packages
    mapfile -t packages < <("$missing")
    [[ ${#packages[@]} -eq 0 ]] && return
    if ! command -v apt-get >/dev/null || ! may_be_root; then
        die "missing: ${packages[*]}. Install them (Debian's names) and start again."
    fi
    say "installing ${packages[*]}"
    as_root apt-get update -q
    # Without this setting, Debian's package writes a configuration and starts Postfix on port 25.
    if [[ " ${packages[*]} " == *' postfix '* ]]; then
        as_root debconf-set-selections <<<'postfix postfix/main_mailer_type select No configuration'
    fi
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends ca-certificates "${packages[@]}"
    mapfile -t packages < <("$missing")
    [[ ${#packages[@]} -eq 0 ]] || die "still missing after the installation: ${packages[*]}"
}

# ensure_cargo_tools: installs the missing components of the toolchain, and builds cargo-deny if it
# is missing.
ensure_cargo_tools() {
    cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
    cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
    if ! cargo deny --version >/dev/null 2>&1; then
        say "building cargo-deny $DENY_VERSION: some minutes, once"
        cargo install --locked --version "$DENY_VERSION" cargo-deny
    fi
}

# python_with FOLDER: prints the path of a Python that has the packages in
# tests/FOLDER/requirements.txt. It creates the environment of this Python once and uses it again.
# The packages in tests/FOLDER/requirements-no-deps.txt are installed without their dependencies
# and for any version of Python.
python_with() {
    local folder=$ROOT/tests/$1 home=$CACHE/latchkey-python-$1 no_deps=requirements-no-deps.txt
    local files=("$folder/requirements.txt")
    if [[ -f $folder/$no_deps ]]; then files+=("$folder/$no_deps"); fi
    if ! cat "${files[@]}" | cmp -s - "$home/requirements.txt"; then
        rm -rf "$home"
        # `set -e` has no effect here, because the callers read the output of this function.
        python3 -m venv "$home" >&2 || die "python3 cannot create $home"
        "$home/bin/pip" install -q --disable-pip-version-check -r "$folder/requirements.txt" >&2 ||
            die "pip cannot install the packages of tests/$1/requirements.txt"
        if [[ -f $folder/$no_deps ]]; then
            "$home/bin/pip" install -q --disable-pip-version-check --no-deps --ignore-requires-python \
                -r "$folder/$no_deps" >&2 || die "pip cannot install the packages of tests/$1/$no_deps"
        fi
        cat "${files[@]}" >"$home/requirements.txt"
    fi
    printf '%s\n' "$home/bin/python"
}

# node_with FOLDER: prints the path of the directory with the packages of npm that
# tests/FOLDER/package.json names. It installs them once and uses them again. The lock file has the
# checksums of the packages. Programs in the packages do not run during the installation.
node_with() {
    local folder=$ROOT/tests/$1 home=$CACHE/latchkey-node-$1
    if ! cmp -s "$folder/package-lock.json" "$home/installed.json"; then
        install_missing missing_npm >&2
        rm -rf "$home"
        mkdir -p "$home"
        cp "$folder/package.json" "$folder/package-lock.json" "$home/"
        # `set -e` has no effect here, because the callers read the output of this function.
        npm ci --prefix "$home" --ignore-scripts --no-audit --no-fund --loglevel=error >&2 ||
            die "npm cannot install the packages of tests/$1/package.json"
        cp "$folder/package-lock.json" "$home/installed.json"
    fi
    printf '%s\n' "$home/node_modules"
}

# missing_npm: prints the Debian name of npm, if it is missing. Debian's npm has 400 packages, so it
# is installed only if a script needs it.
missing_npm() { command -v npm >/dev/null || echo npm; }

# pgbouncer: prints the path of PgBouncer. It builds the program once, from the source package of
# the distribution's archive.
pgbouncer() {
    local home=$CACHE/latchkey-pgbouncer-$PGBOUNCER_VERSION name=pgbouncer-$PGBOUNCER_VERSION
    local archive build
    if [[ ! -x $home/pgbouncer ]]; then
        say "building PgBouncer $PGBOUNCER_VERSION: half a minute, once" >&2
        build=$(mktemp -d)
        # shellcheck disable=SC2016 # apt-get expands this.
        archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' | head -1)
        curl -fsS --retry 3 -o "$build/source.tar.gz" \
            "${archive%/}/pool/main/p/pgbouncer/pgbouncer_$PGBOUNCER_VERSION.orig.tar.gz"
        echo "$PGBOUNCER_SHA256  $build/source.tar.gz" | sha256sum --check --quiet
        tar -xzf "$build/source.tar.gz" -C "$build"
        (
            cd "$build/$name"
            ./configure -q --without-cares --without-pam --without-systemd
            make -s -j "$(nproc)" pgbouncer
        ) >"$build/log" 2>&1 || die "PgBouncer cannot be built: $(tail -5 "$build/log")"
        mkdir -p "$home"
        mv "$build/$name/pgbouncer" "$home/"
        rm -rf "$build"
    fi
    printf '%s\n' "$home/pgbouncer"
}
