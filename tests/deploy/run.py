"""Checks the compose file and the systemd unit without running them.

    python3 run.py PROGRAM WORK

PROGRAM is a latchkey program, which checks the configurations. WORK is an empty folder.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "deploy/compose"
UNIT = ROOT / "deploy/systemd/latchkey.service"
# The maximum exposure of the unit, in tenths of systemd's scale from 0 (not exposed) to 10. The
# value of the unit is 12 today.
EXPOSURE_MAX = 15

program, work = sys.argv[1], pathlib.Path(sys.argv[2])
compose = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
services = compose["services"]
passed, failed = 0, 0


def check(name, wrong):
    """Reports the result of a check. `wrong` is the list of all faults that the check found."""
    global passed, failed
    wrong = [str(one) for one in wrong]
    passed, failed = passed + (not wrong), failed + bool(wrong)
    print(f"test deploy::{name} ... {'FAILED' if wrong else 'ok'}", *wrong, sep="\n  " if wrong else "", flush=True)


def run(*command, **more):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **more)
    return done.returncode, done.stdout + done.stderr


def problems(*command, **more):
    code, told = run(*command, **more)
    return [] if code == 0 else [f"exit {code}: {told}"]


def stage(name):
    """Returns the last stage of a Dockerfile, without the line that copies the program. This line
    is different in the two Dockerfiles."""
    lines = (ROOT / name).read_text().split("FROM scratch\n")[-1].splitlines()
    return [line for line in lines if not re.match(r"COPY .*/latchkey$", line)]


def one_image():
    """Yields the differences between the last stages of the two Dockerfiles. Also yields a fault if
    the version in Dockerfile is not the version of latchkey."""
    built, released = stage("Dockerfile"), stage("Dockerfile.release")
    yield from (f"only in one Dockerfile: {line}" for line in set(built) ^ set(released))
    version = re.search(r'^version = "(.+)"$', (ROOT / "Cargo.toml").read_text(), re.M)[1]
    if f"ARG VERSION={version}" not in built:
        yield f"Dockerfile: ARG VERSION is not {version}"


def context():
    """Yields the files that the build needs and that .dockerignore excludes. Also yields the other
    files of the root that .dockerignore includes."""
    let_in = [ROOT / line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    yield from (f".dockerignore: {path} is not there" for path in let_in if not path.exists())
    needed = {ROOT / name for name in ("Cargo.toml", "Cargo.lock", "askama.toml", "deploy/image/root/etc")}
    for manifest in (ROOT / "Cargo.toml", ROOT / "entity/Cargo.toml", ROOT / "migration/Cargo.toml"):
        needed |= {manifest} | {manifest.parent / path for path in re.findall(r'^path = "(.+\.rs)"$', manifest.read_text(), re.M)}
    for source in (path for folder in ("src", "entity", "migration") for path in (ROOT / folder).rglob("*.rs")):
        # A file that only tests include is not needed for the build.
        built = source.read_text().split("#[cfg(test)]")[0] if "tests" not in f"{source.parent.name} {source.stem}" else ""
        needed |= {(source.parent / name).resolve() for name in re.findall(r'include_(?:str|bytes)!\("(.+?)"\)', built)}
    inside = lambda path: any(path == one or one in path.parents for one in let_in)
    yield from (f".dockerignore keeps {path.relative_to(ROOT)} out" for path in needed if not inside(path))


def mounts():
    """Yields (service, source, target, mode) for every file of this repository that is mounted."""
    for name, service in services.items():
        for volume in service.get("volumes", []):
            source, target, *mode = volume.split(":")
            if source.startswith("."):
                yield name, COMPOSE / source, target, mode


def secrets_of(service):
    return service.get("secrets", [])


check(
    "every_mounted_file_is_there_and_read_only",
    [f"{name}: {source}" for name, source, _, mode in mounts() if not source.exists() or mode != ["ro"]],
)
check("both_dockerfiles_end_in_one_image", one_image())
check("the_build_sees_what_it_reads", context())
check("every_service_tells_whether_it_is_well", [name for name, service in services.items() if "healthcheck" not in service])
pinned = re.compile(r"^docker\.io/[a-z/]+:v?\d+\.\d+(\.\d+)?(-[a-z]+)?$")
foreign = {name: service["image"] for name, service in services.items() if name not in ("latchkey", "migrate")}
check("every_image_is_pinned", [f"{name}: {image}" for name, image in foreign.items() if not pinned.match(image)])
version = re.search(r'(?ms)^\[workspace\.package\].*?^version = "(.*?)"', (ROOT / "Cargo.toml").read_text())[1]
check(
    "our_image_is_of_this_version",
    [services[name]["image"] for name in ("latchkey", "migrate") if not services[name]["image"].endswith(f"latchkey:{version}}}")],
)
ports = [port for service in services.values() for port in service.get("ports", [])]
check("nothing_is_published_beyond_this_machine", [port for port in ports if not port.startswith("127.0.0.1:")])
check("the_admin_listener_is_not_published", [port for port in services["latchkey"]["ports"] if port.endswith(":9090")])
check("the_daemon_has_time_to_drain", [] if services["latchkey"]["stop_grace_period"] == "45s" else ["stop_grace_period"])
check("the_daemon_has_no_rights", [] if services["latchkey"]["read_only"] and services["latchkey"]["cap_drop"] == ["ALL"] else ["rights"])
waits = [
    f"{name} waits for {other}"
    for name, service in services.items()
    for other, how in service.get("depends_on", {}).items()
    if other not in services
    or (how["condition"] == "service_healthy" and "test" not in services[other].get("healthcheck", {}))
]
check("who_waits_waits_for_somebody_who_tells", waits)
named = {name for service in services.values() for name in secrets_of(service)}
check("every_secret_is_declared_and_used", named ^ set(compose["secrets"]))
volumes = {v.split(":")[0] for s in services.values() for v in s.get("volumes", []) if not v.startswith(".")}
check("every_volume_is_declared_and_used", volumes ^ set(compose["volumes"]))

# The files must not contain the value of a secret. The script `secrets` creates new secrets on each
# machine.
written = [
    f"{name}: {key}"
    for name, service in services.items()
    for key in service.get("environment", {})
    if re.search(r"(?i)password|secret|token|key", key) and not key.endswith("_FILE")
]
check("no_secret_is_written_down", written + [n for n, s in compose["secrets"].items() if set(s) != {"file"}])
copies = [work / "one", work / "other"]
for copy in copies:
    shutil.copytree(COMPOSE, copy, ignore=shutil.ignore_patterns("secrets.d"))
    check("the_secrets_are_made", problems("./secrets", cwd=copy))
made = [{file.name: file.read_text() for file in sorted((copy / "secrets.d").iterdir())} for copy in copies]
declared = {pathlib.Path(secret["file"]).name for secret in compose["secrets"].values()}
check("every_declared_secret_is_made", declared ^ set(made[0]))
check("no_secret_is_the_same_elsewhere", [name for name in made[0] if made[0][name] == made[1].get(name)])
check("secrets_are_behind_a_closed_door", [] if (copies[0] / "secrets.d").stat().st_mode & 0o777 == 0o700 else ["mode"])
run("./secrets", cwd=copies[0])
again = {file.name: file.read_text() for file in (copies[0] / "secrets.d").iterdir()}
check("secrets_stay_as_they_are", [name for name in made[0] if made[0][name] != again[name]])

# Checks the configuration. The paths of the mounted secrets are replaced by the paths at which the
# secrets are created.
text = (COMPOSE / "latchkey.toml").read_text()
used = set(re.findall(r"/run/secrets/(\w+)", text))
check("the_daemon_is_given_the_secrets_that_it_reads", used ^ set(services["latchkey"]["secrets"]))
settings = work / "latchkey.toml"
settings.write_text(text.replace("/run/secrets", str(copies[0] / "secrets.d")))
clean = {"PATH": os.environ["PATH"]}
check("the_configuration_holds", problems(program, "-c", settings, "config", "check", env=clean))
settings.write_text(settings.read_text() + "\n[tokens]\nacces_ttl = 1\n")
check("a_wrong_configuration_would_be_seen", [] if problems(program, "-c", settings, "config", "check", env=clean) else ["not seen"])

# Prometheus must accept its configuration and the rules. Grafana must find the mounted folder.
scrape = work / "prometheus.yaml"
rules = ROOT / "helm/latchkey/rules"
scrape.write_text((COMPOSE / "prometheus.yaml").read_text().replace("/etc/prometheus/rules", str(rules)))
check("prometheus_takes_its_configuration", problems("promtool", "check", "config", scrape))
scraped = yaml.safe_load(scrape.read_text())["scrape_configs"][0]["static_configs"][0]["targets"]
listens = re.search(r'(?m)^admin\.listen = "0\.0\.0\.0:(\d+)"', text)[1]
check("prometheus_asks_the_admin_listener", [] if scraped == [f"latchkey:{listens}"] else scraped)
provider = yaml.safe_load((COMPOSE / "grafana/dashboards.yaml").read_text())["providers"][0]
targets = {target: source for name, source, target, _ in mounts() if name == "grafana"}
check("grafana_finds_the_dashboards", [] if provider["options"]["path"] in targets else [provider])
dashboards = list((ROOT / "helm/latchkey/dashboards").glob("*.json"))
empty = [file for file in dashboards if not json.loads(file.read_text()).get("panels")]
check("every_dashboard_has_panels", empty if dashboards else ["no dashboard"])
source = yaml.safe_load((COMPOSE / "grafana/datasources.yaml").read_text())["datasources"][0]
check("grafana_asks_prometheus", [] if source["url"] == "http://prometheus:9090" and source["isDefault"] else [source])

# Checks the unit. Its program is not installed on this machine, so the test replaces its path.
unit = UNIT.read_text()
stand_in = work / "latchkey.service"
stand_in.write_text(unit.replace("/usr/local/bin/latchkey", program))
check("systemd_takes_the_unit", problems("systemd-analyze", "verify", stand_in))
exposure = ("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MAX}", stand_in)
check("the_unit_exposes_little", problems(*exposure))
stand_in.write_text(re.sub(r"(?m)^(Protect|Private|System|Restrict).*$", "", stand_in.read_text()))
check("a_unit_that_exposes_more_would_be_seen", [] if problems(*exposure) else ["not seen"])
credentials = set(re.findall(r"(?m)^LoadCredential=([\w.]+):", unit))
check("every_credential_is_read", credentials ^ set(re.findall(r"=%d/([\w.]+)", unit)))
lines = {"ExecReload=/bin/kill -HUP $MAINPID", "TimeoutStopSec=45", "Type=exec", "DynamicUser=yes", "MemoryDenyWriteExecute=yes"}
check("the_unit_says_what_it_has_to", lines - set(unit.splitlines()))
variables = dict(re.findall(r"(?m)^Environment=(LATCHKEY_\w+)=(.*)$", unit))
values = {"master.key": made[0]["master_key"], "database.url": "postgres://a@127.0.0.1/a?sslmode=verify-full"}
values |= {"redis.url": "rediss://127.0.0.1", "smtp.url": "smtp://a:b@127.0.0.1?tls=required"}
for name, value in values.items():
    (work / name).write_text(value)
    (work / name).chmod(0o400)
# Checks the configuration file in docs/install.md. Only root can read its secrets, so the test uses
# the variables of the service in their place.
page = (ROOT / "docs/install.md").read_text()
settings.write_text(re.search(r"(?s)```toml\n(profile = .*?)```", page)[1])
given = clean | {name: value.replace("%d", str(work)) for name, value in variables.items()}
check("the_unit_and_the_file_of_the_manual_fit", problems(program, "-c", settings, "config", "check", env=given))

print(f"test result: {'ok' if failed == 0 else 'FAILED'}. {passed} passed; {failed} failed;")
sys.exit(failed != 0)
