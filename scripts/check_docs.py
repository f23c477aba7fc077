"""Runs the shell blocks of pages for people. Called by scripts/check-docs, which see."""

import base64
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from check_api import ROOT, System

BLOCK = re.compile(r"^( *)```(\w+)(?: ([\w.-]+))?\n(.*?)^ *```$", re.M | re.S)
# Pages say -s to curl in their own words; what matters is that an error of the service ends the page.
PRELUDE = "set -euo pipefail\ncurl() { command curl --fail-with-body --silent --show-error \"$@\"; }\n"


def script_of(page: Path, folder: Path, urls: list[str]) -> str:
    """The page's shell blocks with files written at their places and addresses of the running system."""
    parts = [PRELUDE]
    for number, (indent, kind, name, text) in enumerate(BLOCK.findall(page.read_text()), 1):
        text = re.sub(f"^{indent}", "", text, flags=re.M)
        for port, url in zip((8000, 8001, 8002), urls):
            text = text.replace(f"http://localhost:{port}", url)
        if name:
            (folder / f".block-{number}").write_text(text)
            parts.append(f"cp .block-{number} {name}\n")
        elif kind == "sh":
            parts.append(f"echo '[{page.name}: block {number}]'\n{text}")
    return "".join(parts)


def main() -> int:
    """Runs every page; the first error of a page ends it."""
    given = [Path(one) for one in sys.argv[1:]]
    pages = given or [ROOT / "docs/tutorial.md", *sorted((ROOT / "docs/how-to").glob("*.md"))]
    # What the page on webhooks says to set, to try them on one machine.
    settings = {"ENDCAP_SEAL_KEYS": f"k1:{base64.b64encode(os.urandom(32)).decode()}", "ENDCAP_WEBHOOK_HTTP": "allowed",
                "ENDCAP_WEBHOOK_PORTS": "*", "ENDCAP_WEBHOOK_NETWORKS": "127.0.0.0/8"}
    system, failed = System(None, settings), []
    try:
        for page in pages:
            with tempfile.TemporaryDirectory(prefix="endcap-check-docs-") as name:
                folder = Path(name)
                # What a person has who stands in the project's folder after scripts/up.
                (folder / "data").symlink_to(system.folder / "data")
                (folder / "target").mkdir()
                (folder / "target/release").symlink_to(system.programs.resolve())
                for part in ("scripts", "deploy", "docs", "crates"):
                    (folder / part).symlink_to(ROOT / part)
                (folder / "node_modules").symlink_to(Path(os.environ["CHECK_DOCS_NODE"]) / "node_modules")
                done = subprocess.run(["bash", "-c", script_of(page, folder, system.urls)], cwd=folder, text=True, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, timeout=900)
                print(f"{page.name:32} {'ok' if done.returncode == 0 else 'FAILED'}", flush=True)
                if done.returncode or "CHECK_DOCS_VERBOSE" in os.environ:
                    print(done.stdout)
                if done.returncode:
                    failed.append(page.name)
    finally:
        system.stop()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
