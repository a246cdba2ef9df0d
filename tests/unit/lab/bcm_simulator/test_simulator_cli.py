# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from bcm_simulator import cli, fleet
from bcm_simulator.pki import load_certificate, profile_of
from bcm_simulator.store import StateStore

LAB = Path(cli.__file__).resolve().parent.parent


@pytest.fixture
def state(tmp_path: Path) -> Path:
    path = tmp_path / "state.yml"
    path.write_text(yaml.safe_dump({**fleet.small(), "head_nodes": fleet.head_nodes(2)}))
    return path


def run(*words: object) -> int:
    return cli.main([str(word) for word in words])


def test_assign_unassign_failover_switch(state: Path) -> None:
    assert run("assign", "--state", state, "dgx-01", "slurmclient") == 0
    assert run("assign", "--state", state, "dgx-01", "slurmclient") == 0
    assert StateStore(state).snapshot()["nodes"]["dgx-01"]["roles"] == ["slurmclient"]
    assert run("unassign", "--state", state, "dgx-01", "slurmclient") == 0
    assert run("failover", "--state", state, "bcm-head-02") == 0
    assert run("switch", "--state", state, "empty_roles=absent", "read_only=true", "rest_denied=635") == 0
    found = StateStore(state).snapshot()
    assert (found["nodes"]["dgx-01"]["roles"], found["active"]) == ([], "bcm-head-02")
    assert [found["switches"][name] for name in ("empty_roles", "read_only", "rest_denied")] == ["absent", True, 635]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("assign", "--state", "{state}", "dgx-99", "x"), "dgx-99"),
        (("unassign", "--state", "{state}", "dgx-01", "x"), "no directly assigned role 'x'"),
        (("failover", "--state", "{state}", "dgx-01"), "dgx-01"),
        (("switch", "--state", "{state}", "colour=red"), "colour"),
        (("switch", "--state", "{state}", "empty_roles"), "name=value"),
        (("switch", "--state", "/none", "empty_roles=list"), "/none"),
        (("serve", "--state", "{state}", "--host", "nobody", "--tls", "/tmp"), "nobody"),
        (("serve", "--state", "{state}", "--host", "bcm-head-01", "--tls", "/none"), "cert.pem"),
        (("fault", "--faults", "/tmp/x", "set"), "needs a fault"),
        (("fault", "--faults", "/tmp/x", "set", "hagn"), "hagn"),
        (("fault", "--faults", "/tmp/x", "set", "hang", "x=1"), "'x'"),
        (("probe", "--port", "1", "--ca", "/none", "--certificate", "/none", "--key", "/none"), "cannot ask"),
    ],
)
def test_errors_are_one_sentence(
    state: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], named: str
) -> None:
    assert run(*(word.format(state=state) for word in words)) == 2
    error = capsys.readouterr().err
    assert (error.count("\n"), named in error) == (1, True)


def test_fault_set_show_clear(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "faults.yml"
    assert run("fault", "--faults", path, "show") == 0
    assert run("fault", "--faults", path, "set", "slow", "seconds=0.5", "path=/rest/*", "count=2") == 0
    assert run("fault", "--faults", path, "show") == 0
    assert run("fault", "--faults", path, "clear") == 0
    assert run("fault", "--faults", path, "show") == 0
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert shown == [{}, {"fault": "slow", "seconds": 0.5, "path": "/rest/*", "count": 2}, {}]


def test_init_pki_makes_every_file_once(state: Path, tmp_path: Path) -> None:
    directory = tmp_path / "pki"
    assert run("init-pki", "--state", state, "--dir", directory) == 0
    files = {path.relative_to(directory): path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    assert {str(path) for path in files} >= {
        *("cacert.pem", "cluster.pem", "cluster.key", "ca-bundle.pem", "admin.pem", "admin.key"),
        *(f"heads/bcm-head-02/{name}" for name in ("cert.pem", "cert.key", "cacert.pem", "cluster.pem", "cluster.key")),
        *(f"nodes/dgx-01/{name}" for name in ("cert.pem", "cert.key", "cacert.pem", "cluster.pem")),
    }
    assert Path("nodes/dgx-01/cluster.key") not in files
    node = load_certificate(directory / "nodes" / "dgx-01" / "cert.pem")
    assert profile_of(node) == "node"
    listed = StateStore(state).snapshot()["certificates"]
    assert listed[str(node.serial_number)]["name"] == "fa-16-3e-00-00-01"
    assert run("init-pki", "--state", state, "--dir", directory) == 0
    assert {path.relative_to(directory): path.read_bytes() for path in directory.rglob("*") if path.is_file()} == files
    # The same certificates and a new state: they are entered again, so that no serial number is given twice.
    StateStore(state).edit(lambda changed: changed.update(certificates={}))
    assert run("init-pki", "--state", state, "--dir", directory) == 0
    assert StateStore(state).snapshot()["certificates"].keys() == listed.keys()
    for path in directory.rglob("*.key"):
        assert path.stat().st_mode & 0o077 == 0


@pytest.fixture
def served(state: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int, Path]]:
    directory = tmp_path / "pki"
    run("init-pki", "--state", state, "--dir", directory)
    command = [sys.executable, "-m", "bcm_simulator", "serve", "--state", str(state), "--host", "bcm-head-01"]
    command += ["--tls", str(directory / "heads" / "bcm-head-01"), "--address", "127.0.0.1", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(LAB)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    line = process.stderr.readline()
    yield process, int(line.rpartition(":")[2]), directory
    if process.poll() is None:
        process.kill()
    process.communicate()


def test_serve_answers_logs_and_ends(
    served: tuple[subprocess.Popen[str], int, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    process, port, directory = served
    context = ssl.create_default_context(cafile=directory / "ca-bundle.pem")
    context.load_cert_chain(directory / "admin.pem", directory / "admin.key")
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
    connection.request("GET", "/rest/v1/device")
    assert len(json.load(connection.getresponse())) == 7
    connection.close()
    words = ["--ca", directory / "ca-bundle.pem", "--certificate", directory / "nodes" / "dgx-01" / "cert.pem"]
    assert run("probe", "--port", port, *words, "--key", directory / "nodes" / "dgx-01" / "cert.key") == 0
    allowed = json.loads(capsys.readouterr().out)
    assert "GET /rest/v1/device" not in allowed
    assert "cmmain.getVersion" in allowed
    process.send_signal(signal.SIGTERM)
    out, _err = process.communicate(timeout=10)
    first = json.loads(out.splitlines()[0])
    assert (first["path"], first["profile"], first["status"]) == ("/rest/v1/device", "admin", 200)
    assert process.returncode == 0


def test_cmsh_over_the_command_line(state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("init-pki", "--state", state, "--dir", tmp_path / "pki")
    pair = ("--certificate", tmp_path / "pki" / "admin.pem", "--key", tmp_path / "pki" / "admin.key")
    words = ("cmsh", "--state", state, "--tls", tmp_path / "pki", *pair, "--", "-n", "-c", "device; get dgx-01 ip")
    assert run(*words) == 0
    assert capsys.readouterr().out == "10.141.0.1\n"
