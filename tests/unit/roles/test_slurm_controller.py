# SPDX-License-Identifier: GPL-3.0-or-later
"""What slurm_controller, login_node and jobstats write, rendered by Ansible and run."""

from __future__ import annotations

import base64
import configparser
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import typing as t
from pathlib import Path

import ansible_command
import pytest
import yaml

pytestmark = pytest.mark.plays

ROOT = Path(__file__).resolve().parents[3]
STAND_IN = ROOT / "lab/stand_ins/jobstats"
FILES = {
    "config.py": "jobstats",
    "jobstats": "login_node",
    "epilogslurmctld.conf": "slurm_controller",
    "database.cnf": "slurm_controller",
    "jobstats-ingest.service": "slurm_controller",
    "jobstats-ingest.timer": "slurm_controller",
}
EXPRESSIONS = {
    "programs": "_jobstats_program_files",
    "library": "_jobstats_library_files",
    "last": "_slurm_controller_last",
    "version": "_slurm_controller_version",
    "timer": "_slurm_controller_timer_files",
}

Rendered = dict[str, t.Any]


# Every case is rendered by one run of Ansible: the variables that differ from GIVEN.
GIVEN: dict[str, t.Any] = {
    "jobstats_source": "directory",
    "jobstats_directory": str(STAND_IN),
    "superpod_prometheus_url": "http://mon-01:9090",
    "slurm_controller_managed_by": "bcm",
    # what the roles register
    "__slurm_controller_bcm": {"before": {"epilogslurmctld": "/opt/it's here.sh\n"}},
}
OURS = "/usr/local/sbin/epilogslurmctld-slurm.sh"
OLD = {"content": base64.b64encode(b"/opt/old.sh\n").decode()}
CASES: dict[str, dict[str, t.Any]] = {
    "default": {},
    "changed": {
        "jobstats_settings": {
            "SAMPLING_PERIOD": 15,
            "GPU_EXPORTER_JOBID": False,
            "CLUSTER_TRANS": {"Zug": 'z"ü'},
            "NOTES": [["self.js.gpus == 1", "It's \\ a\nnote {n}", "normal"]],
            "CPU_MEM_UTIL_RED": 20,
        },
        "jobstats_database": "jobstats",
        "jobstats_database_mirror": "yes",
        "jobstats_slurm_path": ["/opt/slurm dir/bin", "/opt/b"],
        "slurm_controller_database_host": "db-01",
        "slurm_controller_database_port": "3307",
        "slurm_controller_database_password": 'a"b\\c #d',
        "slurm_controller_summary_seconds": "90",
        "__jobstats_scontrol": {"stdout": "A = b\nSLURM_VERSION           = 24.11.5\n"},
    },
    "somebody's": {
        "__slurm_controller_bcm": {"before": {"epilogslurmctld": "/opt/a.sh"}},
        "__slurm_controller_record": OLD,
    },
    "ours": {"__slurm_controller_bcm": {"before": {"epilogslurmctld": OURS}}, "__slurm_controller_record": OLD},
    "ours, no record": {
        "__slurm_controller_bcm": {"before": {"epilogslurmctld": OURS}},
        "__slurm_controller_record": {},
    },
    "none": {"__slurm_controller_bcm": {"before": {"epilogslurmctld": ""}}, "__slurm_controller_record": OLD},
    "slurm.conf": {
        "slurm_controller_managed_by": "slurm_conf",
        "__slurm_controller_slurm_conf": {"before": {"EpilogSlurmctld": "/opt/b.sh"}},
    },
    "lone": {"slurm_controller_instance": "third", "slurm_controller_ingest_timer": "yes"},
    "image": {"slurm_controller_ingest_timer": True, "slurm_controller_deploy_mode": "image"},
}
HOSTS = {
    "ctl-01": {},
    "ctl-02": {"superpod_slurm_instance": "slurm"},
    "ctl-03": {"superpod_slurm_instance": "other"},
    "ctl-04": {"slurm_controller_instance": "other", "superpod_slurm_instance": "slurm"},
}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rendered]:
    """The files and expressions of each case."""
    directory = tmp_path_factory.mktemp("render")
    sources = {
        name: f"lookup('ansible.builtin.template', '{ROOT / 'roles' / role / 'templates' / name}.j2')"
        for name, role in FILES.items()
    } | EXPRESSIONS
    content = "{{ {" + ", ".join(f"'{name}': {source}" for name, source in sources.items()) + "} | to_json }}"
    tasks = [
        {
            "name": f"Render {name}",
            "ansible.builtin.copy": {"content": content, "dest": str(directory / f"{name}.json"), "mode": "0644"},
            "vars": {**GIVEN, **variables},
        }
        for name, variables in CASES.items()
    ]
    roles = ("jobstats", "login_node", "slurm_controller")
    files = [str(ROOT / "roles" / role / part / "main.yml") for role in roles for part in ("defaults", "vars")]
    play = ansible_command.play(tasks, "ctl-01", connection="local", vars_files=files)
    ansible_command.write(directory / "playbook.yml", [play])
    ansible_command.write(directory / "inventory.yml", {"all": {"children": {"slurm_controllers": {"hosts": HOSTS}}}})
    # role_path stands for Ansible's own, which there is in a role only
    role = ansible_command.variables({"role_path": str(ROOT / "roles" / "slurm_controller")})
    ansible_command.run("-i", "inventory.yml", *role, "playbook.yml", directory=directory)
    return {name: json.loads((directory / f"{name}.json").read_text(encoding="utf-8")) for name in CASES}


