"""The tests: each breaks something while raters judge, and returns what it saw. An AssertionError says what did not hold."""
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import subprocess
import threading
import time

import sockets
from balancer import Balancer
from crowd import Client, Crowd, look, make_tasks
from proxy import FaultProxy
from servers import System, wait_until

REQUIRED = 3
TESTS = {}


def test(name, what):
    """Registers a test: its name, and what must hold in a sentence."""

    def register(run):
        TESTS[name] = (what, run)
        return run

    return register


def quantile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def check_oracle(crowd, more=""):
    seen = look(crowd)
    over = sum(n > REQUIRED for n in seen["by_task"].values())
    text = f"{seen['acknowledged']} acknowledged, {seen['lost']} lost, {seen['twice']} twice, {over} tasks over-filled{more}"
    assert seen["acknowledged"] > 0 and not seen["lost"] and not seen["twice"] and not over, text
    assert not crowd.unexpected(), f"{text}; answers that should not be: {crowd.unexpected()}"
    return text


def on(context, kind, raters=8, proxied=False, **settings):
    """A system on a new database of this kind; the proxy before the database when asked for."""
    name = context.new_name()
    if kind == "sqlite":
        return System(context.folder, context.bin, f"sqlite://{context.folder}/{name}.db", raters, **settings).prepare(), None
    context.databases.create(kind, name)
    system = System(context.folder, context.bin, context.databases.url(kind, name), raters, **settings).prepare()
    proxy = FaultProxy(context.databases.socket_of(kind)) if proxied else None
    if proxy:
        context.proxies.append(proxy)
        system.environment["DATABASE_URL"] = context.databases.url(kind, name, proxy)
    system.database = name
    return system, proxy


def begin(context, system, tasks=400, **more):
    context.systems.append(system)
    service = system.service("rater-app", **more).start()
    make_tasks(system, service, tasks, REQUIRED)
    return service, Crowd(system, ("127.0.0.1", service.port))


@test("oracle-notices", "a judgment that is removed from the database behind the system's back is missed: the other tests can fail")
def oracle_notices(context):
    system, _ = on(context, "sqlite", raters=4)
    service, crowd = begin(context, system, tasks=20)
    crowd.start()
    assert crowd.wait_idle(60), "the raters did not come to an end"
    service.kill()
    database = sqlite3.connect(system.url.removeprefix("sqlite://"))
    database.execute("DELETE FROM judgments WHERE judgment_id = ?", (crowd.acknowledged[0][2],))
    database.commit()
    database.close()
    service.start()
    try:
        seen = check_oracle(crowd)
    except AssertionError as error:
        assert " 1 lost" in str(error), str(error)
        return f"the oracle says: {error}"
    raise AssertionError(f"the oracle noticed nothing: {seen}")


def service_killed(context, kind):
    system, _ = on(context, kind)
    service, crowd = begin(context, system)
    crowd.start()
    for _ in range(5):
        time.sleep(random.uniform(0.6, 1.4))
        service.kill()
        service.start()
    assert crowd.wait_idle(120), "the raters did not come to an end"
    return check_oracle(crowd, ", 5 kills")


for kind in ["postgres", "mysql", "sqlite"]:
    what = "the rater app is killed (SIGKILL) five times while raters judge: nothing acknowledged is lost or doubled"
    TESTS[f"service-killed-{kind}"] = (what, lambda context, kind=kind: service_killed(context, kind))


def database_killed(context, kind):
    system, _ = on(context, kind)
    service, crowd = begin(context, system, tasks=600)
    crowd.start()
    back = []
    for _ in range(3):
        time.sleep(1.5)
        context.databases.kill(kind)
        time.sleep(0.5)
        assert service.status("/health/live") == 200, "the process must live while its database is dead"
        context.databases.restart(kind)
        begun = time.monotonic()
        wait_until("readiness after the database is back", 10, lambda: service.is_ready())
        back.append(time.monotonic() - begun)
    assert crowd.wait_idle(180), "the raters did not come to an end"
    return check_oracle(crowd, f", 3 kills, ready at most {max(back):.1f} s after the database")


for kind in ["postgres", "mysql"]:
    what = "the whole database server is killed three times: nothing acknowledged is lost, the service lives on and is ready within 10 s of the database"
    TESTS[f"database-killed-{kind}"] = (what, lambda context, kind=kind: database_killed(context, kind))


