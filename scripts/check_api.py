"""Checks the three services against their OpenAPI documents. Called by scripts/check-api, which see."""

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from check_api_inputs import Api, check_inputs

ROOT = Path(__file__).resolve().parent.parent
SERVICES = ["campaign-runtime", "rlhf-backend", "rater-app"]
# Whether a valid request is taken depends on what is there: a schema cannot say which ids exist or what a state allows.
LEFT_OUT = "positive_data_acceptance"
# Where the list is that shows an identifier: service, path, member of a row.
LISTS = {
    "retailer_id": (0, "/v1/retailers", "retailer_id"), "brand_id": (0, "/v1/brands", "brand_id"),
    "campaign_id": (0, "/v1/campaigns", "campaign_id"), "sku_id": (0, "/v1/skus", "sku_id"),
    "segment_id": (0, "/v1/audience-segments", "segment_id"), "experiment_id": (0, "/v1/experiments", "experiment_id"),
    "log_id": (0, "/v1/reflection-logs", "log_id"), "feedback_id": (1, "/v1/feedback", "feedback_id"),
    "model_id": (1, "/v1/reward-models", "model_id"), "task_id": (2, "/v1/tasks", "task_id"),
    "rater_id": (2, "/v1/quality/raters", "rater_id"),
}


class System:
    """A system of our own, or the addresses of another one."""

    def __init__(self, urls: list[str] | None, settings: dict[str, str] | None = None, database: str | None = None):
        self.settings, self.database = settings or {}, database
        self.urls, self.child, self.folder, self.programs, self.pids = urls, None, None, None, {}
        if urls is None:
            self.start()

    def start(self) -> None:
        """Starts `endcap up` on ports that are free now."""
        self.folder = Path(tempfile.mkdtemp(prefix="endcap-check-api-"))
        held = [socket.create_server(("127.0.0.1", 0)) for _ in range(6)]
        ports = [one.getsockname()[1] for one in held]
        for one in held:
            one.close()
        names = [name.upper().replace("-", "_") for name in SERVICES]
        env = {key: value for key, value in os.environ.items() if not key.startswith(("ENDCAP_", "SUPABASE_")) and key != "DATABASE_URL"}
        env |= {f"ENDCAP_{name}_PORT": str(port) for name, port in zip(names, ports[:3])}
        env |= {f"ENDCAP_{name}_PRIVATE_PORT": str(port) for name, port in zip(names, ports[3:])}
        # Requests come as fast as they can, and a deep run takes longer than a token lives.
        env |= {"ENDCAP_RATE_LIMITS": "off", "ENDCAP_ACCESS_TOKEN_TTL_SECONDS": "86400"} | self.settings
        built = [Path(os.environ["CHECK_API_BINARIES"])] if "CHECK_API_BINARIES" in os.environ else [ROOT / "target/release", ROOT / "target/debug"]
        self.programs = next((one for one in built if (one / "endcap").exists()), None)
        if self.programs is None:
            sys.exit("Build the programs first: cargo build --bins")
        log = open(self.folder / "up.log", "w+b")
        command = [self.programs / "endcap", "up", "--data-dir", self.folder / "data"]
        command += ["--database-url", self.database] if self.database else []
        self.child = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT)
        limit = time.monotonic() + 900
        while b"endcap is ready" not in (said := (self.folder / "up.log").read_bytes()):
            if self.child.poll() is not None or time.monotonic() > limit:
                sys.exit(f"The system does not start:\n{said.decode()}")
            time.sleep(0.2)
        self.urls = [f"http://127.0.0.1:{port}" for port in ports[:3]]
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
            except OSError:
                continue
            if fields["PPid"].strip() == str(self.child.pid):
                self.pids[(status.parent / "cmdline").read_bytes().split(b"\0")[0].decode().rsplit("/", 1)[-1]] = int(status.parent.name)

    def memory_mib(self) -> dict[str, float]:
        """Memory held by each service of our own, in MiB."""
        sizes = {}
        for name, pid in self.pids.items():
            line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
            sizes[name] = int(line.split()[1]) / 1024
        return sizes

    def faults(self) -> list[str]:
        """What the services logged as their own fault."""
        logs = (self.folder / "data/logs").glob("*.log") if self.folder else []
        return [line for log in logs for line in log.read_text(errors="replace").splitlines() if " ERROR " in line and "request failed" in line or "panicked" in line]

    def stop(self) -> None:
        """Stops what we started and removes its folder."""
        if self.child is not None:
            self.child.terminate()
            self.child.wait(timeout=60)
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def credentials(urls: list[str]) -> dict[str, str]:
    """The header value of each caller."""
    if "ENDCAP_CHECK_ADMIN" in os.environ:
        return {"admin": os.environ["ENDCAP_CHECK_ADMIN"], "tenant": os.environ["ENDCAP_CHECK_TENANT"]}
    body = {"email": "admin@endcap.example", "password": "admin-of-the-demo"}
    token = Api(urls[2], None).call("POST", "/auth/v1/token?grant_type=password", body)["access_token"]
    admin = Api(urls[0], token)
    campaign = admin.call("GET", "/v1/campaigns?limit=1")["data"][0]
    key = admin.call("POST", "/v1/api-keys", {"name": "check-api", "role": "tenant_admin", "tenant_id": campaign["tenant_id"]})
    return {"admin": token, "tenant": key["key"]}


