# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that the roles write, rendered by Ansible and read by the programs that they are for."""

from __future__ import annotations

import configparser
import json
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

import ansible_command
import pytest
import yaml
from prometheus_programs import promtool

pytestmark = pytest.mark.plays

ROOT = Path(__file__).resolve().parents[3]
UNITS = {
    "node_exporter.service": "dgx_exporters",
    "cgroup_exporter.service": "dgx_exporters",
    "nvidia_gpu_prometheus_exporter.service": "dgx_exporters",
    "dcgm-exporter.service": "dgx_exporters",
    "bcm-role-monitor.service": "role_monitor",
    "prometheus.service": "prometheus_server",
}
FILES = {**UNITS, "config.json": "role_monitor", "prometheus.yml": "prometheus_server"}
SCORES = {
    "node_exporter.service": 2.0,
    "cgroup_exporter.service": 2.0,
    "nvidia_gpu_prometheus_exporter.service": 2.0,
    "dcgm-exporter.service": 2.0,
    "bcm-role-monitor.service": 3.0,
    "prometheus.service": 2.0,
}

Rendered = dict[str, str]


def templates(role: str) -> Path:
    return ROOT / "roles" / role / "templates"


@pytest.fixture(scope="module")
def render(tmp_path_factory: pytest.TempPathFactory) -> t.Callable[..., Rendered]:
    """A function from variables to the rendered files."""

    def rendered(**variables: t.Any) -> Rendered:
        directory = tmp_path_factory.mktemp("render")
        entries = [
            f"'{name}': lookup('ansible.builtin.template', '{templates(role) / name}.j2')"
            for name, role in FILES.items()
        ]
        task = {
            "name": "Render",
            "ansible.builtin.copy": {
                "content": "{{ {" + ", ".join(entries) + "} | to_json }}",
                "dest": str(directory / "rendered.json"),
                "mode": "0644",
            },
        }
        files = [
            str(path)
            for role in set(FILES.values())
            for path in ansible_command.variable_files(role, "defaults", "vars")
        ]
        playbook = ansible_command.play([task], vars_files=files)
        ansible_command.write(directory / "playbook.yml", [playbook])
        # role_path stands for Ansible's own, which there is in a role only
        given = {"role_path": str(ROOT / "roles" / "role_monitor"), **variables}
        here = ("-i", "localhost,", "-c", "local")
        ansible_command.run(*here, *ansible_command.variables(given), "playbook.yml", directory=directory)
        return t.cast(Rendered, json.loads((directory / "rendered.json").read_text(encoding="utf-8")))

    return rendered


@pytest.fixture(scope="module")
def default(render: t.Callable[..., Rendered]) -> Rendered:
    return render()


@pytest.fixture(scope="module")
def changed(render: t.Callable[..., Rendered]) -> Rendered:
    return render(
        superpod_targets_dir="/srv/monitoring/targets",
        superpod_textfile_dir="/run/textfile",
        superpod_cluster_name='pod 7: "east"',
        superpod_node_exporter_port="19100",
        superpod_cgroup_exporter_port=19306,
        superpod_gpu_exporter="dcgm_exporter",
        superpod_dcgm_exporter_port="19400",
        role_monitor_headnodes=["head-b", "head-a"],
        dgx_exporters_managed_by="systemd",
        dgx_exporters_listen_address="[::1]",
        dgx_exporters_web_certificate="/root/{{ inventory_hostname }}.pem",
        dgx_exporters_node_exporter_source="package",
        dgx_exporters_node_exporter_collectors=["cpu"],
        dgx_exporters_node_exporter_arguments=["--log.level=warn"],
        dgx_exporters_cgroup_exporter_username="yes",
        dgx_exporters_cgroup_exporter_arguments=["--log.level=warn"],
        dgx_exporters_nvidia_gpu_exporter_arguments=["-disable.gpm"],
        dgx_exporters_nvidia_gpu_exporter_capabilities=["CAP_SYS_ADMIN"],
        dgx_exporters_dcgm_exporter_hostengine="unix:/run/dcgm",
        role_monitor_auth="files",
        role_monitor_check_interval="5",
        role_monitor_ca_path="/etc/pki/bcm.pem",
        role_monitor_validate_certs="no",
        prometheus_server_listen_address="10.0.0.1",
        prometheus_server_retention_size="2TB",
        prometheus_server_scrape_interval="5s",
        prometheus_server_refresh_interval="7s",
    )