@test("connections-cut", "every connection to the database is reset six times, and acknowledgements get lost: asking again under the same key doubles nothing")
def connections_cut(context):
    system, proxy = on(context, "postgres", proxied=True)
    _, crowd = begin(context, system, tasks=600)
    crowd.start()
    for round_ in range(6):
        time.sleep(0.8)
        # The last rounds break in the middle of answers.
        proxy.cut_after = 3000 if round_ >= 3 else 0
        time.sleep(0.4)
        proxy.cut_after = 0
        proxy.cut_all()
    assert crowd.wait_idle(150), "the raters did not come to an end"
    return check_oracle(crowd, f", {proxy.cuts} connections reset, {crowd.retries} asked again")


@test("answers-cut", "the way between raters and service is reset while answers come: the same key gives the answer that was given, and doubles nothing")
def answers_cut(context):
    system, _ = on(context, "postgres")
    service, direct = begin(context, system, tasks=400)
    direct.sign_in()
    proxy = FaultProxy(service.port)
    context.proxies.append(proxy)
    crowd = Crowd(system, ("127.0.0.1", proxy.port)).start()
    for _ in range(12):
        time.sleep(0.3)
        proxy.cut_all()
    assert crowd.wait_idle(120), "the raters did not come to an end"
    return check_oracle(crowd, f", {crowd.retries} asked again")


@test("database-silent", "the database keeps connections and answers nothing for 15 s: refusals come within the request timeout (4 s here), the process lives and says that it is not ready, and recovers alone")
def database_silent(context):
    system, proxy = on(context, "postgres", proxied=True, ENDCAP_REQUEST_TIMEOUT_MS=4000)
    service, crowd = begin(context, system, tasks=3000)
    crowd.start()
    time.sleep(1)
    proxy.mode = "silent"
    begun, live, refused, slowest = time.monotonic(), [], 0, 0.0
    client = Client(("127.0.0.1", service.port), {"apikey": system.key})
    while time.monotonic() < begun + 15:
        at = time.monotonic()
        live.append(service.status("/health/live"))
        refused += service.status("/health/ready") == 503
        status, _ = client.send("GET", "/v1/tasks?limit=1")
        slowest = max(slowest, time.monotonic() - at)
        assert status in (0, 200, 503), status
        time.sleep(0.5)
    proxy.mode = "pass"
    recovered = time.monotonic()
    wait_until("readiness", 15, lambda: service.is_ready())
    recovered = time.monotonic() - recovered
    crowd.stop()
    assert slowest < 7, f"an answer took {slowest:.1f} s"
    assert set(live) == {200}, f"liveness said {set(live)}"
    assert refused, "it never said that it is not ready"
    text = check_oracle(crowd, f"; slowest answer meanwhile {slowest:.1f} s, ready again after {recovered:.1f} s")
    return text


@test("database-slow", "every packet of the database takes 50 ms more, give or take 25: every request is answered without an error")
def database_slow(context):
    system, proxy = on(context, "postgres", proxied=True)
    _, crowd = begin(context, system, tasks=40)
    proxy.delay, proxy.jitter = 0.05, 0.025
    crowd.start()
    assert crowd.wait_idle(180), "the raters did not come to an end"
    assert not crowd.errors, crowd.errors
    return check_oracle(crowd, f"; p99 of an answer {quantile(crowd.times, 0.99) * 1000:.0f} ms")


@test("overload", "200 requests at once on 4 connections: 200, 429 or 503 only, liveness answers throughout, normal 5 s after")
def overload(context):
    system, _ = on(context, "postgres", ENDCAP_DATABASE_POOL_MAX=4, ENDCAP_DATABASE_POOL_MIN=1)
    service, crowd = begin(context, system, tasks=50)
    crowd.sign_in()
    end, statuses, live, lock = time.monotonic() + 10, {}, [], threading.Lock()
    before = service.memory()

    def flood():
        client = Client(("127.0.0.1", service.port), {"apikey": system.key})
        while time.monotonic() < end:
            status, _ = client.send("GET", "/v1/tasks?limit=200")
            with lock:
                statuses[status] = statuses.get(status, 0) + 1

    threads = [threading.Thread(target=flood, daemon=True) for _ in range(200)]
    [thread.start() for thread in threads]
    while time.monotonic() < end:
        at = time.monotonic()
        assert service.status("/health/live") == 200
        live.append(time.monotonic() - at)
        time.sleep(0.1)
    [thread.join(60) for thread in threads]
    most = service.memory()
    time.sleep(5)
    at = time.monotonic()
    status, _ = Client(("127.0.0.1", service.port), {"apikey": system.key}).send("GET", "/v1/tasks?limit=1")
    after = time.monotonic() - at
    assert status == 200 and after < 1, (status, after)
    assert set(statuses) <= {200, 429, 503} and statuses.get(200, 0) > 100, statuses
    return f"answers {statuses}, liveness p99 {quantile(live, 0.99) * 1000:.0f} ms, memory {before} to {most} MiB"


