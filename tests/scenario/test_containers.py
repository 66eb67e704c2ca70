#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The container image, the Compose file and the Kubernetes manifests: they agree with the programs, and their own words,
secrets, probes and users run, in an engine of the tests' own (support/pods.py)."""
import base64
import functools
import glob
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
from urllib.parse import quote

import yaml
import zmq

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.hosts import enter_namespaces  # noqa: E402
from support.pods import NET, USER, Engine  # noqa: E402
from support.postgres import PASSWORD, ROLE, Postgres  # noqa: E402
from support.reading import fetch_at_edge  # noqa: E402
from support.stack import BIN, ROOT  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402

KUBERNETES = os.path.join(ROOT, "deploy", "kubernetes")
CONTAINER = os.path.join(ROOT, "deploy", "container")
DRAIN_S = 20
SERVICES = ("membership", "activity", "care", "stream")
PROCESSES = (*SERVICES, "gateway", "edge")
PROGRAMS = ("nuanxin", *("nuanxin-" + p for p in PROCESSES))


def load(path):
    with open(path, encoding="utf-8") as f:
        return [d for d in yaml.safe_load_all(f) if d]


@functools.cache
def manifests():
    """{(kind, name): document} of all that kustomization.yaml names, and of operator.yaml."""
    all_ = {}
    for name in [*load(KUBERNETES + "/kustomization.yaml")[0]["resources"], "operator.yaml"]:
        for d in load(os.path.join(KUBERNETES, name)):
            all_[d["kind"], d["metadata"].get("name", d["metadata"].get("generateName"))] = d
    return all_


def compose():
    return load(CONTAINER + "/compose.yaml")[0]


def pod_of(name):
    m = manifests()
    return (m.get(("Deployment", name)) or m["Job", name])["spec"]["template"]


@functools.cache
def options():
    """{program: its options}, as --help lists them."""
    return {p: set(re.findall(r"^  --([a-z-]+)", subprocess.run([os.path.join(BIN, p), "--help"], capture_output=True, text=True).stdout, re.M))
            for p in PROGRAMS}


def check_options(where, program, words, environment, shared=()):
    known = options()[program]
    for w in words:
        assert not w.startswith("--") or w[2:].split("=")[0] in known, f"{where}: {program} has no {w}"
    for key in environment:
        if key.startswith("NUANXIN_") and key not in shared:
            assert key[8:].lower().replace("_", "-") in known, f"{where}: {program} has no {key}"


@story("every option that a unit, a container or a pod gives is its program's")
def named():
    for path in glob.glob(os.path.join(ROOT, "deploy/systemd/*.service")):
        with open(path) as f:
            text = f.read()
        check_options(path, re.search(r"^ExecStart=/usr/local/bin/(\S+)", text, re.M).group(1), [],
                      re.findall(r"^Environment=(\w+)=", text, re.M))
    with open(os.path.join(ROOT, "deploy/systemd/nuanxin-gateway-tls.conf")) as f:
        check_options("tls.conf", "nuanxin-gateway", [], re.findall(r"^Environment=(\w+)=", f.read(), re.M))
    settings = manifests()["ConfigMap", "nuanxin"]["data"]
    all_options = set.union(*options().values())
    for key in settings:
        assert key[8:].lower().replace("_", "-") in all_options, f"settings.yaml: nobody has {key}"
    for name in (*PROCESSES, "nuanxin-"):
        for c in pod_of(name)["spec"]["containers"]:
            check_options(name, os.path.basename(c["command"][0]), c["command"][1:] + c["args"], [e["name"] for e in c.get("env", [])])
    for name, s in compose()["services"].items():
        if s["image"] == "nuanxin":
            program = os.path.basename((s.get("entrypoint") or s["command"])[0])
            check_options(name, program, s["command"], s.get("environment", {}))
    with open(CONTAINER + "/Containerfile") as f:
        for key in re.findall(r"NUANXIN_(\w+)=", f.read()):
            assert key.lower() in all_options, f"Containerfile: nobody has {key}"