def make_things(urls: list[str], credential: str) -> dict[str, list[str]]:
    """Makes one of what is not there yet, and returns known values of parameters, so that requests come past "not found"."""
    apis = [Api(url, credential) for url in urls]
    campaign = apis[0].call("GET", "/v1/campaigns?limit=1")["data"][0]
    of_campaign = f"/v1/campaigns/{campaign['campaign_id']}"
    made: dict[str, list[str]] = {}

    def make(name: str, member: str, service: int, method: str, path: str, body: dict) -> None:
        answer = apis[service].call(method, path, body, may_fail=True)
        if member in answer:
            made.setdefault(name, []).append(str(answer[member]))

    make("creative_id", "creative_id", 0, "POST", f"{of_campaign}/creatives", {"name": "Shelf", "content": {"texts": {"headline": "Bread", "body": "Fresh today."}}})
    make("plan_set", "plan_set_id", 0, "POST", f"{of_campaign}/plans", {"candidates": 2, "total_budget": "1000", "horizon_days": 7})
    make("feedback", "feedback_id", 1, "POST", "/v1/feedback", {
        "brand_id": campaign["brand_id"], "task_type": "plan_quality", "prompt": "p", "model_output": "o", "feedback_type": "thumbs_up"})
    make("job_id", "job_id", 1, "POST", "/v1/reward-models/train", {"task_type": "plan_quality"})
    make("experiment_id", "experiment_id", 0, "POST", "/v1/experiments", {"name": "Check", "campaign_id": campaign["campaign_id"], "definition": {
        "metric": {"name": "orders", "kind": "proportion"}, "control_definition": "as before",
        "design": {"kind": "ab", "arms": [{"name": "control", "share": 5000}, {"name": "new", "share": 5000}], "analysis": "fixed", "planned_end": "2099-01-01"}}})
    make("key_id", "key_id", 0, "POST", "/v1/api-keys", {"name": "to be revoked", "role": "analyst", "tenant_id": campaign["tenant_id"]})
    for name, (service, path, member) in LISTS.items():
        rows = apis[service].call("GET", f"{path}?limit=3" if name != "rater_id" else path, may_fail=True).get("data", [])
        made.setdefault(name, []).extend(str(row[member]) for row in rows[:3] if row.get(member))
    plans = apis[0].call("GET", f"{of_campaign}/plans", may_fail=True).get("data", [])
    made["plan_id"] = [plan["plan_id"] for one in plans[:1] for plan in one["plans"]]
    made["campaign_id"] = made["campaign_id"][:1] + [campaign["campaign_id"]] * 2
    return {name: values for name, values in made.items() if values}


def configuration(things: dict[str, list[str]], folder: Path) -> Path:
    """A configuration in which parameters often have values that are known."""
    lines = []
    for name, values in things.items():
        lines += [f"[dictionaries.{name}]", f"values = {json.dumps(values)}"]
    lines.append("[parameters]")
    for name in things:
        lines += [f'"{place}.{name}" = {{ dictionary = "{name}", probability = 0.6 }}' for place in ("path", "query", "body")]
    # A file may be called `a/sign`: only POST means the link there.
    lines += ["[checks]", f"{LEFT_OUT}.enabled = false", "[[operations]]", 'include-path = "/v1/artifacts/{bucket}/{path}/sign"', "checks.unsupported_method.enabled = false"]
    file = folder / "schemathesis.toml"
    file.write_text("\n".join(lines) + "\n")
    return file