@test("peer-down", "the RLHF backend is gone while tasks are decided: raters go on, and it is told everything once it is back")
def peer_down(context):
    system, _ = on(context, "postgres")
    backend = system.service("rlhf-backend").start()
    service, crowd = begin(context, system, tasks=150, ENDCAP_RLHF_BACKEND_PRIVATE_URL=f"http://127.0.0.1:{backend.private}", ENDCAP_DRAIN_MS=0)
    backend.kill()
    crowd.start()
    assert crowd.wait_idle(120), "the raters did not come to an end"
    text = check_oracle(crowd)
    waits = lambda: int(context.databases.ask("postgres", system.database, "SELECT count(*) FROM outbox_events WHERE destination <> 'realtime' AND delivered_at IS NULL"))
    waiting = waits()
    assert waiting > 0, "nothing waited for the backend: the test tests nothing"
    backend.start()
    begun = time.monotonic()
    wait_until("delivery of everything that waited", 330, lambda: waits() == 0, every=1)
    return f"{text}; {waiting} events waited and were taken {time.monotonic() - begun:.0f} s after it was back"


@test("rolling-restart", "two replicas behind a balancer are replaced one after the other, twice, under load: no request fails")
def rolling_restart(context):
    system, _ = on(context, "postgres", ENDCAP_DRAIN_MS=1500, ENDCAP_SHUTDOWN_TIMEOUT_MS=15000)
    context.systems.append(system)
    replicas = [system.service("rater-app").start() for _ in range(2)]
    make_tasks(system, replicas[0], 3000, REQUIRED)
    balancer = Balancer(replicas)
    crowd = Crowd(system, balancer.pick).start()
    for _ in range(2):
        for place in range(2):
            time.sleep(1)
            code, took = replicas[place].terminate()
            assert code == 0, f"a replica ended with {code}"
            replicas[place].start()
            wait_until("the balancer to see the new replica", 10, lambda: balancer.is_up(place))
    crowd.stop()
    balancer.stop()
    assert not crowd.errors, f"requests that failed: {crowd.errors}"
    return check_oracle(crowd, f", 4 replacements, the last took {took:.1f} s to drain, no request failed")


@test("graceful-stop", "SIGTERM under load with 50 open sockets: nothing acknowledged is lost, sockets are told to go, exit code 0 within 30 s")
def graceful_stop(context):
    system, _ = on(context, "postgres")
    service, crowd = begin(context, system, tasks=3000)
    crowd.sign_in()
    opened = [sockets.WebSocket(service.port, system.tokens[0]) for _ in range(50)]
    crowd.start()
    time.sleep(1.5)
    code, took = service.terminate()
    codes = [one.close_code(5) for one in opened]
    crowd._stop.set()
    service.start()
    crowd.stop()
    assert code == 0 and took < 30, (code, took)
    assert all(one in (1001, 1012) for one in codes), f"close codes {sorted(set(map(str, codes)))}"
    return check_oracle(crowd, f"; stopped in {took:.1f} s with exit code 0, 50 sockets closed with {codes[0]}")


@test("disk-full", "the disk of a SQLite database fills up: requests are refused with 503, nothing stored is damaged, work goes on when there is room")
def disk_full(context):
    place = context.folder / "small-disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", place], capture_output=True).returncode:
        return None
    try:
        system = System(context.folder, context.bin, f"sqlite://{place}/endcap.db", 4).prepare()
        service, crowd = begin(context, system, tasks=200)
        crowd.start()
        time.sleep(1)
        with open(place / "filler", "wb") as filler:
            try:
                while True:
                    os.write(filler.fileno(), b"x" * 65536)
            except OSError:
                pass
        time.sleep(3)
        failed = sum(crowd.errors.values())
        live = service.status("/health/live")
        (place / "filler").unlink()
        assert crowd.wait_idle(120), "the raters did not come to an end"
        whole = sqlite3.connect(f"file:{place}/endcap.db?mode=ro", uri=True).execute("PRAGMA integrity_check").fetchone()[0]
        assert live == 200 and whole == "ok", (live, whole)
        assert failed, "no request met the full disk: the test tests nothing"
        return check_oracle(crowd, f"; {failed} requests met the full disk, integrity {whole}")
    finally:
        for system in context.systems:
            system.stop()
        subprocess.run(["umount", place], capture_output=True)