@story("ports, probes, selectors, policies, secrets and times of the manifests fit each other and the programs")
def consistent():
    m = manifests()
    ports = set()
    for name in PROCESSES:
        template = pod_of(name)
        spec, c = template["spec"], template["spec"]["containers"][0]
        expect(name + "'s selector", m["Deployment", name]["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items(), True)
        own = {p["name"]: p["containerPort"] for p in c["ports"]}
        ports |= set(own.values())
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert c[probe]["httpGet"]["port"] in own and c[probe]["httpGet"]["path"] in ("/livez", "/readyz"), (name, probe)
        settings = m["ConfigMap", "nuanxin"]["data"]
        expect(name + "'s admin port", settings["NUANXIN_ADMIN"], f"0.0.0.0:{own['admin']}")
        expect(name + " is scraped there", template["metadata"]["annotations"]["prometheus.io/port"], str(own["admin"]))
        sleep = c.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        assert spec["terminationGracePeriodSeconds"] > DRAIN_S + sleep, name
        s, cs = spec["securityContext"], c["securityContext"]
        expect(name + " is restricted", (s["runAsNonRoot"], s["runAsUser"], s["fsGroup"], s["seccompProfile"]["type"], cs), (
            True, USER, USER, "RuntimeDefault",
            {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}))
        for kind in ("HorizontalPodAutoscaler", "PodDisruptionBudget"):
            assert (kind, name) in m, (kind, name)
        assert m["HorizontalPodAutoscaler", name]["spec"]["minReplicas"] >= 2
        expect(name + "'s budget", m["PodDisruptionBudget", name]["spec"]["selector"]["matchLabels"], {"app": name})
    service = m["Service", "gateway"]["spec"]
    expect("the service's port", service["ports"][0]["targetPort"], "http")
    peer = next(w for w in pod_of("edge")["spec"]["containers"][0]["args"] if w.startswith("stream=tcp://"))
    name, port = peer.removeprefix("stream=tcp://").split(":")
    expect("where the edge finds the stream", m["Service", name]["spec"], {"selector": {"app": "stream"},
                                                                           "ports": [{"name": "bus", "port": int(port), "targetPort": "bus"}]})
    labels = [pod_of(n)["metadata"]["labels"] for n in (*PROCESSES, "nuanxin-")]
    for (kind, name), d in m.items():
        if kind != "NetworkPolicy":
            continue
        wanted = d["spec"]["podSelector"].get("matchLabels", {}).items()
        assert any(wanted <= have.items() for have in labels), f"policy {name} is about nobody"
        for rule in d["spec"].get("ingress", []):
            assert {p["port"] for p in rule["ports"]} <= ports, name
    rule = load(KUBERNETES + "/prometheus-adapter.yaml")[0]["rules"]["custom"][0]
    for name in SERVICES:
        expect("the metric", m["HorizontalPodAutoscaler", name]["spec"]["metrics"][0]["pods"]["metric"]["name"], rule["name"]["as"])


@story("the Compose file: healthy before others start, time to drain, addresses and databases as its neighbours say")
def composed():
    d = compose()
    with open(CONTAINER + "/nginx.conf") as f:
        upstream = set(re.findall(r"server ([\d.]+):8080", f.read()))
    expect("nginx's gateways", {d["services"][g]["networks"]["default"]["ipv4_address"] for g in ("gateway-1", "gateway-2")}, upstream)
    with open(CONTAINER + "/databases.sql") as f:
        databases = set(re.findall(r"CREATE DATABASE (\w+)", f.read()))
    for name, s in d["services"].items():
        for needs, how in s.get("depends_on", {}).items():
            assert "healthcheck" in d["services"][needs] and how["condition"] == "service_healthy", (name, needs)
        for v in s.get("volumes", []):
            assert v.startswith("./") and os.path.exists(os.path.join(CONTAINER, v.split(":")[0])) or v.split(":")[0] in d["volumes"], v
        if s["image"] == "nuanxin" and "profiles" not in s:
            assert int(s["stop_grace_period"].rstrip("s")) > DRAIN_S, name
            expect(name, (s["environment"]["NUANXIN_INSTANCE"], s["read_only"], s["cap_drop"]), (name, True, ["ALL"]))
            assert name.startswith(("gateway", "edge")) or s["environment"]["NUANXIN_STORE"].rsplit("/", 1)[1] in databases
    r = subprocess.run(["nginx", "-t", "-c", CONTAINER + "/nginx.conf"], capture_output=True, text=True)
    expect("nginx: " + r.stderr, r.returncode, 0)


# --- run ---------------------------------------------------------------------------------------------------------------------

def cli(*words):
    return subprocess.run([os.path.join(BIN, "nuanxin"), *words], capture_output=True, text=True, check=True).stdout


def get(address, port, path, token=None):
    c = http.client.HTTPConnection(address, port, timeout=30)
    try:
        c.request("GET", path, headers={"Authorization": "Bearer " + token} if token else {})
        r = c.getresponse()
        return r.status, r.read().decode()
    finally:
        c.close()


def up(container, ready):
    def is_up():
        assert container.process.poll() is None, f"{container.name} ended:\n{container.log()[-3000:]}"
        try:
            return ready()
        except OSError:
            return False
    try:
        wait_until(f"{container.name} is ready", is_up, 60)
    except AssertionError as e:
        raise AssertionError(f"{e}\n{container.log()[-3000:]}")


class Database:
    """PostgreSQL beside the containers, with what databases.sql makes; host: its address."""

    host = NET + ".1"

    def __enter__(self):
        self.server = Postgres(listen=self.host)
        with open(self.server.data + "/pg_hba.conf", "a") as f:
            f.write(f"host all all {NET}.0/24 scram-sha-256\n")
        self.server.sql("SELECT pg_reload_conf()")
        with open(CONTAINER + "/databases.sql") as f:
            for statement in re.findall(r"^CREATE .*?;", f.read(), re.M | re.S):  # each in a transaction of its own
                self.server.sql(statement)
        for name in ("nuanxin_" + s for s in SERVICES):
            self.server.sql(f"ALTER DATABASE {name} OWNER TO {ROLE}")
            expect("its collation", self.server.sql(f"SELECT datcollate FROM pg_database WHERE datname = '{name}'"), "C")
        return self

    def __exit__(self, *_):
        self.server.close()


def redis(e, *words):
    p = e.beside("redis", NET + ".10", ["redis-server", "--bind", "0.0.0.0", "--save", "", "--dir", e.folder, "--protected-mode", "no", *words])
    wait_until("Redis listens", lambda: subprocess.run(["redis-cli", "-h", NET + ".10", "ping"], capture_output=True).returncode == 0)
    return p


def works(call, gateways):
    """An organisation by the operator; an application's key; and what every gateway answers it."""
    call("CreateOrganization", {"organization": {"code": "43", "name": "湖南省", "kind": "PROVINCE"}})
    key = call("CreateClient", {"client": {"name": "an app", "organization": "43", "grants": [{"role": "ROLE_APP_BACKEND", "organization": "43"}]}})
    for address, port in gateways:
        status, body = get(address, port, "/v1/organizations/43", key["apiKey"])
        expect(f"{address} says {body}", (status, json.loads(body).get("name")), (200, "湖南省"))


def streams(call, endpoint, server_key):
    """An agency is registered with a key of its own, and gets what happened from the edge."""
    public, secret = zmq.curve_keypair()
    call("CreateAgency", {"agency": {"id": "insurer", "name": "an insurer", "types": ["nuanxin.membership.v1.*"], "organizations": ["43"],
                                     "agreement": "none", "agreementExpireTime": "2099-01-01T00:00:00Z"}})
    call("CreateAgencyKey", {"agency": "insurer", "publicKey": public.decode()})

    def fetched():
        kind, answer = fetch_at_edge(endpoint, server_key, public, secret, 5, wait=3) or ("nothing", None)
        return [e["subject"] for e in answer.get("events", [])] if kind == "BATCH" else None

    expect("what it gets", wait_until("the edge lets it in", fetched, 30), ["43"])


def run_story(title):
    """A story where networks of our own are to be had; elsewhere a line that says so."""
    def mark(function):
        return story(title)(function if os.environ.get("NX_IN_NAMESPACES") else
                            lambda: print("# not run: that needs root and network namespaces"))
    return mark


@run_story("the Kubernetes pods, as their manifests say: two of each find each other by CURVE, are probed, serve, drain")
def pods():
    with Engine() as e, Database() as db, tempfile.TemporaryDirectory(dir="/tmp") as at:
        redis(e, "--requirepass", "a secret")
        e.names(redis=NET + ".10", postgres=db.host, stream=NET + ".26")  # the last: one of the pods behind that Service
        cli("--keys", at + "/keys", "keys", "create")
        cli("--curve", at + "/curve", "keys", "curve", "make")
        cli("--var", at, "keys", "edge")
        with open(at + "/redis-auth", "w") as f:
            f.write("password a secret\n")
        url = lambda name: f"postgresql://{ROLE}:{quote(PASSWORD, safe='')}@postgres/nuanxin_{name}"
        made = subprocess.run([KUBERNETES + "/secrets", at + "/keys", at + "/curve", at + "/edge/edge.key", at + "/redis-auth", *map(url, SERVICES)],
                              capture_output=True, text=True, check=True).stdout
        secrets = {d["metadata"]["name"]: {k: base64.b64decode(v) for k, v in d["data"].items()} for d in yaml.safe_load_all(made) if d}
        settings = manifests()["ConfigMap", "nuanxin"]["data"]

        def start(app, name, address, args=None):
            spec = pod_of(app)["spec"]
            c, volume = spec["containers"][0], spec["volumes"][0]["projected"]
            files = {i["path"]: secrets[s["secret"]["name"]][i["key"]] for s in volume["sources"] for i in s["secret"]["items"]}
            claims = {v["name"]: e.volume(v["persistentVolumeClaim"]["claimName"]) for v in spec["volumes"][1:]}
            volumes = {m["mountPath"]: claims[m["name"]] for m in c["volumeMounts"] if m["name"] in claims}
            field = {"status.podIP": address, "metadata.name": name}
            environment = {"PATH": "/usr/bin", **settings}
            for v in c.get("env", []):
                source = v.get("valueFrom", {})
                environment[v["name"]] = (v.get("value") or field.get(source.get("fieldRef", {}).get("fieldPath")) or
                                          secrets[source["secretKeyRef"]["name"]][source["secretKeyRef"]["key"]].decode())
            words = [re.sub(r"\$\((\w+)\)", lambda x: environment[x.group(1)], w) for w in c["command"] + (args or c["args"])]
            mounted = e.secrets(name, files, volume["defaultMode"], spec["securityContext"]["fsGroup"])
            return e.run(name, address, words, environment, volumes, secrets=mounted)

        address = lambda n: f"{NET}.{n}"
        running = {}
        for n, (app, name) in enumerate([("membership", "mem-a"), ("membership", "mem-b"), ("activity", "act-a"), ("activity", "act-b"), ("care", "care-a"), ("care", "care-b"),
                                         ("stream", "str-a"), ("stream", "str-b"), ("edge", "edge-a"), ("gateway", "gate-a"), ("gateway", "gate-b")], 20):
            running[name] = (start(app, name, address(n)), address(n))
        expect("where the Service leads", running["str-a"][1], NET + ".26")
        for name, (pod, where) in running.items():
            up(pod, lambda: get(where, 7000, "/readyz")[0] == 200)
            expect(name + " is alive", get(where, 7000, "/livez")[0], 200)

        def operate(*args):
            n = len(e.containers) + 60
            pod = start("nuanxin-", f"op-{n}", address(n), ["--json", *args])
            ended = pod.process.wait(60)
            expect(f"the operator's {args}: {pod.log()}", ended, 0)
            return json.loads(pod.log())

        # Ready pods are in the registry within a second.
        wait_until("all are found", lambda: sorted(i["instance"] for i in operate("status")) == ["act-a", "act-b", "care-a", "care-b", "mem-a", "mem-b", "str-a", "str-b"], 20)
        call = lambda method, request: operate("call", method, json.dumps(request))
        works(call, [(running[g][1], 8080) for g in ("gate-a", "gate-b")])
        with open(at + "/edge/edge.key", "rb") as f:
            streams(call, f"tcp://{running['edge-a'][1]}:9080", zmq.curve_public(f.read().strip()))
        series = load(KUBERNETES + "/prometheus-adapter.yaml")[0]["rules"]["custom"][0]["seriesQuery"].split("{")[0]
        assert re.search(series + r'\{.*lane="', get(running["mem-a"][1], 7000, "/metrics")[1]), f"no {series} with a lane"
        for name, app in {"mem-a": "membership", "act-a": "activity", "care-a": "care", "str-a": "stream", "edge-a": "edge", "gate-a": "gateway"}.items():
            expect(f"{name}'s end", running[name][0].stop(pod_of(app)["spec"]["terminationGracePeriodSeconds"]), 0)
        expect("the others serve", get(running["gate-b"][1], 8080, "/openapi.json")[0], 200)


@run_story("the Compose file's containers: sockets and keys in volumes, healthchecks inside, nginx before two gateways")
def containers():
    d = compose()["services"]
    with Engine() as e, Database() as db:
        redis(e, *d["redis"]["command"][1:])
        e.names(postgres=db.host)
        volumes = lambda s: {v.split(":")[1]: e.volume(v.split(":")[0]) for v in s.get("volumes", [])}
        image = {"PATH": "/usr/bin", "NUANXIN_KEYS": "/keys", "NUANXIN_BUS": "/bus", "NUANXIN_CHECKPOINTS": "/checkpoints",
                 "NUANXIN_ADMIN": "127.0.0.1:7000"}
        with open(CONTAINER + "/Containerfile") as f:
            for key, value in re.findall(r"(NUANXIN_\w+)=(\S+)", f.read()):
                expect("the image's " + key, value, image[key])
        made = e.run("keys", NET + ".9", d["keys"]["command"], image, volumes(d["keys"]))
        ended = made.process.wait(60)
        expect("keys: " + made.log(), ended, 0)
        ours = [n for n, s in d.items() if s["image"] == "nuanxin" and "profiles" not in s]
        running = {}
        for n, name in enumerate(sorted(ours, key=lambda n: ("gateway" in n, "edge" in n)), 11):
            s = d[name]
            environment = {**image, **s["environment"], "PGPASSWORD": PASSWORD}
            where = s.get("networks", {}).get("default", {}).get("ipv4_address", f"{NET}.{n}")
            running[name] = e.run(name, where, s["command"], environment, volumes(s))
        for name, c in running.items():
            up(c, lambda: c.inside(*d[name]["healthcheck"]["test"][1:]).returncode == 0)
        e.beside("nginx", NET + ".30", ["nginx", "-e", "stderr", "-g", "daemon off;", "-c", CONTAINER + "/nginx.conf"])
        wait_until("nginx answers", lambda: subprocess.run(["curl", "-sf", "-o", "/dev/null", f"http://{NET}.30:8080/openapi.json"]).returncode == 0)

        def call(method, request):
            o = e.run(f"op-{len(e.containers)}", f"{NET}.{len(e.containers) + 60}", [*d["nuanxin"]["entrypoint"], "--json", "call", method, json.dumps(request)],
                      image, volumes(d["nuanxin"]))
            ended = o.process.wait(60)
            expect(f"{method}: {o.log()}", ended, 0)
            return json.loads(o.log())

        works(call, [(NET + ".30", 8080)] * 4)
        with open(e.volume("edge") + "/edge.key", "rb") as f:
            streams(call, f"tcp://{running['edge-1'].host.address}:9080", zmq.curve_public(f.read().strip()))
        expect("a gateway's end", running["gateway-1"].stop(25), 0)
        for _ in range(4):
            expect("nginx goes on", get(NET + ".30", 8080, "/openapi.json")[0], 200)
        expect("a service's end", running["membership-1"].stop(25), 0)
        running["activity-1"].process.kill()
        running["activity-1"].process.wait()
        running["activity-1"].start()
        up(running["activity-1"], lambda: running["activity-1"].inside(*d["activity-1"]["healthcheck"]["test"][1:]).returncode == 0)


if __name__ == "__main__":
    enter_namespaces()
    main()