def run(name: str, url: str, caller: str, credential: str, config: Path, folder: Path, options) -> tuple[int, int, str]:
    """One service as one caller: number of cases, of failures, and what failed."""
    report = folder / f"{name}-{caller}"
    phases = "examples,coverage,fuzzing,stateful"
    # Keys are taken here as well. In a header of its own a key would stand beside generated `Authorization`, an empty one among them.
    header = f"Authorization: Bearer {credential}"
    command = [Path(sys.executable).parent / "st", "--config-file", config, "run", f"{url}/openapi.json",
               "--phases", phases, "--max-examples", str(options.examples or (100 if options.deep else 5)), "--seed", str(options.seed), "--workers", "1", "--continue-on-failure", "--no-color",
               "--request-timeout", "60", "--suppress-health-check", "all", "-H", header, "--report", "json", "--report-json-path", f"{report}.json"]
    if not options.deep:
        command += ["--no-shrink"]
    with open(f"{report}.txt", "w") as out:
        subprocess.run([str(part) for part in command], stdout=out, stderr=subprocess.STDOUT, cwd=folder, timeout=5400)
    text = Path(f"{report}.txt").read_text()
    try:
        found = json.loads(Path(f"{report}.json").read_text())
    except OSError:
        return 0, 1, text[-3000:]
    errors = found.get("errors") or []
    failures = sum(one["count"] for one in found["failures"]) + len(errors)
    part = re.search(r"^=+ (ERRORS|FAILURES) =+$.*?(?=^=+ (WARNINGS|SUMMARY) =+$)", text, re.S | re.M)
    return found["test_cases"]["generated"], failures, part.group(0) if part else ""


def main() -> int:
    """Runs everything and says what was found."""
    parser = argparse.ArgumentParser(prog="scripts/check-api")
    parser.add_argument("--deep", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--examples", type=int, metavar="N", help="inputs for each operation and phase (default 5, with --deep 100)")
    parser.add_argument("--database-url", metavar="URL", help="an empty database for the system of its own, in place of a SQLite file")
    parser.add_argument("--at", nargs=3, metavar="URL")
    parser.add_argument("--inputs", action="store_true", help="the list of bad inputs only, which needs no Schemathesis")
    parser.add_argument("--only", choices=SERVICES, action="append")
    options = parser.parse_args()
    folder = ROOT / "target/check-api"
    folder.mkdir(parents=True, exist_ok=True)
    system = System(options.at, database=options.database_url)
    is_good = True
    try:
        callers = credentials(system.urls)
        for caller, credential in callers.items():
            things = make_things(system.urls, credential)
            config = configuration(things, folder)
            for name, url in zip(SERVICES, system.urls):
                if options.inputs or options.only and name not in options.only:
                    continue
                began = time.monotonic()
                cases, failures, said = run(name, url, caller, credential, config, folder, options)
                print(f"{name:17} as {caller:7} {cases:6} cases, {failures:3} failures, {time.monotonic() - began:4.0f} s", flush=True)
                if failures:
                    is_good = False
                    print(said)
        before = system.memory_mib()
        for name, url in zip(SERVICES, system.urls):
            if options.only and name not in options.only:
                continue
            count, wrong = check_inputs(url, callers["admin"], things)
            print(f"{name:17} bad inputs {count:6} cases, {len(wrong):3} failures", flush=True)
            is_good &= not wrong
            print("\n".join(wrong[:30]) + "\n" * bool(wrong), end="")
        for name, size in system.memory_mib().items():
            print(f"{name:17} memory {before[name]:.0f} MiB before the bad inputs, {size:.0f} MiB after")
        for line in system.faults()[:20]:
            is_good = False
            print(f"logged as a fault: {line}")
    finally:
        system.stop()
    print("every answer is as documented" if is_good else f"answers differ from the documents; more in {folder.relative_to(ROOT)}")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
