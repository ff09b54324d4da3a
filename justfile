# Short names for the commands of this repository. `just` is optional: each recipe is one command
# that also works alone. The head of each script describes its arguments.

set positional-arguments

# List the recipes
[private]
default:
    @just --list

# Start the daemon. Without settings it uses embedded stores and listens on the loopback
run *ARGUMENTS:
    cargo run --release -- "$@"

# Run PostgreSQL and Redis for daily work: `up` starts them, `down` ends them, `env` prints settings
dev COMMAND='up':
    ./scripts/dev "$@"

# Check format, lints, unit tests and the API on the embedded stores, without any server
quick:
    ./scripts/test --quick

# Run every check that a change must pass
test:
    ./scripts/test

# Run the usual checks, the image, the Go example, the benches and the soak tests
all:
    ./scripts/test --all

# Run the tests whose names contain PATTERN
one PATTERN:
    ./scripts/test -k "$@"

# Run Clippy on the workspace and every target
lint:
    cargo clippy --locked --workspace --all-targets -- -D warnings

# Format the Rust code
fmt:
    cargo fmt --all

# Build the documentation of the code. Warnings are errors
docs:
    RUSTDOCFLAGS=-Dwarnings cargo doc --locked --workspace --no-deps

# Measure all parts, or the groups named: token, pool, route, password, json, http, enumeration
bench *GROUPS:
    cargo bench --locked --bench latchkey -- "$@"

# Cause five incidents, or those named: redis, postgresql, smtp, worker, overload
drill *INCIDENTS:
    ./scripts/drill "$@"

# Fuzz each parser for 600 seconds. Arguments: SECONDS TARGET...
fuzz *ARGUMENTS:
    ./scripts/fuzz "$@"

# Build the image and its SBOM
image *ARGUMENTS:
    ./scripts/image "$@"