@pytest.fixture(scope="module")
def instance(render: t.Callable[..., Rendered]) -> Rendered:
    return render(
        role_monitor_instance="dcgm",
        role_monitor_roles=["monitoring"],
        role_monitor_exporters=[{"unit": "dcgm-exporter.service", "job": "dcgm", "port": 9400}],
    )


def unit(text: str) -> dict[str, dict[str, list[str]]]:
    """A unit file as section, key, values."""

    class Values(dict[str, t.Any]):
        def __setitem__(self, key: str, value: t.Any) -> None:
            if isinstance(value, list) and key in self:
                self[key].extend(value)
            else:
                super().__setitem__(key, value)

    parser = configparser.RawConfigParser(dict_type=Values, strict=False, delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text.replace(" \\\n", " "))
    return {
        section: {key: [line for line in str(value).split("\n") if line] for key, value in parser.items(section)}
        for section in parser.sections()
    }


def test_the_programs_get_what_the_variables_say(default: Rendered, changed: Rendered) -> None:
    def command(rendered: Rendered, name: str) -> list[str]:
        (line,) = unit(rendered[name])["Service"]["ExecStart"]
        return line.split()

    node = command(default, "node_exporter.service")
    assert node[:3] == [
        "/usr/local/bin/node_exporter",
        "--web.listen-address=:9100",
        "--collector.textfile.directory=/var/lib/node_exporter/textfile_collector",
    ]
    assert node[4] == "--collector.disable-defaults"
    assert {"--collector.cpu", "--collector.filesystem", "--collector.textfile"} <= set(node[5:])
    other = command(changed, "node_exporter.service")
    assert (other[0], other[1]) == ("/usr/bin/prometheus-node-exporter", "--web.listen-address=[::1]:19100")
    assert other[2] == "--web.config.file=/etc/dgx_exporters/web-config.yml"
    assert other[-3:] == ["--collector.disable-defaults", "--collector.cpu", "--log.level=warn"]
    assert command(default, "cgroup_exporter.service") == [
        "/usr/local/bin/cgroup_exporter",
        "--web.listen-address=:9306",
    ]
    assert command(changed, "cgroup_exporter.service")[1:] == [
        "--web.listen-address=[::1]:19306",
        "--collect.username",
        "--log.level=warn",
    ]
    assert command(default, "nvidia_gpu_prometheus_exporter.service") == [
        "/usr/local/bin/nvidia_gpu_prometheus_exporter",
        *("-web.listen-address", ":9445"),
    ]
    assert command(changed, "nvidia_gpu_prometheus_exporter.service")[1:] == [
        *("-web.listen-address", "[::1]:9445"),
        "-disable.gpm",
    ]
    assert command(default, "dcgm-exporter.service") == [
        "/usr/local/bin/dcgm-exporter",
        *("--address", ":9400"),
        *("--collectors", "/etc/dgx_exporters/dcgm-counters.csv"),
        *("--remote-hostengine-info", "localhost:5555"),
        *("--hpc-job-mapping-dir", "/run/dcgm-job-map"),
    ]
    dcgm = command(changed, "dcgm-exporter.service")
    assert "[::1]:19400" in dcgm
    assert "unix:/run/dcgm" in dcgm
    assert dcgm[dcgm.index("--web-config-file") + 1] == "/etc/dgx_exporters/web-config.yml"
    assert "--storage.tsdb.retention.time=365d" in command(default, "prometheus.service")
    assert not [word for word in command(default, "prometheus.service") if "retention.size" in word]
    assert "--storage.tsdb.retention.size=2TB" in command(changed, "prometheus.service")
    assert command(changed, "prometheus.service")[-1] == "--web.listen-address=10.0.0.1:9090"


def test_who_starts_a_failed_exporter_again(default: Rendered, changed: Rendered) -> None:
    for name in ("node_exporter.service", "cgroup_exporter.service"):
        assert unit(default[name])["Unit"]["StartLimitBurst"] == ["5"]
        assert unit(changed[name])["Unit"]["StartLimitIntervalSec"] == ["0"]
        assert "StartLimitBurst" not in unit(changed[name])["Unit"]


