# Short names for the commands of this repository. `just` is optional, because each recipe is one
# command that also works without `just`. The head of each script describes its arguments.

set positional-arguments

# List the recipes
[private]
default:
    @just --list

# Start the daemon. Without settings it uses the embedded stores and listens on the loopback address
run *ARGUMENTS:
    cargo run --release -- "$@"

# Run PostgreSQL and Redis for daily work: `up` starts them, `down` ends them, `env` prints settings
dev COMMAND='up':
    ./scripts/dev "$@"

# Check the format and the lints, and run the unit tests and the API tests that need no server
quick:
    ./scripts/test --quick

# Run every check that a change must pass
test:
    ./scripts/test

# Run the usual checks, and test the image, mail with Postfix, the Go example, benches and soak
all:
    ./scripts/test --all

# Run only the tests whose names contain PATTERN
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

# Measure all groups or these: token, pool, route, password, json, http, enumeration
bench *GROUPS:
    cargo bench --locked --bench latchkey -- "$@"

# Measure every endpoint of the release daemon and its limit, in about 5 minutes
load *ARGUMENTS:
    ./scripts/bench "$@"

# Cause all five incidents or some of them: redis, postgresql, smtp, worker, overload
drill *INCIDENTS:
    ./scripts/drill "$@"

# Fuzz each parser for 600 seconds. The arguments are SECONDS and then the names of targets
fuzz *ARGUMENTS:
    ./scripts/fuzz "$@"

# Build the image and its SBOM
image *ARGUMENTS:
    ./scripts/image "$@"