@pytest.fixture(scope="module")
def default(rendered: dict[str, Rendered]) -> Rendered:
    return rendered["default"]


@pytest.fixture(scope="module")
def changed(rendered: dict[str, Rendered]) -> Rendered:
    return rendered["changed"]


def settings(rendered: Rendered, tmp_path: Path) -> dict[str, t.Any]:
    """config.py, run."""
    path = tmp_path / "config.py"
    path.write_text(rendered["config.py"], encoding="utf-8")
    return {name: value for name, value in runpy.run_path(str(path)).items() if name.isupper()}


def shell(rendered: Rendered, name: str) -> str:
    """What sh has in a variable after it has read the epilog's settings."""
    script = f'{rendered["epilogslurmctld.conf"]}\nprintf %s "${name}"'
    return subprocess.run(["sh", "-eu", "-c", script], check=True, capture_output=True, text=True).stdout


def test_config_py_has_upstreams_values_without_its_notes(default: Rendered, tmp_path: Path) -> None:
    ours = settings(default, tmp_path)
    upstream = {name: value for name, value in runpy.run_path(str(STAND_IN / "config.py")).items() if name.isupper()}
    assert ours == {**upstream, "PROM_SERVER": "http://mon-01:9090"}
    assert "# upstream" not in default["config.py"]


def test_config_py_has_what_is_set(changed: Rendered, tmp_path: Path) -> None:
    ours = settings(changed, tmp_path)
    assert ours["SAMPLING_PERIOD"] == 15
    assert ours["MIN_RUNTIME_SECONDS"] == 150
    assert ours["GPU_EXPORTER_JOBID"] is False
    assert ours["CLUSTER_TRANS"] == {"Zug": 'z"ü'}
    assert ours["CLUSTER_TRANS_INV"] == {'z"ü': "Zug"}
    assert ours["NOTES"] == [["self.js.gpus == 1", "It's \\ a\nnote {n}", "normal"]]
    assert ours["CPU_MEM_UTIL_RED"] == 20
    assert re.search(r"^SAMPLING_PERIOD = 15  # upstream: 30$", changed["config.py"], re.MULTILINE)


def test_who_may_use_the_database_is_seen_when_jobstats_runs(changed: Rendered, tmp_path: Path) -> None:
    text = changed["config.py"].replace("/etc/jobstats", str(tmp_path))
    assert text != changed["config.py"]
    for there in (False, True):
        if there:
            (tmp_path / "database.cnf").touch()
        assert settings({"config.py": text}, tmp_path)["EXTERNAL_DB_CONFIG"] == {
            "enabled": there,
            "database": "jobstats",
            "config_file": f"{tmp_path}/database.cnf",
            "mirror_to_admin_comment": True,
        }


def test_the_password_is_in_one_file_only(changed: Rendered) -> None:
    for name in set(FILES) - {"database.cnf"}:
        assert "c #d" not in changed[name]
    parser = configparser.RawConfigParser()
    parser.read_string(changed["database.cnf"])
    client = dict(parser["client"])
    # MariaDB's option files: quotes, and backslashes before quotes and backslashes
    assert client.pop("password") == r'"a\"b\\c #d"'
    assert client == {"host": "db-01", "port": "3307", "user": "jobstats"}


def test_the_file_with_the_password_is_slurms_alone() -> None:
    variables = yaml.safe_load((ROOT / "roles/slurm_controller/vars/main.yml").read_text(encoding="utf-8"))
    (entry,) = variables["_slurm_controller_key_files"]
    assert (entry["mode"], entry["owner"]) == ("0600", "{{ slurm_controller_slurm_user }}")
    assert entry["show_content"] is False
    tasks = yaml.safe_load((ROOT / "roles/slurm_controller/tasks/configure.yml").read_text(encoding="utf-8"))
    (task,) = [task for task in tasks if "key_files" in str(task)]
    assert (task["no_log"], task["diff"]) == (True, False)


def test_the_epilogs_settings(default: Rendered, changed: Rendered) -> None:
    assert shell(default, "previous") == "/opt/it's here.sh"
    assert (shell(default, "store"), shell(changed, "store")) == ("admincomment", "database")
    assert (shell(default, "summary_seconds"), shell(changed, "summary_seconds")) == ("60", "90")
    assert shell(changed, "slurm_path") == "/opt/slurm dir/bin:/opt/b"
    assert shell(default, "slurm_conf") == "/cm/shared/apps/slurm/var/etc/slurm/slurm.conf"
    script = (ROOT / "files/slurm_controller/epilogslurmctld.sh").read_text(encoding="utf-8")
    names = set(re.findall(r"^(\w+)=", default["epilogslurmctld.conf"], re.MULTILINE))
    known = {
        word.split("=")[0]
        for line in script.splitlines()
        if line.startswith(("previous=", "settle_seconds="))
        for word in line.split()
    }
    assert names == known