@pytest.mark.parametrize("name", UNITS)
def test_a_hung_file_server_cannot_keep_a_unit_from_starting(default: Rendered, name: str) -> None:
    """systemd looks up every path that a unit names; with strict, only ProtectHome=read-only names none."""
    service = unit(default[name])["Service"]
    assert service["ProtectSystem"] == ["strict"]
    assert service["ProtectHome"] == ["read-only"]
    for key, values in service.items():
        if key.endswith("Paths") or key == "WorkingDirectory":
            assert not [value for value in values if value.lstrip("-").startswith(("/cm/", "/home"))], key


def test_the_daemon_may_write_to_its_directories(default: Rendered, changed: Rendered) -> None:
    def writable(rendered: Rendered) -> list[str]:
        return unit(rendered["bcm-role-monitor.service"])["Service"]["ReadWritePaths"]

    assert writable(default) == ["-/var/lib/node_exporter/textfile_collector", "-/cm"]
    assert writable(changed) == ["-/run/textfile", "-/srv"]


def test_targets_below_a_system_directory_open_no_more_than_themselves(render: t.Callable[..., Rendered]) -> None:
    rendered = render(role_monitor_targets_dir="/var/lib/targets")
    assert "-/var/lib/targets" in unit(rendered["bcm-role-monitor.service"])["Service"]["ReadWritePaths"]


def test_the_daemons_configuration(default: Rendered, changed: Rendered) -> None:
    sys.path.insert(0, str(ROOT / "files" / "role_monitor"))
    try:
        from superpod_role_monitor.config import parse  # noqa: PLC0415
    finally:
        sys.path.pop(0)
    schema = json.loads((ROOT / "files/role_monitor/config.schema.json").read_text(encoding="utf-8"))
    plain = parse(default["config.json"].encode(), schema, {})
    own = "/etc/bcm-role-monitor"
    assert (plain.cert_path, plain.key_path) == (f"{own}/client.pem", f"{own}/client.key")
    assert (plain.bcm_headnodes, plain.ca_path, plain.verify) == ((), f"{own}/ca.pem", True)
    assert [(exporter.unit, exporter.port) for exporter in plain.exporters] == [
        ("node_exporter.service", 9100),
        ("cgroup_exporter.service", 9306),
        ("nvidia_gpu_prometheus_exporter.service", 9445),
    ]
    assert plain.prometheus_targets_dir == "/cm/shared/apps/jobstats/prometheus-targets"
    other = json.loads(changed["config.json"])
    assert other["bcm_headnodes"] == ["head-b", "head-a"]
    assert (other["cert_path"], other["ca_path"], other["verify"]) == (
        "/etc/bcm-role-monitor/client.pem",
        "/etc/pki/bcm.pem",
        False,
    )
    assert [exporter["port"] for exporter in other["exporters"]] == [19100, 19306, 19400]
    assert other["exporters"][2]["unit"] == "dcgm-exporter.service"
    assert (other["check_interval"], other["cluster_name"]) == (5, 'pod 7: "east"')


def test_the_nodes_own_certificate_and_its_own_ca(render: t.Callable[..., Rendered]) -> None:
    config = json.loads(render(role_monitor_auth="node")["config.json"])
    paths = [config[name] for name in ("cert_path", "key_path", "ca_path")]
    assert paths == ["/cm/local/apps/cmd/etc/cert.pem", "/cm/local/apps/cmd/etc/cert.key", None]


