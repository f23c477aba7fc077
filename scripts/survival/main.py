"""Runs the tests of faults.py one after the other and prints the table. Called by scripts/reliability."""
import argparse
import json
import pathlib
import shutil
import sys
import tempfile
import time
import traceback

from faults import TESTS
from servers import Databases


class Context:
    """What tests share: the databases, the programs, and what must be stopped."""

    def __init__(self, folder, binaries):
        self.folder, self.bin, self.systems, self.proxies, self._names = folder, binaries, [], [], 0
        self.databases = Databases(folder)

    def new_name(self):
        self._names += 1
        return f"survival_{self._names}"

    def clear(self):
        for one in (*self.systems, *self.proxies):
            one.stop()
        self.systems, self.proxies = [], []


def main():
    parser = argparse.ArgumentParser(prog="scripts/reliability", description="Breaks a running system and looks whether anything was lost.")
    parser.add_argument("--bin", type=pathlib.Path, help="folder of the programs")
    parser.add_argument("--only", help="names of tests, separated by commas")
    parser.add_argument("--out", type=pathlib.Path, help="also write the results here, as JSON")
    parser.add_argument("--list", action="store_true", help="show the tests and end")
    arguments = parser.parse_args()
    if arguments.list:
        for name, (what, _) in TESTS.items():
            print(f"{name:<28}{what}")
        return 0
    names = arguments.only.split(",") if arguments.only else list(TESTS)
    if unknown := [name for name in names if name not in TESTS]:
        parser.error(f"there is no test {', '.join(unknown)}; --list shows all")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="endcap-reliability.", dir="/tmp"))
    folder.chmod(0o711)  # The servers run as users of their own and must reach their data.
    results, context = [], None
    try:
        context = Context(folder, arguments.bin.resolve())
        for name in names:
            what, run = TESTS[name]
            if sys.stdout.isatty():
                print(f"{name:<28}...", end="", flush=True)
            begun = time.monotonic()
            try:
                seen = run(context)
                state = "passed" if seen else "left out"
                seen = seen or "this machine cannot do it (no right to mount, or libfaketime is missing)"
            except Exception as error:
                state, seen = "FAILED", f"{type(error).__name__}: {error}"
                if not isinstance(error, AssertionError):
                    traceback.print_exc()
            context.clear()
            seconds = time.monotonic() - begun
            results.append({"name": name, "what": what, "state": state, "seen": seen, "seconds": round(seconds, 1)})
            print(f"{chr(13) if sys.stdout.isatty() else ''}{name:<28}{state:<9} {seconds:5.0f} s  {seen}", flush=True)
    finally:
        if context:
            context.clear()
            context.databases.stop()
        failed = [result for result in results if result["state"] == "FAILED"]
        if failed:
            print(f"Logs of services and databases are kept in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
        if arguments.out:
            arguments.out.write_text(json.dumps(results, indent=1) + "\n")
    count = {state: sum(result["state"] == state for result in results) for state in ("passed", "FAILED", "left out")}
    print(f"{count['passed']} passed, {count['FAILED']} failed, {count['left out']} left out, of {len(results)}")
    return 1 if failed or not results else 0


if __name__ == "__main__":
    sys.exit(main())
