#!/usr/bin/env python3
"""What no schema knows: that the parts of deploy/ fit each other, the programs and the documents. Run by scripts/check-deploy.

    deploy_checks.py [RENDERED.yaml...]                  checks, exit 1 when something does not fit
    deploy_checks.py --plant-faults RENDERED.yaml...     plants faults one by one and fails when one is not found
"""
import copy
import glob
import json
import re
import sys

import yaml

# Settings that an overlay gives in place of what stands in the repository, in overlays that are rendered for that alone (scripts/check-deploy).
OVERRIDES = {
    "overrides-supabase": {"SUPABASE_URL": "https://ours.supabase.co", "ENDCAP_SUPABASE_PUBLISH": "leaderboard"},
    "overrides-tracing": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.ours:4318", "ENDCAP_TRACE_SHARE": "0.5"},
}
# What tells each of these components that the overlay has to say it.
WANTED = {"supabase": ("SUPABASE_URL",), "tracing": ("OTEL_EXPORTER_OTLP_ENDPOINT",)}
# What docs/deployment.md tells people to set for Compose.
PASSED_ON = (
    "ENDCAP_TRUSTED_PROXIES", "ENDCAP_COOKIE_DOMAIN", "ENDCAP_PUBLISHABLE_KEY", "ENDCAP_SEAL_KEYS_FILE", "ENDCAP_SIGNUP", "ENDCAP_TRACE_SHARE",
    "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS_FILE", "OTEL_RESOURCE_ATTRIBUTES",
)
PORTS = {"campaign-runtime": (8000, 8100), "rlhf-backend": (8001, 8101), "rater-app": (8002, 8102)}
# Who calls whom on the private ports (the peers in each service's state.rs).
CALLS = {("campaign-runtime", "rlhf-backend"), ("campaign-runtime", "rater-app"), ("rater-app", "rlhf-backend")}


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def keys_of_the_programs():
    """Every setting that the programs know, from the page that a test keeps equal to the code."""
    return set(re.findall(r"^\| `([A-Z0-9_]+)`", read("docs/configuration.md"), re.M))


def is_known(name, keys):
    return name in keys or name.removesuffix("_FILE") in keys


def is_ours(name):
    return name.startswith(("ENDCAP_", "SUPABASE_", "DATABASE_URL", "OTEL_EXPORTER_"))


def pod_of(workload):
    spec = workload["spec"]
    return (spec["jobTemplate"]["spec"] if workload["kind"] == "CronJob" else spec)["template"]["spec"]


def selects(selector, labels):
    wanted = (selector or {}).get("matchLabels") or {}
    expressions = (selector or {}).get("matchExpressions") or []
    return all(labels.get(k) == v for k, v in wanted.items()) and all(
        e["operator"] == "In" and labels.get(e["key"]) in e["values"] for e in expressions)


class Manifests:
    """The objects of one rendered overlay."""

    def __init__(self, objects):
        self.objects = objects

    def all(self, *kinds):
        return [o for o in self.objects if o["kind"] in kinds]

    def names(self, *kinds):
        return {o["metadata"]["name"] for o in self.all(*kinds)}

    def config_maps(self):
        return {o["metadata"]["name"]: o.get("data") or {} for o in self.all("ConfigMap")}

    def secrets(self):
        """Names and keys of what there is and of what an operator will make."""
        there = {o["metadata"]["name"]: set({**(o.get("data") or {}), **(o.get("stringData") or {})}) for o in self.all("Secret")}
        made = {o["spec"]["target"]["name"]: {d["secretKey"] for d in o["spec"]["data"]} for o in self.all("ExternalSecret")}
        return {**there, **made}

    def environment(self, container):
        """Variables with a plain value, those of ConfigMaps first."""
        maps = self.config_maps()
        values = {}
        for source in container.get("envFrom") or []:
            values.update(maps.get((source.get("configMapRef") or {}).get("name"), {}))
        values.update({e["name"]: e["value"] for e in container.get("env") or [] if "value" in e})
        return values