@pytest.mark.parametrize("which", ["default", "changed"])
def test_promtool_takes_the_configuration(which: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    path = tmp_path / "prometheus.yml"
    path.write_text(request.getfixturevalue(which)["prometheus.yml"], encoding="utf-8")
    ended = subprocess.run(
        [promtool(), "check", "config", "--syntax-only", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("name", UNITS)
def test_units_are_confined(default: Rendered, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(default[name], encoding="utf-8")
    threshold = str(int(SCORES[name] * 10))
    ended = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={threshold}", "--no-pager", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Unknown key" not in ended.stderr, ended.stderr
    assert "Failed to parse" not in ended.stderr, ended.stderr


def test_an_instance_has_a_configuration_and_directories_of_its_own(default: Rendered, instance: Rendered) -> None:
    plain, own = (unit(rendered["bcm-role-monitor.service"])["Service"] for rendered in (default, instance))
    assert own.pop("ExecStart")[0].endswith(" --config /etc/bcm-role-monitor/dcgm.json")
    assert plain.pop("ExecStart")[0].endswith(" --config /etc/bcm-role-monitor/config.json")
    for key in ("StateDirectory", "RuntimeDirectory"):
        assert (plain.pop(key), own.pop(key)) == (["bcm-role-monitor"], ["bcm-role-monitor@dcgm"])
    assert plain == own
    first, second = (json.loads(rendered["config.json"]) for rendered in (default, instance))
    files = {"ca_path", "cert_path", "key_path", "state_dir"}
    assert {key for key in second if first.get(key) != second[key]} == {"exporters", "instance", "roles", *files}
    assert (first["key_path"], second["key_path"]) == tuple(
        f"/etc/bcm-role-monitor/client{suffix}.key" for suffix in ("", "_dcgm")
    )
    assert (second["instance"], second["state_dir"]) == ("dcgm", "/var/lib/bcm-role-monitor@dcgm")
    assert "instance" not in first
    assert first["state_dir"] == "/var/lib/bcm-role-monitor"


def test_a_unit_changes_with_the_program_so_that_each_instance_is_restarted(
    default: Rendered, instance: Rendered, render: t.Callable[..., Rendered], tmp_path: Path
) -> None:
    def fingerprint(rendered: Rendered) -> str:
        return rendered["bcm-role-monitor.service"].splitlines()[1]

    assert fingerprint(default) == fingerprint(instance)
    sources = tmp_path / "files"
    shutil.copytree(ROOT / "files", sources, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "plugins").symlink_to(ROOT / "plugins")
    with (sources / "role_monitor/superpod_role_monitor/schedule.py").open("a", encoding="utf-8") as file:
        file.write("# new\n")
    assert fingerprint(render(_role_monitor_sources=str(sources))) != fingerprint(default)


def test_prometheus_unit_changes_with_its_program(default: Rendered, render: t.Callable[..., Rendered]) -> None:
    """If a run breaks off after the program was switched, the next one has the unit to go by."""
    given = {"prometheus_server_source": "artifact", "prometheus_server_version": "9.8.7"}
    assert "# Program: prometheus 9.8.7" in render(**given)["prometheus.service"].splitlines()
    assert "# Program" not in default["prometheus.service"]  # the package's version is not the role's


@pytest.mark.parametrize(
    ("role", "names_program"),
    [("role_monitor", "bcm-role-monitor.service.j2"), ("prometheus_server", "prometheus.service.j2")],
)
def test_what_names_the_program_is_written_last(role: str, names_program: str) -> None:
    """After it nothing can fail any more before the service is restarted."""
    tasks = yaml.safe_load((ROOT / "roles" / role / "tasks/configure.yml").read_text(encoding="utf-8"))
    writers = [number for number, task in enumerate(tasks) if names_program in str(task)]
    assert writers == [len(tasks) - 1]


def test_grafanas_configuration_names_the_program_and_is_written_last() -> None:
    text = (templates("grafana_server") / "grafana.ini.j2").read_text(encoding="utf-8")
    assert "\n; Program: grafana {{ grafana_server_version }}\n" in text
    tasks = yaml.safe_load((ROOT / "roles/grafana_server/tasks/configure.yml").read_text(encoding="utf-8"))
    assert "grafana.ini.j2" in str(tasks[-1])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_takes_the_unit_of_an_instance(instance: Rendered, tmp_path: Path) -> None:
    path = tmp_path / "bcm-role-monitor@dcgm.service"
    path.write_text(instance["bcm-role-monitor.service"], encoding="utf-8")
    ended = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(path)], capture_output=True, text=True, check=False, timeout=60
    )
    # Programs that this machine lacks are no fault of the unit.
    found = [line for line in ended.stderr.splitlines() if path.name in line and "is not executable" not in line]
    assert not found, ended.stderr
