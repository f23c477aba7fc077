"""Bad inputs that a generator does not think of, sent to every operation of a document. Called by check_api.py, which see."""

import http.client
import json
import socket
import time
import urllib.error
import urllib.parse
import urllib.request

DEPTH = 10_000
MIB = 1 << 20
# Each is refused wherever JSON is read: with 400, 413 or 422. Bodies in the shape of Supabase Auth may hold members that nobody reads, whatever they are.
REFUSED = {
    "nothing": b"",
    "half an object": b'{"name": ',
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": -Infinity}',
    "no UTF-8": b'{"name": "\xff\xfe"}',
    "text behind it": b"{} {}",
    "single quotes": b"{'name': 'a'}",
    "lone surrogate": b'{"\\ud800": "\\udfff"}',
    "deep arrays": b"[" * DEPTH + b"]" * DEPTH,
    "deep objects": b'{"a":' * DEPTH + b"1" + b"}" * DEPTH,
    "a number beyond doubles": b'{"a": 1e999}',
    "too much": b'{"name": "' + b"x" * (10 * MIB) + b'"}',
}
# Values of every member that a body may have. Whether they are taken is the handler's business; a 5xx is nobody's.
VALUES = [
    '"a\\u0000b"', '"\\ud800"', '""', '" "', "9223372036854775807", "-9223372036854775808", "9223372036854775808", "1e308", "-0.0", "1e400", "null", "[]", "{}", "true",
    '"9999-12-31"', '"-262143-01-01"', '"+262142-12-31"', '"0000-00-00"', '"2026-02-30T25:61:61Z"', '"' + "\U0001f9e8" * 3000 + '"', '"\u202e\u0000"', "[[[[[[]]]]]]",
    '["a", "a"]', '{"amount": "99999999999999999999", "currency": "USD"}', '{"amount": "0.0000001", "currency": "XXX"}', '"1e1000000"', "[" + "0," * 2000 + "0]",
]
QUERIES = [
    "limit=1000000000", "limit=-1", "limit=0", "limit=1e3", "limit=9223372036854775808", "cursor=AAAA", "cursor=%00", "cursor=%ff", "cursor=" + "A" * 5000,
    "cursor=eyJhIjpbW1tbW1tdXV1dXV19", "from=9999-99-99", "from=-262143-01-01&to=%2B262142-12-31", "to=2026-01-01&from=2027-01-01", "from=%00", "a=%f0%28%8c%28",
    "limit=1&limit=2", "%00=%00", "=&=&=", "%", "format=%00", "campaign_id=%00", "from=NaN", "as_of=292277026596-12-04",
]
PARTS = ["%00", "%ff%fe", "..%2f..%2fetc%2fpasswd", "a" * 4000, "%F0%9F%A7%A8", "-1", "9223372036854775808", "' OR 1=1 --", "%25", "%5c..%5c", "null", "%7b%7d"]


