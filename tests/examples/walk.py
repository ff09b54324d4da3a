"""Runs the commands of docs/second-factors.md as they are written, except for the daemon's address.

A fenced `sh` block runs if the line before it is `<!-- tested -->` or `<!-- tested: PATTERN -->`.
If there is a PATTERN, the output of the block must match it. All blocks run in one shell.
"""

import re
import subprocess
from pathlib import Path

BLOCK = re.compile(r"^<!-- tested(?:: ([^\n]*))? -->\n```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# The address of the daemon and the user of the README, on which the page relies.
BASE, USER, PASSWORD = "http://127.0.0.1:8080", "ada@example.com", "correct horse battery"
MARK = "--- the end of a block ---"


def check_all(check, page: Path, daemon):
    daemon.register(USER, PASSWORD)
    blocks = BLOCK.findall(page.read_text())
    script = "set -euo pipefail\n" + "".join(f"{text}\nprintf '%s\\n' '{MARK}'\n" for _, text in blocks)
    done = subprocess.run(["bash", "-c", script.replace(BASE, daemon.issuer)], capture_output=True, text=True, timeout=120)
    check(f"{page.name}: the commands succeed", done.returncode == 0, done.stderr)
    outputs = done.stdout.split(MARK)
    for (pattern, text), output in zip(blocks, outputs):
        named = text.splitlines()[0]
        check(f"{page.name}: {named}", re.search(pattern, output, re.MULTILINE) is not None, output)
    check(f"{page.name} has tested commands", len(blocks) > 1 and len(outputs) == len(blocks) + 1)
