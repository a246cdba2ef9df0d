# SPDX-License-Identifier: GPL-3.0-or-later
"""What verify_host sees of a host: each look's answer, and that none of them holds up the others."""

from __future__ import annotations

import base64
import http.server
import json
import os
import subprocess
import threading
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils import verify_look
from ansible_collections.superpod.monitoring.plugins.module_utils.monitoring_time import seconds_of, seconds_since_1970
from ansible_collections.superpod.monitoring.plugins.module_utils.verify_answers import digest
from ansible_collections.superpod.monitoring.plugins.module_utils.verify_expectations import LOOKS, REQUEST
from ansible_collections.superpod.monitoring.plugins.module_utils.verify_look import Look, together
from hypothesis import given
from hypothesis import strategies as st
from unit.plugins.modules.ansible_run import Task, play

METRICS = """# HELP node_uname_info Labels.
node_uname_info{release="6.8"} 1
node_memory_MemTotal_bytes 2.1e+12
cgroup_cpus{jobid="42",step="",task=""} 8
cgroup_cpus{jobid="43",step="",task=""} 4 1800000000000
nvidia_gpu_duty_cycle{minor_number="0",jobid="42"} NaN
"""


def asking(**looks: t.Any) -> dict[str, t.Any]:
    """A whole request."""
    return {**{look: [] for look in LOOKS}, **looks}