@pytest.mark.parametrize(
    ("case", "previous"),
    [
        ("somebody's", "/opt/a.sh"),
        ("ours", "/opt/old.sh"),
        ("ours, no record", ""),
        ("none", ""),
        ("slurm.conf", "/opt/b.sh"),
    ],
)
def test_what_was_there_before(rendered: dict[str, Rendered], case: str, previous: str) -> None:
    assert shell(rendered[case], "previous") == previous


def test_bcm_is_changed_in_the_turn_of_the_instances_last_controller(rendered: dict[str, Rendered]) -> None:
    assert rendered["default"]["last"] == "ctl-02"
    assert rendered["lone"]["last"] == "ctl-01"


def test_the_command_for_users(changed: Rendered, tmp_path: Path) -> None:
    (tmp_path / "slurm.conf").touch()
    program = tmp_path / "jobstats"
    program.write_text('#!/bin/sh\nprintf "%s|%s|%s" "$PATH" "${SLURM_CONF-}" "$*"\n', encoding="utf-8")
    program.chmod(0o755)
    text = (
        changed["jobstats"]
        .replace("/usr/local/jobstats/jobstats", shlex.quote(str(program)))
        .replace("/cm/shared/apps/slurm/var/etc/slurm/", f"{tmp_path}/")
    )
    for environment, conf in (({}, f"{tmp_path}/slurm.conf"), ({"SLURM_CONF": "/x"}, "/x")):
        ended = subprocess.run(
            ["sh", "-c", text, "sh", "-n", "42"],
            env={"PATH": "/module/bin:/bin", **environment},
            check=True,
            capture_output=True,
            text=True,
        )
        assert ended.stdout == f"/module/bin:/bin:/opt/slurm dir/bin:/opt/b|{conf}|-n 42"


def test_all_files_of_jobstats_are_installed(default: Rendered) -> None:
    installed = {entry["path"]: entry for entry in default["programs"] + default["library"]}
    names = {path.name for path in STAND_IN.iterdir() if path.is_file()} - {"README.md", "config.py"}
    assert set(installed) == {f"/usr/local/jobstats/{name}" for name in names}
    for path, entry in installed.items():
        source = STAND_IN / Path(path).name
        assert entry["content"] == source.read_text(encoding="utf-8")
        assert entry.get("mode", "0644") == ("0755" if os.access(source, os.X_OK) else "0644")


def test_slurms_version(default: Rendered, changed: Rendered) -> None:
    assert (default["version"], changed["version"]) == ("99", "24.11.5")


def test_the_timers_units_are_there_when_it_is_switched_on(rendered: dict[str, Rendered]) -> None:
    def entries(case: str) -> dict[str, str]:
        return {Path(entry["path"]).name: entry.get("state", "file") for entry in rendered[case]["timer"]}

    units = {"jobstats-ingest-slurm.service", "jobstats-ingest-slurm.timer"}
    assert entries("default") == dict.fromkeys(units, "absent")
    # by systemctl at runtime
    assert entries("lone") == {f"jobstats-ingest-third.{kind}": "file" for kind in ("service", "timer")}
    (link,) = [entry for entry in rendered["image"]["timer"] if entry.get("state") == "link"]
    assert link["path"] == "/etc/systemd/system/timers.target.wants/jobstats-ingest-slurm.timer"
    assert link["target"] in {entry["path"] for entry in rendered["image"]["timer"]}
    assert link["path"] in {entry["path"] for entry in rendered["default"]["timer"]}


def test_the_timers_service_is_slurms_and_bounded(rendered: dict[str, Rendered]) -> None:
    lines = rendered["lone"]["jobstats-ingest.service"].splitlines()
    assert {
        "ConditionPathExists=/etc/jobstats/epilogslurmctld-third.conf",
        "ExecStart=/usr/local/sbin/epilogslurmctld-third.sh --ingest",
        "User=slurm",
        "TimeoutStartSec=15min",
    } <= set(lines)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_takes_the_timer(default: Rendered, tmp_path: Path) -> None:
    for kind in ("service", "timer"):
        text = default[f"jobstats-ingest.{kind}"].replace("/usr/local/sbin/epilogslurmctld-slurm.sh", "/bin/true")
        (tmp_path / f"jobstats-ingest-slurm.{kind}").write_text(text, encoding="utf-8")
    timer, service = (str(tmp_path / f"jobstats-ingest-slurm.{kind}") for kind in ("timer", "service"))
    for check in (["verify", "--man=no", timer], ["security", "--offline=true", "--threshold=15", service]):
        ended = subprocess.run(
            ["systemd-analyze", "--no-pager", *check], capture_output=True, text=True, check=False, timeout=60
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "jobstats-ingest" not in ended.stderr, ended.stderr
