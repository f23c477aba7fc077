"""Raters who judge without pause and remember what was acknowledged, and the oracle that looks afterwards whether it is all there, once."""
import http.client
import json
import threading
import time
import uuid

JUDGMENT = {"choice": "candidate_a", "reasons": [], "confidence": 0.75, "rubric_scores": {}, "active_ms": 9000}


class Client:
    """One connection to a service at a time, opened again when it breaks."""

    def __init__(self, address, headers, timeout=45):
        self.address, self.headers, self.timeout, self.connection = address, headers, timeout, None

    def send(self, method, path, body=None, **headers):
        """Status and body; (0, reason) when there was no answer."""
        host, port = self.address() if callable(self.address) else self.address
        try:
            if self.connection is None or (self.connection.host, self.connection.port) != (host, port):
                self.connection = http.client.HTTPConnection(host, port, timeout=self.timeout)
            text = None if body is None else json.dumps(body)
            self.connection.request(method, path, text, {"content-type": "application/json", **self.headers, **headers})
            answer = self.connection.getresponse()
            data = answer.read()
            if answer.will_close:
                self.connection.close()
                self.connection = None
            return answer.status, json.loads(data) if data and answer.headers.get_content_subtype().endswith("json") else data
        except (OSError, http.client.HTTPException, ValueError) as error:
            if self.connection:
                self.connection.close()
            self.connection = None
            return 0, repr(error)


def make_tasks(system, service, tasks, required, name="t"):
    """Rating tasks, by the public API."""
    admin = Client(("127.0.0.1", service.port), {"apikey": system.key})
    for begin in range(0, tasks, 250):
        rows = [
            {"task_id": f"{name}-{n}", "task_type": "plan_quality", "title": f"Plan {n}", "prompt": f"Which plan for store {n}?",
             "candidate_a": {"text": f"Search first, {n}"}, "candidate_b": {"text": f"Display first, {n}"}, "required_judgments": required}
            for n in range(begin, min(tasks, begin + 250))
        ]
        status, body = admin.send("POST", "/v1/tasks", rows)
        assert status == 201 and body["created"] == len(rows), (status, body)


class Crowd:
    """Raters in threads. With `retry` an answer that never came is asked for again under the same Idempotency-Key."""

    def __init__(self, system, address, retry=True):
        self.system, self.address, self.retry = system, address, retry
        self.acknowledged, self.errors, self.times = [], {}, []
        self.retries, self.replayed_differently = 0, 0
        self._stop, self._lock, self._threads = threading.Event(), threading.Lock(), []

    def sign_in(self):
        """Tokens of all raters; passwords are slow on purpose, so once."""
        if not hasattr(self.system, "tokens"):
            client = Client(self.address, {})
            self.system.tokens = []
            for email, password in self.system.people:
                status, body = client.send("POST", "/auth/v1/token?grant_type=password", {"email": email, "password": password})
                assert status == 200, (status, body)
                self.system.tokens.append(body["access_token"])
        return self

    def start(self):
        self.sign_in()
        for number, token in enumerate(self.system.tokens):
            thread = threading.Thread(target=self._work, args=(number, token), daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def stop(self, within=120):
        self._stop.set()
        for thread in self._threads:
            thread.join(within)
            assert not thread.is_alive(), f"a rater still waits for an answer after {within} s"

    def wait_idle(self, within):
        """Waits until nobody is given anything any more."""
        end = time.monotonic() + within
        for thread in self._threads:
            thread.join(max(0.1, end - time.monotonic()))
        self._stop.set()
        return all(not thread.is_alive() for thread in self._threads)

    def _note(self, status, what):
        with self._lock:
            self.errors[(status, what)] = self.errors.get((status, what), 0) + 1

    def _work(self, number, token):
        client = Client(self.address, {"authorization": f"Bearer {token}"})
        empty = 0
        while not self._stop.is_set() and empty < 40:
            begun = time.monotonic()
            status, body = client.send("POST", "/v1/assignments/next", {"task_types": ["plan_quality"]})
            with self._lock:
                self.times.append(time.monotonic() - begun)
            if status == 204:
                empty += 1
                time.sleep(0.05)
                continue
            if status not in (200, 201):
                self._note(status, "next")
                time.sleep(0.1)
                continue
            empty = 0
            self._judge(client, number, body)

    def _judge(self, client, number, assignment):
        path = f"/v1/assignments/{assignment['assignment_id']}/judgment"
        key = {"idempotency-key": str(uuid.uuid4())} if self.retry else {}
        end = time.monotonic() + 90
        while True:
            begun = time.monotonic()
            status, body = client.send("POST", path, JUDGMENT, **key)
            with self._lock:
                self.times.append(time.monotonic() - begun)
            if status in (200, 201):
                with self._lock:
                    self.acknowledged.append((number, assignment["assignment_id"], body["judgment_id"]))
                return
            self._note(status, "submit")
            # Refused for good: the slot went to somebody else meanwhile, which is an answer.
            if status not in (0, 429, 500, 502, 503, 504) or time.monotonic() > end or (self._stop.is_set() and status == 429):
                return
            with self._lock:
                self.retries += 1
            time.sleep(0.1)

    def unexpected(self, allowed=(0, 503)):
        return {f"{status} on {what}": n for (status, what), n in self.errors.items() if status not in allowed}


def look(crowd):
    """What is stored, as the raters see it: (acknowledged, lost, twice, over-filled)."""
    stored, by_task = set(), {}
    twice = 0
    for token in crowd.system.tokens:
        client = Client(crowd.address, {"authorization": f"Bearer {token}"})
        cursor, own = "", set()
        while True:
            status, page = client.send("GET", f"/v1/judgments?limit=200{cursor}")
            assert status == 200, (status, page)
            for row in page["data"]:
                stored.add(row["judgment_id"])
                twice += row["title"] in own
                own.add(row["title"])
                by_task[row["title"]] = by_task.get(row["title"], 0) + 1
            if not page.get("next_cursor"):
                break
            cursor = f"&cursor={page['next_cursor']}"
    acknowledged = {judgment for _, _, judgment in crowd.acknowledged}
    return {
        "acknowledged": len(acknowledged), "lost": len(acknowledged - stored), "stored": len(stored), "twice": twice + len(crowd.acknowledged) - len(acknowledged),
        "by_task": by_task,
    }