@pytest.fixture
def site() -> Iterator[str]:
    """The URL of a server with one page for each kind of trouble."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/hang":
                time.sleep(20)
                return
            if self.path == "/drip":
                self.send_response(200)
                self.end_headers()
                while not self.server.over:  # type: ignore[attr-defined]
                    self.wfile.write(b"# \n")
                    time.sleep(0.05)
                return
            login = "Basic " + base64.b64encode(b"admin:right").decode()
            status = 401 if self.path == "/login" and self.headers.get("Authorization") != login else 200
            self.send_response(status)
            self.end_headers()
            self.wfile.write(METRICS.encode() if self.path == "/metrics" else b'{"a":\n 1}')

        def log_message(self, *_arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.over = False  # type: ignore[attr-defined]
    server.daemon_threads = True
    server.handle_error = lambda *_arguments: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.over = True  # type: ignore[attr-defined]
        server.shutdown()
        thread.join()
        server.server_close()


def ask(url: str, kind: str, **more: t.Any) -> dict[str, t.Any]:
    """What is kept of one GET."""
    request = {**REQUEST, "name": "it", "url": url, "kind": kind, "seconds": 1, **more}
    answer: dict[str, t.Any] = verify_look.look(asking(requests=[request]))["requests"]["it"]
    return answer


# --- without waiting for ever ---


def test_looks_do_not_wait_for_each_other() -> None:
    begin = time.monotonic()
    answers = together(
        {
            "quick": Look(lambda: {"a": 1}),
            "hung": Look(lambda: time.sleep(60), 0.3),
            "broken": Look(lambda: {}["gone"]),
            "large": Look(lambda: "x" * 1_000_000),
            "killed": Look(lambda: os.kill(os.getpid(), 9)),
            "not JSON": Look(lambda: {1: {2}}),
        }
    )
    assert time.monotonic() - begin < 10
    assert answers == {
        "quick": {"a": 1},
        "hung": {"error": "no answer within 0.3 s"},
        "broken": {"error": "KeyError: 'gone'"},
        "large": "x" * 1_000_000,
        "killed": {"error": "the look ended without an answer"},
        "not JSON": {"error": "the look ended without an answer"},
    }


def test_a_program_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\nsleep 61 &\necho $! >{tmp_path}/child\nsleep 62\n")
    program.chmod(0o755)
    answers = together({"it": Look(lambda: verify_look.command([str(program)]), 0.5)})
    assert answers == {"it": {"error": "no answer within 0.5 s"}}
    child = int((tmp_path / "child").read_text())
    for _ in range(100):
        status = subprocess.run(["ps", "-o", "stat=", "-p", str(child)], capture_output=True, text=True, check=False)
        if status.stdout.strip()[:1] in ("", "Z"):
            break
        time.sleep(0.05)
    assert status.stdout.strip()[:1] in ("", "Z")


def test_nothing_to_look_at() -> None:
    before = time.time()
    facts = verify_look.look(asking())
    assert before <= facts.pop("time") <= time.time()
    assert facts == {
        "units": {},
        "listeners": [],
        "files": {},
        "contents": {},
        "disks": {},
        "listings": {},
        "certificates": {},
        "requests": {},
        "commands": {},
    }


# --- files and directories ---


def test_files(tmp_path: Path) -> None:
    plain, link, gone = tmp_path / "plain", tmp_path / "link", tmp_path / "gone"
    plain.write_bytes(b"content")
    plain.chmod(0o640)
    os.utime(plain, (1e9, 1e9))
    link.symlink_to("plain")
    inside = plain / "below a file"
    found = verify_look.look(asking(files=[str(plain), str(link), str(gone), str(tmp_path), str(inside)]))["files"]
    assert found[str(plain)] | {"owner": "", "group": ""} == {
        "state": "file",
        "mode": "0640",
        "owner": "",
        "group": "",
        "sha256": "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73",
        "mtime": 1e9,
    }
    assert found[str(link)] == {"state": "link", "target": "plain", "mtime": link.lstat().st_mtime}
    assert found[str(gone)] == found[str(inside)] == {"state": "absent"}
    assert found[str(tmp_path)]["state"] == "directory"


def test_one_hung_place_spoils_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = verify_look.file

    def file(path: str) -> dict[str, t.Any]:
        if path.startswith("/cm/shared/"):
            time.sleep(60)
        return real(path)

    monkeypatch.setattr(verify_look, "file", file)
    monkeypatch.setattr(verify_look, "Look", lambda do, seconds=0.5: Look(do, seconds))
    found = verify_look.look(asking(files=["/cm/shared/a/b", "/cm/shared/c", str(tmp_path / "x")]))["files"]
    hung = {"error": "no answer within 0.5 s"}
    assert found == {"/cm/shared/a/b": hung, "/cm/shared/c": hung, str(tmp_path / "x"): {"state": "absent"}}


def test_contents_disks_and_listings(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"[]\xff")
    (tmp_path / "b.json").mkdir()
    (tmp_path / ".c.json").write_text("[]")
    os.mkfifo(tmp_path / "fifo")
    os.utime(tmp_path / "a.json", (1e9, 1e9))
    paths = [str(tmp_path / name) for name in ("a.json", "gone", "fifo")]
    directories = [str(tmp_path), paths[0], paths[1]]
    facts = verify_look.look(asking(contents=paths, disks=directories, listings=[str(tmp_path), paths[1]]))
    assert facts["contents"][paths[0]] == {"text": "[]\ufffd", "mtime": 1e9}
    assert facts["contents"][paths[1]] == {"error": "No such file or directory"}
    assert facts["contents"][paths[2]]["text"] == ""
    assert facts["disks"][directories[0]]["read_only"] is False
    assert facts["disks"][directories[0]]["free_bytes"] > 0
    assert facts["disks"][directories[1]] == {"error": "is no directory"}
    assert facts["disks"][directories[2]] == {"error": "is not there"}
    files = {"a.json": base64.b64encode(b"[]\xff").decode(), "b.json": None}
    assert facts["listings"] == {str(tmp_path): {"files": files}, paths[1]: {"error": "No such file or directory"}}


def test_certificates(tmp_path: Path) -> None:
    argv = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ed25519",
        "-nodes",
        "-subj",
        "/CN=x",
        "-days",
        "9",
        "-keyout",
        "/dev/null",
    ]
    subprocess.run([*argv, "-out", str(tmp_path / "c.pem")], check=True, capture_output=True)
    (tmp_path / "bad.pem").write_text("no certificate")
    good, bad = str(tmp_path / "c.pem"), str(tmp_path / "bad.pem")
    found = verify_look.look(asking(certificates=[good, bad]))["certificates"]
    assert 8.9 * 86400 < found[good]["not_after"] - time.time() < 9.1 * 86400
    assert found[bad] == {"error": f"{bad} cannot be read as a certificate"}


# --- programs, units, ports ---


def test_commands(tmp_path: Path) -> None:
    says = {"name": "says", "argv": ["sh", "-c", "echo out; echo $PYTHONDONTWRITEBYTECODE >&2; exit 3"], "seconds": 5}
    gone = {"name": "gone", "argv": [str(tmp_path / "gone")], "seconds": 5}
    found = verify_look.look(asking(commands=[says, gone]))["commands"]
    assert found == {
        "says": {"rc": 3, "stdout": "out\n", "stderr": "1\n"},
        "gone": {"error": f"{tmp_path}/gone cannot be run: No such file or directory"},
    }


def test_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "systemctl"
    program.write_text(
        "#!/bin/sh\n"
        "printf 'Id=a.service\\nLoadState=loaded\\nActiveState=active\\nMainPID=%s\\n\\n' $PPID\n"
        "printf 'Id=b.service\\nLoadState=not-found\\nActiveState=inactive\\nMainPID=0\\n'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = verify_look.look(asking(units=["a.service", "b.service"]))["units"]
    assert found["a.service"]["ActiveState"] == "active"
    ours = Path(f"/proc/{os.getpid()}/cmdline").read_text(encoding="utf-8").split("\0")
    assert found["a.service"]["Running"].split() == " ".join(ours).split()
    assert found["b.service"] == {
        "Id": "b.service",
        "LoadState": "not-found",
        "ActiveState": "inactive",
        "MainPID": "0",
        "Running": "",
    }


def test_listeners(site: str) -> None:
    port = int(site.rpartition(":")[2])
    # the look's own process has the socket, too
    found = verify_look.look(asking(ports=[port]))["listeners"]
    assert {each["port"] for each in found} == {port}
    assert any(f"process {os.getpid()}" in each["who"] for each in found)


# --- answers ---


def test_an_exporter(site: str) -> None:
    assert ask(f"{site}/metrics", "metrics", series=["node_uname_info", "absent"]) == {
        "status": 200,
        "value": {"samples": 5, "series": {"node_uname_info": [1.0]}, "jobs": ["42", "43"]},
    }


def test_another_page_than_metrics(site: str) -> None:
    assert ask(f"{site}/", "metrics") == {
        "status": 200,
        "error": """the answer is not what an exporter says: '{"a": 1}'""",
    }
    assert ask(f"{site}/", "targets")["error"].startswith("the answer is not what Prometheus says")
    assert ask(f"{site}/", "document") == {"status": 200, "value": {"a": 1}}
    assert ask(f"{site}/", "nothing") == {"status": 200, "value": None}


def test_a_server_that_does_not_answer(site: str) -> None:
    assert "error" in ask(f"{site}/hang", "nothing", seconds=0.5)
    assert ask(f"{site}/drip", "nothing", seconds=0.7) == {"error": "no answer within 0.7 s"}
    assert "refused" in ask("http://127.0.0.1:1/", "nothing")["error"]
    assert "error" in ask("gopher:x", "nothing")


def test_logins(site: str, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("right\n")
    file = str(tmp_path / "password")
    assert ask(f"{site}/login", "document")["status"] == 401
    assert ask(f"{site}/login", "document", user="admin", password="right")["status"] == 200
    assert ask(f"{site}/login", "document", user="admin", password_file=file)["status"] == 200
    assert "No such file" in ask(f"{site}/login", "document", user="admin", password_file=file + "x")["error"]


def body(data: t.Any) -> bytes:
    return json.dumps({"status": "success", "data": data}).encode()


def test_prometheus_answers() -> None:
    target = {
        "discoveredLabels": {"__address__": "dgx-01:9100", "__meta_filepath": "x"},
        "labels": {"job": "node_exporter"},
        "scrapePool": "superpod",
        "lastError": "",
        "lastScrape": "2026-11-20T17:00:01.5+01:00",
        "health": "up",
    }
    assert digest("targets", body({"activeTargets": [target]}), []) == {
        "value": [
            {
                "pool": "superpod",
                "address": "dgx-01:9100",
                "labels": {"job": "node_exporter"},
                "health": "up",
                "error": "",
                "last_scrape": 1795190401.5,
            }
        ]
    }
    rule = {"name": "a", "health": "ok"}
    groups = [
        {"file": "/r.yml", "rules": [rule, {"name": "b", "health": "err", "lastError": "why"}]},
        {"file": "/r.yml", "rules": []},
    ]
    assert digest("rules", body({"groups": groups}), []) == {"value": {"/r.yml": ["b: why"]}}
    result = [{"metric": {"job": "j"}, "value": [1, "0"]}]
    assert digest("vector", body({"result": result}), []) == {"value": [{"labels": {"job": "j"}, "value": 0.0}]}
    assert "error" in digest("vector", json.dumps({"status": "error"}).encode(), [])


@given(kind=st.sampled_from(["metrics", "targets", "rules", "vector", "document"]), content=st.binary(max_size=200))
def test_no_body_is_too_odd(kind: str, content: bytes) -> None:
    assert set(digest(kind, content, ["up"])) in ({"value"}, {"error"})


def test_times() -> None:
    assert seconds_since_1970("2026-11-20T16:00:00Z") == 1795190400
    assert seconds_since_1970("2026-11-20T10:30:00-05:30") == 1795190400
    assert seconds_since_1970("0001-01-01T00:00:00Z") is None
    assert seconds_since_1970("yesterday") is None
    assert [seconds_of(text, 7) for text in ("30s", "1m30s", "500ms", "1h", "", "soon", 5)] == [
        30,
        90,
        0.5,
        3600,
        7,
        7,
        7,
    ]


# --- the module and its part on the control machine ---


@pytest.mark.plays
def test_the_module_by_ansible(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("content")
    (tmp_path / "there").chmod(0o644)
    entries = [
        {"path": str(tmp_path / "there"), "state": "file", "content": "content", "owner": owner, "group": "root"}
        for owner in ("root", "nobody-at-all")
    ]
    files = [{"check": "some_files", "entries": entries}]
    good, bad, useless = play(
        tmp_path,
        [
            Task("verify_host", {"part": "grafana_server", "expected": {"files": files}}, check_mode=True),
            Task("verify_host", {"part": "grafana_server", "expected": {"disks": []}}),
            Task("verify_host", {"part": "grafana_server"}),
        ],
    ).results
    assert (good["changed"], good["passed"], good["part"]) == (False, 2, "grafana_server")
    (finding,) = good["findings"]
    assert finding == {
        "check": "some_files",
        "subject": str(tmp_path / "there"),
        "host": "",
        "seen": f"has owner {(tmp_path / 'there').owner()}",
        "expected": "a file with what the role writes, 0644 nobody-at-all:root",
        "mend": "ansible-playbook site.yml -i bcm_inventory.yml --tags grafana_server --limit localhost",
    }
    assert "content" not in json.dumps(good).replace("a file with what", "")
    assert bad["msg"].startswith("disks is no kind of check; use one of asks_prometheus, ")
    assert useless["msg"] == "verify_host needs part, a name, and expected, a dictionary."
    assert sorted(path.name for path in tmp_path.iterdir() if path.name == "there") == ["there"]
