"""Checks of the documents. All links and anchors must exist, the pages must show the tested files,
and the OpenAPI document must be valid OpenAPI 3.1."""

import json
import re
import subprocess
from pathlib import Path

import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator

# A link or a picture in Markdown. `dead_links` skips the targets that have a scheme.
LINK = re.compile(r"!?\[[^\]]*\]\(([^()\s]+)\)")
FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
CODE = re.compile(r"`[^`]*`")

# For each page, the files that the page must show word for word.
SHOWN = {
    "integrate/nginx.md": ["nginx/nginx.conf", "nginx/latchkey_headers.conf", "nginx/latchkey_ask.conf"],
    "integrate/python.md": ["python/serve.py"],
    "integrate/node.md": ["node/server.mjs"],
    "integrate/go.md": ["go/main.go"],
    "integrate/rust.md": ["rust/main.rs"],
    "integrate/haproxy.md": ["haproxy/haproxy.cfg", "haproxy/latchkey.lua"],
    "integrate/envoy.md": ["envoy/envoy.yaml"],
    "integrate/kubernetes.md": ["kubernetes/ingress.yaml"],
}


def anchors(text: str) -> set[str]:
    """Returns the anchors that GitHub gives to the headings of a page."""
    names, seen = set(), {}
    for heading in HEADING.findall(FENCE.sub("", text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        name = re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")
        count = seen.get(name, 0)
        seen[name] = count + 1
        names.add(f"{name}-{count}" if count else name)
    return names


def dead_links(page: Path) -> list[str]:
    """Returns the relative links of a page that lead nowhere."""
    text = page.read_text()
    dead = []
    for link in LINK.findall(CODE.sub("", FENCE.sub("", text))):
        if re.match(r"[a-z][a-z0-9+.-]*:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            dead.append(link)
        elif anchor and target.suffix == ".md" and anchor not in anchors(target.read_text()):
            dead.append(link)
    return dead


def check_all(check, root: Path, latchkey: str):
    pages = [*root.glob("*.md"), *(root / "docs").rglob("*.md"), *(root / "helm").rglob("*.md")]
    for page in sorted(pages):
        dead = dead_links(page)
        check(f"{page.relative_to(root)}: links lead somewhere", not dead, ", ".join(dead))
    index = (root / "docs/README.md").read_text()
    for page in sorted((root / "docs").rglob("*.md")):
        name = str(page.relative_to(root / "docs"))
        in_index = name == "README.md" or f"({name})" in index or f"({page.parent.name}/README.md)" in index
        check(f"docs/{name} stands in the index", in_index)
    for page, files in SHOWN.items():
        text = (root / "docs" / page).read_text()
        for file in files:
            is_shown = f"\n{(root / 'examples' / file).read_text().rstrip()}\n```" in text
            check(f"docs/{page} shows examples/{file}", is_shown)
    for file in sorted((root / "examples").rglob("*.yaml")):
        check(f"{file.relative_to(root)} is YAML", all(yaml.safe_load_all(file.read_text())))
    check_openapi(check, latchkey)
    check("README.md has at most 150 lines", len((root / "README.md").read_text().splitlines()) <= 150)


def check_openapi(check, latchkey: str):
    told = subprocess.run([latchkey, "openapi"], capture_output=True, text=True, check=True).stdout
    errors = [f"{'/'.join(map(str, e.absolute_path))}: {e.message}"
              for e in OpenAPIV31SpecValidator(json.loads(told)).iter_errors()]
    check("the OpenAPI document is valid 3.1", not errors, "; ".join(errors[:5]))
    # The validator must also find the fault in a wrong document.
    spoilt = json.loads(told) | {"paths": {"/api/login": {"post": {"responses": 7}}}}
    check("a spoilt OpenAPI document is not", any(True for _ in OpenAPIV31SpecValidator(spoilt).iter_errors()))