@test("clock-jump", "the clock of the service jumps two hours ahead and back again while raters judge: nothing is lost or doubled, the service stays ready")
def clock_jump(context):
    library = next(iter(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)
    if not library:
        return None
    system, _ = on(context, "postgres")
    clock = context.folder / "clock"
    clock.write_text("+0")
    settings = {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": clock, "FAKETIME_NO_CACHE": 1, "FAKETIME_DONT_FAKE_MONOTONIC": 1, "ENDCAP_ACCESS_TOKEN_TTL_SECONDS": 86400}
    service, crowd = begin(context, system, tasks=400, **settings)
    crowd.start()
    for jump in ["+2h", "+0"]:
        time.sleep(1.5)
        clock.write_text(jump)
    assert crowd.wait_idle(150), "the raters did not come to an end"
    assert service.status("/health/ready") == 200
    return check_oracle(crowd, "; two jumps of two hours")


def backup_restore(context, kind):
    system, _ = on(context, kind)
    _, crowd = begin(context, system, tasks=300)
    crowd.start()
    time.sleep(1.5)
    before = {judgment for _, _, judgment in list(crowd.acknowledged)}
    file = context.folder / f"{system.url.split(':')[0]}-{time.monotonic_ns()}.backup"
    system.endcap("backup", file)
    assert crowd.wait_idle(120), "the raters did not come to an end"
    name = context.new_name()
    if kind == "sqlite":
        url = f"sqlite://{context.folder}/{name}.db"
    else:
        context.databases.create(kind, name)
        url = context.databases.url(kind, name)
    restored = System(context.folder, context.bin, url, 0)
    said = restored.endcap("restore", file)
    assert "chain is whole" in said, said
    restored.tokens, restored.people, restored.key = system.tokens, system.people, system.key
    context.systems.append(restored)
    service = restored.service("rater-app").start()
    again = Crowd(restored, ("127.0.0.1", service.port))
    again.acknowledged = [row for row in crowd.acknowledged if row[2] in before]
    assert before, "nothing was acknowledged before the backup: the test tests nothing"
    text = check_oracle(again)
    again.start()
    assert again.wait_idle(120), "raters cannot go on with what was restored"
    return f"{text}; raters go on where the backup was made: {check_oracle(again)}"


for kind in ["postgres", "mysql", "sqlite"]:
    what = "a backup made while raters judge, restored elsewhere, holds everything acknowledged before it, and raters go on there"
    TESTS[f"backup-restore-{kind}"] = (what, lambda context, kind=kind: backup_restore(context, kind))


def upgrade(context, kind):
    system, _ = on(context, kind)
    service, crowd = begin(context, system, tasks=100)
    crowd.start()
    assert crowd.wait_idle(90)
    service.kill()
    # Back to the schema of before, with data in it; then two programs upgrade at once.
    system.endcap("migrate", "down", "--steps", "3")
    service.start(wait=False)
    wait_until("an answer", 30, lambda: service.status("/health/live") == 200)
    assert service.status("/health/ready") == 503, "a service on a schema that is behind must not take requests"
    failures = []

    def migrate():
        try:
            system.endcap("migrate", "up")
        except AssertionError as error:
            failures.append(str(error))

    both = [threading.Thread(target=migrate) for _ in range(2)]
    [one.start() for one in both]
    [one.join(120) for one in both]
    assert not failures, failures
    wait_until("readiness without a restart", 15, lambda: service.is_ready())
    return check_oracle(crowd, "; 3 migrations taken back and applied by two at once, ready without a restart")


for kind in ["postgres", "mysql", "sqlite"]:
    what = "an older schema with data is upgraded by two programs at once: one does it, nothing is lost, and the waiting service becomes ready"
    TESTS[f"upgrade-{kind}"] = (what, lambda context, kind=kind: upgrade(context, kind))