def check_manifests(m, keys):
    problems = []
    say = problems.append
    maps, secrets = m.config_maps(), m.secrets()
    for w in m.all("Deployment", "Job", "CronJob"):
        name, pod = w["metadata"]["name"], pod_of(w)
        container = pod["containers"][0]
        environment = m.environment(container)
        for source in container.get("envFrom") or []:
            reference = (source.get("configMapRef") or {}).get("name")
            if reference not in maps:
                say(f"{name}: no ConfigMap {reference}")
        mounts = {}
        for mount in container.get("volumeMounts") or []:
            volume = next((v for v in pod.get("volumes") or [] if v["name"] == mount["name"]), None)
            if volume is None:
                say(f"{name}: no volume {mount['name']}")
            elif "secret" in volume:
                mounts[mount["mountPath"]] = volume["secret"]["secretName"]
                if volume["secret"]["secretName"] not in secrets:
                    say(f"{name}: no Secret {volume['secret']['secretName']}")
        for key, value in environment.items():
            if is_ours(key) and not is_known(key, keys):
                say(f"{name}: the programs do not know {key} and would not start")
            if key.endswith("_FILE") and value.startswith("/run/secrets/"):
                folder, _, file = value.rpartition("/")
                if file not in secrets.get(mounts.get(folder), set()):
                    say(f"{name}: {key} names {value}, which no mounted Secret has")
        if pod.get("enableServiceLinks") is not False:
            say(f"{name}: service links bring variables that the programs may refuse")
        for policy, settings in WANTED.items():
            if w["kind"] == "Deployment" and policy in m.names("NetworkPolicy"):
                problems += [f"{name}: the component {policy} is there, and the overlay does not set {key}" for key in settings if not environment.get(key)]
    for w in m.all("Deployment"):
        name, pod = w["metadata"]["name"], pod_of(w)
        container = pod["containers"][0]
        environment = m.environment(container)
        public, private = PORTS[name]
        if {p["name"]: p["containerPort"] for p in container["ports"]} != {"public": public, "private": private}:
            say(f"{name}: ports are not {public} and {private}")
        stop = int(environment.get("ENDCAP_SHUTDOWN_TIMEOUT_MS", "10000")) / 1000
        sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        # Twice: for open requests, then for jobs beside them (crates/web/src/start.rs).
        if pod["terminationGracePeriodSeconds"] < sleep + 2 * stop:
            say(f"{name}: would be killed after {pod['terminationGracePeriodSeconds']} s, but may take {sleep} + 2 x {stop:g} s to stop")
        probes = {kind: container[kind]["httpGet"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")}
        if probes["livenessProbe"] != {"path": "/health/live", "port": "private"}:
            say(f"{name}: liveness must ask /health/live on the private port")
        if probes["readinessProbe"] != {"path": "/health/ready", "port": "public"}:
            say(f"{name}: readiness must ask /health/ready on the public port")
        for peer in PORTS:
            url = environment.get(f"ENDCAP_{peer.replace('-', '_').upper()}_PRIVATE_URL", "")
            host, _, port = url.removeprefix("http://").partition(":")
            service = next((s for s in m.all("Service") if s["metadata"]["name"] == host), None)
            if service is None or str(service["spec"]["ports"][0]["port"]) != port or service["spec"]["selector"].get("app.kubernetes.io/name") != peer:
                say(f"{name}: {url or 'no address'} is not where {peer} answers other services")
    private_services = {s["metadata"]["name"] for s in m.all("Service") if any(p["name"] == "private" for p in s["spec"]["ports"])}
    for s in m.all("Service"):
        if s["spec"].get("type", "ClusterIP") != "ClusterIP":
            say(f"Service {s['metadata']['name']} can be reached past the Ingress")
        if {"public", "private"} <= {p["name"] for p in s["spec"]["ports"]}:
            say(f"Service {s['metadata']['name']} mixes the public and the private port")
    backends = [p["backend"]["service"]["name"] for i in m.all("Ingress") for r in i["spec"]["rules"] for p in r["http"]["paths"]]
    backends += [b["name"] for i in m.all("HTTPRoute") for r in i["spec"]["rules"] for b in r["backendRefs"]]
    for backend in backends:
        if backend in private_services:
            say(f"{backend}: the private port is reachable from outside")
    if set(backends) != set(PORTS):
        say(f"people reach {sorted(set(backends))}, not the three services")
    problems += check_network(m)
    problems += check_admin(m)
    for job in m.all("Job"):
        tag = pod_of(job)["containers"][0]["image"].partition(":")[2]
        release = job["metadata"]["name"].removeprefix("endcap-migrate").lstrip("-")
        if release and "@" not in tag and release != tag.replace(".", "-"):
            say(f"Job {job['metadata']['name']} runs the image {tag}: a Job cannot be changed, so its name must change with the release")
    return problems


def check_admin(m):
    """That administration is there, never runs by itself, and may do no more than the migration."""
    admin = next((c for c in m.all("CronJob") if c["metadata"]["name"] == "endcap-admin"), None)
    job = next(iter(m.all("Job")), None)
    if admin is None or job is None:
        return ["admin: there is no CronJob endcap-admin, or no migration"]
    problems = [] if admin["spec"].get("suspend") is True else ["admin: it would run by itself"]
    mine, other = pod_of(admin), pod_of(job)
    for key in ("securityContext", "serviceAccountName", "automountServiceAccountToken"):
        if mine.get(key) != other.get(key):
            problems.append(f"admin: {key} is not that of the migration")
    for key in ("securityContext", "image"):
        if mine["containers"][0].get(key) != other["containers"][0].get(key):
            problems.append(f"admin: {key} of its container is not that of the migration")
    return problems


def check_backup(pod, rendered_secrets):
    """The pod in which a backup is made is of no overlay, and must fit them all the same."""
    spec, container = pod["spec"], pod["spec"]["containers"][0]
    problems = []
    if not spec["securityContext"].get("runAsNonRoot") or container["securityContext"].get("capabilities") != {"drop": ["ALL"]}:
        problems.append("backup.yaml: the namespace takes restricted pods only")
    if pod["metadata"]["labels"].get("app.kubernetes.io/component") != "migration":
        problems.append("backup.yaml: no network policy lets it to the database")
    names = {v["secret"]["secretName"] for v in spec["volumes"] if "secret" in v}
    if rendered_secrets and not names <= rendered_secrets:
        problems.append(f"backup.yaml: no overlay has the Secrets {sorted(names)}")
    return problems


def check_overrides(name, m):
    """That what an overlay sets itself is what its pods get."""
    problems = []
    for key, value in OVERRIDES.get(name, {}).items():
        for w in m.all("Deployment"):
            found = m.environment(pod_of(w)["containers"][0]).get(key)
            if found != value:
                problems.append(f"{w['metadata']['name']}: the overlay sets {key}={value}, and the pod gets {found}")
    return problems


def check_network(m):
    problems = []
    policies = m.all("NetworkPolicy")
    if not any(not p["spec"].get("podSelector") and set(p["spec"]["policyTypes"]) == {"Ingress", "Egress"} and not p["spec"].get("ingress") for p in policies):
        problems.append("network: nothing denies by default")
    calls = set()
    for p in policies:
        for rule in (p["spec"].get("ingress") or []):
            if not rule.get("from"):
                problems.append(f"network: {p['metadata']['name']} lets everybody in")
            for caller in PORTS:
                for called in PORTS:
                    labels = {"app.kubernetes.io/name": caller, "app.kubernetes.io/component": "service"}
                    at = {"app.kubernetes.io/name": called, "app.kubernetes.io/component": "service"}
                    ports = {x.get("port") for x in rule.get("ports") or []}
                    if "private" in ports and selects(p["spec"]["podSelector"], at):
                        if any("podSelector" in f and "namespaceSelector" not in f and selects(f["podSelector"], labels) for f in rule["from"]):
                            calls.add((caller, called))
    if calls != CALLS:
        problems.append(f"network: who may call whom is {sorted(calls)}, not {sorted(CALLS)}")
    for caller, called in CALLS:
        at = {"app.kubernetes.io/name": called}
        port = PORTS[called][1]
        mine = [p for p in policies if selects(p["spec"].get("podSelector"), {"app.kubernetes.io/name": caller, "app.kubernetes.io/component": "service"})]
        if not any(x.get("port") == port and any("podSelector" in t and selects(t["podSelector"], at) and t["podSelector"] for t in rule.get("to") or [])
                   for p in mine for rule in p["spec"].get("egress") or [] for x in rule.get("ports") or []):
            problems.append(f"network: {caller} may not reach {called} on {port}")
    database = [p for p in policies if any(x.get("port") == 5432 for r in p["spec"].get("egress") or [] for x in r.get("ports") or [])]
    for component in ("service", "migration"):
        if not any(selects(p["spec"]["podSelector"], {"app.kubernetes.io/component": component}) for p in database):
            problems.append(f"network: no way from the {component} to the database")
    return problems


def metrics_of_the_programs():
    code = "\n".join(read(f) for f in glob.glob("crates/*/src/**/*.rs", recursive=True) + glob.glob("services/*/src/**/*.rs", recursive=True))
    return set(re.findall(r'(?:counter|gauge|histogram)!\(\s*"([a-z_]+)"', code))


def metrics_in(expression):
    """Names of metrics in a PromQL expression: what is no function, label, keyword or number."""
    text = re.sub(r'"[^"]*"', '""', expression)
    text = re.sub(r"\{[^}]*\}", "", text)
    text = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", "", text)
    text = re.sub(r"\[[^\]]*\]", "", text)
    return {n for n in re.findall(r"(?<![\w$:])([a-z][a-z0-9_:]*)(?!\s*\()\b", text) if not re.match(r"^(and|or|unless|bool)$", n) and f"{n}(" not in text and f"{n} (" not in text}


def check_observability(rules, operator_rules, dashboard, runbook):
    problems = []
    if rules["groups"] != operator_rules["spec"]["groups"]:
        problems.append("observability: rules.yaml and alerts.yaml differ")
    recorded = {r["record"] for g in rules["groups"] for r in g["rules"] if "record" in r}
    exists = metrics_of_the_programs() | recorded | {"up"}
    alerts = {r["alert"]: r for g in rules["groups"] for r in g["rules"] if "alert" in r}
    expressions = {r.get("alert") or r["record"]: r["expr"] for g in rules["groups"] for r in g["rules"]}
    expressions |= {f"panel {p['title']}": t["expr"] for p in dashboard["panels"] for t in p.get("targets", [])}
    for where, expression in expressions.items():
        for metric in metrics_in(expression):
            if re.sub(r"_(bucket|count|sum)$", "", metric) not in exists and metric not in exists:
                problems.append(f"observability: {where} asks for {metric}, which no program has")
    sections = re.findall(r"^## (\w+)", runbook, re.M)
    for name, rule in alerts.items():
        if rule["annotations"].get("runbook_url") != f"docs/runbook.md#{name.lower()}" or name not in sections:
            problems.append(f"observability: {name} has no section in docs/runbook.md, or does not link to it")
        if not rule["labels"].get("severity"):
            problems.append(f"observability: {name} has no severity")
    for section in sections:
        if section.startswith("Endcap") and section not in alerts:
            problems.append(f"observability: docs/runbook.md explains {section}, which is no alert")
    return problems


def check_compose(compose, secrets_script, dockerfile, keys):
    problems = []
    targets = set(re.findall(r"^FROM .* AS ([\w-]+)$", dockerfile, re.M))
    for name, service in compose["services"].items():
        environment = service.get("environment") or {}
        for key, value in environment.items():
            if is_ours(key) and not is_known(key, keys):
                problems.append(f"compose: {name}: the programs do not know {key}")
            # The publishable key is for pages that everybody sees.
            if re.search(r"PASSWORD|SECRET|KEY|HEADERS", key) and not key.endswith("_FILE") and key != "ENDCAP_PUBLISHABLE_KEY":
                problems.append(f"compose: {name}: {key} is a secret in the environment")
            if key.endswith("_FILE") and str(value).removeprefix("/run/secrets/") not in service.get("secrets", []):
                problems.append(f"compose: {name}: {key} names {value}, which is not mounted")
        if "build" in service and service["build"]["target"] not in targets:
            problems.append(f"compose: {name}: the Dockerfile has no target {service['build']['target']}")
        if service["image"].startswith("endcap/"):
            if not (service.get("read_only") and service.get("cap_drop") == ["ALL"] and service.get("user") == "65532:65532"):
                problems.append(f"compose: {name} can write to its root, has capabilities or runs as another user")
            if name in (*PORTS, "admin"):
                lacking = [key for key in PASSED_ON if key not in environment]
                if lacking:
                    problems.append(f"compose: {name} is not told {', '.join(lacking)}, whatever people set")
            if name in PORTS:
                if (service.get("depends_on") or {}).get("migrate", {}).get("condition") != "service_completed_successfully":
                    problems.append(f"compose: {name} does not wait for the migration")
                if [p.rsplit(":", 1)[1] for p in service["ports"]] != [str(PORTS[name][0])]:
                    problems.append(f"compose: {name} publishes other ports than its public one")
                stop = int(environment["ENDCAP_SHUTDOWN_TIMEOUT_MS"]) / 1000
                if float(service["stop_grace_period"].removesuffix("s")) < 2 * stop:
                    problems.append(f"compose: {name} would be killed while it still drains")
        if re.search(r":latest$", service["image"]) or ":" not in service["image"]:
            problems.append(f"compose: {name}: the image has no tag")
    for name, secret in compose["secrets"].items():
        if not re.search(rf"\b{name}\b", secrets_script) or secret["file"] != f"./secrets/{name}":
            problems.append(f"compose: deploy/make-secrets does not make {name}")
    return problems


def everything(rendered):
    """All parts, as data, so that a fault can be planted in each."""
    return {
        "overlays": {name: [o for o in yaml.safe_load_all(read(name)) if o] for name in rendered},
        "rules": yaml.safe_load(read("deploy/observability/rules.yaml")),
        "operator_rules": yaml.safe_load(read("deploy/observability/alerts.yaml")),
        "dashboard": json.loads(read("deploy/observability/grafana/dashboards/endcap.json")),
        "runbook": read("docs/runbook.md"),
        "backup": yaml.safe_load(read("deploy/kubernetes/backup.yaml")),
        "compose": yaml.safe_load(read("deploy/compose.yaml")),
        "secrets_script": read("deploy/make-secrets"),
        "dockerfile": read("deploy/Dockerfile"),
        "init": (read("deploy/compose/init-database.sh"), read("deploy/kubernetes/components/postgres/init-database.sh")),
    }


def check(parts):
    keys = keys_of_the_programs()
    problems = []
    for name, objects in parts["overlays"].items():
        short, m = name.rsplit("/", 1)[-1], Manifests(objects)
        problems += [f"{short}: {p}" for p in check_manifests(m, keys) + check_overrides(short.removesuffix(".yaml"), m)]
    rendered_secrets = set().union(*(Manifests(objects).secrets() for objects in parts["overlays"].values()))
    problems += check_backup(parts["backup"], rendered_secrets)
    problems += check_observability(parts["rules"], parts["operator_rules"], parts["dashboard"], parts["runbook"])
    problems += check_compose(parts["compose"], parts["secrets_script"], parts["dockerfile"], keys)
    if parts["init"][0] != parts["init"][1]:
        problems.append("the two copies of init-database.sh differ")
    if not re.search(r"^USER \d+:\d+$", parts["dockerfile"], re.M):
        problems.append("Dockerfile: the user is not a number")
    return problems


def faults():
    """Names and functions that each break one thing."""
    def of(parts, kind, name=None):
        objects = next(iter(parts["overlays"].values()))
        return next(o for o in objects if o["kind"] == kind and (name is None or o["metadata"]["name"].startswith(name)))

    def settings(parts, overlay=""):
        objects = next(o for n, o in parts["overlays"].items() if overlay in n)
        return next(o for o in objects if o["kind"] == "ConfigMap" and o["metadata"]["name"].startswith("endcap-settings"))["data"]

    def container(parts, name):
        return pod_of(of(parts, "Deployment", name))["containers"][0]

    return {
        "a setting that the programs do not know": lambda p: settings(p).update(ENDCAP_LOGFORMAT="json"),
        "a secret's file under another name": lambda p: settings(p).update(ENDCAP_JWT_SECRET_FILE="/run/secrets/endcap/jwt_secret"),
        "a ConfigMap without its hash": lambda p: of(p, "ConfigMap", "endcap-settings")["metadata"].update(name="endcap-settings"),
        "a Secret that is gone": lambda p: of(p, "Secret" if "development" in next(iter(p["overlays"])) else "ExternalSecret", "endcap-secrets").update(kind="Gone"),
        "grace shorter than the drain": lambda p: settings(p).update(ENDCAP_SHUTDOWN_TIMEOUT_MS="60000"),
        "liveness that asks the database": lambda p: container(p, "rater-app")["livenessProbe"]["httpGet"].update(path="/health/ready"),
        "readiness on the private port": lambda p: container(p, "rater-app")["readinessProbe"]["httpGet"].update(port="private"),
        "a wrong port": lambda p: container(p, "rlhf-backend")["ports"][0].update(containerPort=8000),
        "a peer's address with the public port": lambda p: settings(p).update(ENDCAP_RATER_APP_PRIVATE_URL="http://rater-app-internal:8002"),
        "service links": lambda p: pod_of(of(p, "Deployment")).update(enableServiceLinks=True),
        "an Ingress to the private port": lambda p: of(p, "Ingress", "rater")["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"].update(name="rater-app-internal"),
        "a Service for everybody": lambda p: of(p, "Service", "rater-app").get("spec").update(type="LoadBalancer"),
        "no default deny": lambda p: of(p, "NetworkPolicy", "default-deny")["spec"].update(ingress=[{}]),
        "a policy open to everybody": lambda p: of(p, "NetworkPolicy", "rater-app")["spec"]["ingress"].append({"ports": [{"port": "public"}]}),
        "a caller that is not one": lambda p: of(p, "NetworkPolicy", "campaign-runtime")["spec"]["ingress"].append(
            {"from": [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "rlhf-backend"}}}], "ports": [{"port": "private"}]}),
        "a peer that cannot be reached": lambda p: of(p, "NetworkPolicy", "rater-app")["spec"].update(egress=[]),
        "a migration without database": lambda p: of(p, "NetworkPolicy", "database")["spec"]["podSelector"]["matchExpressions"][0].update(values=["service"]),
        "the last release's migration": lambda p: of(p, "Job")["metadata"].update(name="endcap-migrate-0-0-9"),
        "an alert on a metric that nobody has": lambda p: [g.update(rules=[{**r, "expr": r["expr"].replace("reviews_overdue", "reviews_late")} for r in g["rules"]])
                                                           for rules in (p["rules"]["groups"], p["operator_rules"]["spec"]["groups"]) for g in rules],
        "a panel on a metric that nobody has": lambda p: p["dashboard"]["panels"][1]["targets"][0].update(expr="sum(rate(endcap_requests_total[5m]))"),
        "rules that differ": lambda p: p["operator_rules"]["spec"]["groups"].pop(),
        "an alert without runbook": lambda p: p.update(runbook=p["runbook"].replace("## EndcapNotReady", "## Not ready")),
        "a secret in Compose's environment": lambda p: p["compose"]["services"]["rater-app"]["environment"].update(ENDCAP_JWT_SECRET="x" * 32),
        "a secret that is not mounted": lambda p: p["compose"]["services"]["rater-app"].update(secrets=["database-url"]),
        "a service that does not wait": lambda p: p["compose"]["services"]["rater-app"]["depends_on"].pop("migrate"),
        "a published private port": lambda p: p["compose"]["services"]["rater-app"].update(ports=["127.0.0.1:8102:8102"]),
        "a target that is gone": lambda p: p.update(dockerfile=p["dockerfile"].replace("AS rater-app", "AS raters")),
        "a user by name": lambda p: p.update(dockerfile=p["dockerfile"].replace("USER 65532:65532", "USER endcap")),
        "a secret that nobody makes": lambda p: p["compose"]["secrets"].update({"sealing-keys": {"file": "./secrets/sealing-keys"}}),
        "a setting that never reaches the services": lambda p: p["compose"]["services"]["rater-app"]["environment"].pop("ENDCAP_TRUSTED_PROXIES"),
        "a component that overrules its overlay": lambda p: settings(p, "overrides-supabase").update(SUPABASE_URL="https://abcdefgh.supabase.co"),
        "a share of traces that is overruled": lambda p: settings(p, "overrides-tracing").update(ENDCAP_TRACE_SHARE="0.1"),
        "a collector without its address": lambda p: settings(p, "overrides-tracing").pop("OTEL_EXPORTER_OTLP_ENDPOINT"),
        "administration that runs by itself": lambda p: of(p, "CronJob")["spec"].update(suspend=False),
        "administration as root": lambda p: pod_of(of(p, "CronJob"))["securityContext"].update(runAsNonRoot=False),
        "a backup that cannot reach the database": lambda p: p["backup"]["metadata"]["labels"].pop("app.kubernetes.io/component"),
        "copies that differ": lambda p: p.update(init=(p["init"][0], p["init"][1] + "# changed\n")),
    }


def main():
    arguments = sys.argv[1:]
    plants = "--plant-faults" in arguments
    parts = everything([a for a in arguments if not a.startswith("--")])
    if not plants:
        problems = check(parts)
        print("\n".join(problems) or "everything fits")
        return 1 if problems else 0
    before = set(check(parts))
    missed = []
    for name, plant in faults().items():
        broken = copy.deepcopy(parts)
        # The first has all that is broken here but what only those can show that override something.
        broken["overlays"] = {n: o for i, (n, o) in enumerate(broken["overlays"].items()) if i == 0 or "overrides" in n}
        plant(broken)
        if not set(check(broken)) - before:
            missed.append(name)
    print(f"{len(faults()) - len(missed)} of {len(faults())} planted faults were found")
    print("\n".join(f"not found: {name}" for name in missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