class Api:
    """A service, asked with one credential."""

    def __init__(self, url: str, credential: str | None):
        self.host = urllib.parse.urlsplit(url).netloc
        self.headers = {}
        if credential:
            self.headers = {"Authorization": f"Bearer {credential}"}

    def ask(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> tuple[int, str, bytes]:
        """Status, content type and body of an answer; status 0 when there was none."""
        connection = http.client.HTTPConnection(self.host, timeout=60)
        headers = dict(self.headers) | ({"Content-Type": kind} if body is not None else {})
        try:
            # As it is, percent signs and all: what http.client refuses to send, a socket would.
            connection.putrequest(method, urllib.parse.quote(path, safe="%/?&=+,;:@!$'()*~-._"), skip_accept_encoding=True)
            for name, value in (headers | ({"Content-Length": str(len(body))} if body is not None else {})).items():
                connection.putheader(name, value)
            connection.endheaders()
            if body is not None:
                try:
                    connection.send(body)
                except (BrokenPipeError, ConnectionResetError):
                    pass  # Refused before it was all sent; the answer is read all the same.
            answer = connection.getresponse()
            return answer.status, answer.getheader("content-type") or "", answer.read()
        except (OSError, http.client.HTTPException) as error:
            return 0, type(error).__name__, str(error).encode()
        finally:
            connection.close()

    def call(self, method: str, path: str, body: dict | None = None, may_fail: bool = False) -> dict:
        """The JSON of an answer that must be good, unless it may fail."""
        status, _, text = self.ask(method, path, None if body is None else json.dumps(body).encode())
        if status not in (200, 201, 202):
            if may_fail:
                return {}
            raise SystemExit(f"{method} {path} answers {status}: {text.decode(errors='replace')[:500]}")
        return json.loads(text)


def check_inputs(url: str, credential: str, things: dict[str, list[str]]) -> tuple[int, list[str]]:
    """Sends everything; returns the number of cases and a line for each answer that should not be."""
    api, wrong, count = Api(url, credential), [], 0
    document = json.loads(api.ask("GET", "/openapi.json")[2])

    def judge(what: str, answer: tuple[int, str, bytes], must_refuse: bool = False) -> None:
        nonlocal count
        count += 1
        status, kind, text = answer
        if status == 0 or status >= 500 or (must_refuse and status < 400) or (status >= 400 and "json" not in kind):
            wrong.append(f"  {what}: {status} {kind} {text[:200]!r}")

    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            method, known = method.upper(), path
            for name, values in things.items():
                known = known.replace("{" + name + "}", urllib.parse.quote(values[0], safe=""))
            known = known.replace("{bucket}", "exports").replace("{profile}", "reward").replace("{version}", "1").replace("{table}", "brands")
            if method == "DELETE" or "logout" in path:
                known = path
            for part in PARTS if "{" in path else []:
                filled = "/".join(part if one.startswith("{") else one for one in path.split("/"))
                judge(f"{method} {filled[:80]}", api.ask(method, filled, b"{}" if "requestBody" in operation else None))
            for query in QUERIES if method == "GET" else []:
                judge(f"GET {known}?{query[:60]}", api.ask("GET", f"{known}?{query}"))
            content = operation.get("requestBody", {}).get("content", {})
            if "application/json" not in content:
                continue
            for name, body in REFUSED.items():
                is_passed_over = path.startswith("/auth/") and name in ("deep objects", "a number beyond doubles")
                judge(f"{method} {known} with {name}", api.ask(method, known, body), must_refuse=not is_passed_over)
            for member in members(document, content["application/json"].get("schema", {})):
                for value in VALUES:
                    body = f'{{{json.dumps(member)}: {value}}}'
                    judge(f"{method} {known} with {body[:80]}", api.ask(method, known, body.encode()))
                twice = f'{{{json.dumps(member)}: 1, {json.dumps(member)}: 2}}'
                judge(f"{method} {known} with {twice}", api.ask(method, known, twice.encode()), must_refuse=True)
    slow = slow_callers(url)
    count += 1
    if slow:
        wrong.append(f"  {slow}")
    return count, wrong


def members(document: dict, schema: dict) -> list[str]:
    """Names of the members of a body, of all its variants."""
    if "$ref" in schema:
        return members(document, document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]])
    names = list(schema.get("properties", {}))
    for variant in schema.get("oneOf", []) + schema.get("anyOf", []) + schema.get("allOf", []):
        names += members(document, variant)
    return sorted(set(names))


def slow_callers(url: str) -> str:
    """A hundred callers who never finish their request: others are served meanwhile, and the slow ones are let go."""
    where = urllib.parse.urlsplit(url)
    held = []
    for _ in range(100):
        one = socket.create_connection((where.hostname, where.port), timeout=30)
        one.sendall(b"POST /v1/none HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        held.append(one)
    try:
        began = time.monotonic()
        with urllib.request.urlopen(f"{url}/health/live", timeout=10) as answer:
            if answer.status != 200 or time.monotonic() - began > 2:
                return f"slow callers hold up others for {time.monotonic() - began:.1f} s"
        limit = time.monotonic() + 30
        for one in held:
            one.settimeout(max(0.1, limit - time.monotonic()))
            try:
                said = one.recv(4096)
            except TimeoutError:
                return "slow callers are not let go within 30 s"
            except OSError:
                continue
            if said and b" 408 " not in said.split(b"\r\n", 1)[0]:
                return f"slow callers are answered {said[:60]!r}"
        return ""
    finally:
        for one in held:
            one.close()
