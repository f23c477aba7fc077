"""Private databases, durable, each in a folder of its own; and the services as processes of this one."""
import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVICES = ["campaign-runtime", "rlhf-backend", "rater-app"]


def wait_until(what, seconds, look, every=0.05):
    """Waits for `look` to say something true; its value, or an error that says what was waited for."""
    end = time.monotonic() + seconds
    while True:
        if value := look():
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come within {seconds} s")
        time.sleep(every)


def free_ports(count):
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


class Databases:
    """PostgreSQL and MariaDB, started by scripts/databases with fsync on."""

    def __init__(self, folder):
        self.folder = folder / "databases"
        self.start()

    def start(self):
        environment = {**os.environ, "DURABLE": "1"}
        done = subprocess.run([ROOT / "scripts/databases", "start", self.folder], env=environment, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise RuntimeError(f"the databases did not start: {done.stderr}")

    def stop(self):
        subprocess.run([ROOT / "scripts/databases", "stop", self.folder], capture_output=True, timeout=60)

    def socket_of(self, kind):
        return str(self.folder / ("postgres/.s.PGSQL.5432" if kind == "postgres" else "mariadb/s.sock"))

    def url(self, kind, name, proxy=None):
        """The address of a database, through a proxy when there is one."""
        if kind == "postgres":
            return f"postgres://postgres@127.0.0.1:{proxy.port}/{name}?sslmode=disable" if proxy else f"postgres://postgres@localhost/{name}?host={self.folder}/postgres"
        return f"mysql://root@127.0.0.1:{proxy.port}/{name}" if proxy else f"mysql://root@localhost/{name}?unix_socket={self.folder}/mariadb/s.sock"

    def create(self, kind, name):
        if kind == "postgres":
            command = ["psql", "-qh", self.folder / "postgres", "-U", "postgres", "-c", f"CREATE DATABASE {name}"]
        else:
            command = ["mariadb", "-uroot", f"--socket={self.folder}/mariadb/s.sock", "-e", f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"]
        subprocess.run(command, check=True, capture_output=True, timeout=30)

    def ask(self, kind, name, query):
        """One answer of the database itself, as text."""
        if kind == "postgres":
            command = ["psql", "-qAth", self.folder / "postgres", "-U", "postgres", "-d", name, "-c", query]
        else:
            command = ["mariadb", "-uroot", "-N", f"--socket={self.folder}/mariadb/s.sock", name, "-e", query]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()

    def kill(self, kind):
        """SIGKILL to the whole server, as when a machine loses it; its processes are those of our folder only."""
        if kind == "postgres":
            pid = int((self.folder / "postgres/data/postmaster.pid").read_text().split()[0])
            children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout.split()
            for one in [pid, *map(int, children)]:
                try:
                    os.kill(one, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            # All of them: what one still holds of the shared memory would keep the next server from starting.
            wait_until("the end of PostgreSQL", 20, lambda: not any(is_alive(one) for one in [pid, *map(int, children)]))
            # Where nobody reaps the dead (a container without an init), the next server would take the number in these files for a living one.
            for left in ["data/postmaster.pid", ".s.PGSQL.5432.lock"]:
                (self.folder / "postgres" / left).unlink(missing_ok=True)
        else:
            pid = int((self.folder / "mariadb/pid").read_text())
            os.kill(pid, signal.SIGKILL)
            wait_until("the end of MariaDB", 20, lambda: not is_alive(pid))

    def restart(self, kind):
        """Starts what was killed; the other one, which runs, is left alone by its own pid file."""
        environment = {**os.environ, "DURABLE": "1", "ONLY": kind}
        done = subprocess.run([ROOT / "scripts/databases", "start", self.folder], env=environment, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise RuntimeError(f"{kind} did not start again: {done.stderr}")


def is_alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Service:
    """One process of a service."""

    def __init__(self, system, name, **more):
        self.name, self.system = name, system
        self.port, self.private = free_ports(2)
        self.environment = {**system.environment, **{k: str(v) for k, v in more.items()}}
        key = name.replace("-", "_").upper()
        self.environment |= {f"ENDCAP_{key}_PORT": str(self.port), f"ENDCAP_{key}_PRIVATE_PORT": str(self.private)}
        self.process = None

    def start(self, wait=True):
        log = open(self.system.folder / f"{self.name}-{self.port}.log", "ab")
        self.process = subprocess.Popen([self.system.bin / self.name], env=self.environment, cwd=self.system.folder, stdout=log, stderr=log)
        if wait:
            wait_until(f"{self.name}", 60, self.is_ready)
        return self

    def status(self, path, timeout=10):
        """Status of a GET; 0 when nothing answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=timeout) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} ended with {self.process.returncode}; see {self.system.folder}/{self.name}-{self.port}.log")
        return self.status("/health/ready") == 200

    def kill(self):
        self.process.kill()
        self.process.wait(10)

    def terminate(self, within=40):
        """SIGTERM; the exit code and how long it took."""
        begun = time.monotonic()
        self.process.terminate()
        return self.process.wait(within), time.monotonic() - begun

    def memory(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) // 1024
        return 0


class System:
    """A database with accounts, and services on it."""

    def __init__(self, folder, binaries, url, raters, **more):
        self.folder, self.bin, self.url, self.raters = folder, binaries, url, raters
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("ENDCAP_") and key != "DATABASE_URL"}
        self.environment |= {"DATABASE_URL": url, "ENDCAP_RATE_LIMITS": "off", "ENDCAP_ARTIFACT_DIRECTORY": str(folder / "artifacts")}
        self.environment |= {key: str(value) for key, value in more.items()}
        self.services = []

    def endcap(self, *arguments, **options):
        done = subprocess.run([self.bin / "endcap", *arguments], env=self.environment, capture_output=True, text=True, timeout=180, **options)
        if done.returncode:
            raise AssertionError(f"endcap {' '.join(map(str, arguments))}: {done.stderr.strip()}")
        return done.stdout.strip()

    def prepare(self):
        """The schema, an administrator's key, and raters who need no calibration: experts."""
        self.endcap("init-database")
        self.key = self.endcap("keys", "create", "--role", "platform_admin", "--name", "reliability")
        self.people = []
        for number in range(self.raters):
            email = f"rater-{number}@reliability.example"
            self.people.append((email, self.endcap("accounts", "create", "--email", email, "--role", "expert")))
        return self

    def service(self, name, **more):
        service = Service(self, name, **more)
        self.services.append(service)
        return service

    def stop(self):
        for service in self.services:
            if service.process and service.process.poll() is None:
                service.kill()
