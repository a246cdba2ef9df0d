# SPDX-License-Identifier: GPL-3.0-or-later
"""As a new administrator would: from nothing to a site directory in which the literal command runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from admin_lab import AdminLab
from superpod_site import HEAD, SITE, recap

CONFIGS = Path(__file__).parent / "configs"
# What of the configuration files has no meaning here, and the guided setup says so.
NOT_USED = {"dcgm": ("dcgm_mode is embedded", "paths (dcgm_exporter_binary", "service_settings (dcgm_exporter_user")}
WATCHED = "/etc /opt /root /usr/local /var/lib /cm/local"
# What a configuration file changes for the roles; all of them run where that is everything.
CHANGED_FOR = {"existing-monitoring": "prometheus_server,grafana_server", "dcgm": "dgx_exporters,prometheus_server"}
UNWATCHED = r"/root/\.ansible|/root/terminal|/var/lib/systemd|/root/\.ssh|/var/lib/dpkg"


def mark(lab: AdminLab) -> None:
    for host in (HEAD, "dgx-01", "mon-01"):
        lab.run("touch /tmp/marker; sleep 0.05", host)
    lab.run("sha256sum /cm/local/apps/cmd/simulator/state.yaml > /tmp/bcm")


def assert_untouched(lab: AdminLab) -> None:
    """Nothing was changed in BCM, and no file on the hosts that were looked at."""
    lab.run("sha256sum -c /tmp/bcm")
    for host in (HEAD, "dgx-01", "mon-01"):
        found = lab.run(f"find {WATCHED} -newer /tmp/marker -type f | grep -vE '{UNWATCHED}' || true", host)
        assert found.strip() == "", f"{host}: {found}"
    lab.run('test -z "$(find /cm/shared -newer /tmp/marker)"')


def check_run(lab: AdminLab, site: str, tags: str = "all") -> str:
    lab.run(f"cp -r {SITE}/artifacts {site}/")
    lab.put(lab.own_settings(), f"{site}/group_vars/all/site.yml")
    said = lab.playbook("site.yml", f"--check --tags {tags}", site=site)
    assert all(failed == 0 for _changed, failed in recap(said).values()), said
    return said


def test_through_a_terminal_interrupted_and_resumed(lab: AdminLab) -> None:
    lab.run("rm -rf /root/terminal")
    mark(lab)
    where = "-e guided_setup_site_dir=/root/terminal"
    first = lab.guided_setup_in_terminal(where)
    said = first.until("Overview")
    assert "BCM has 7 hosts" in said
    first.answer("cluster_name")
    assert "whose jobs are measured" in first.answer("dgx_nodes", "dgx-99")
    assert "BCM has no host dgx-99" in first.answer("dgx_nodes", "?")
    assert "category:GLOB" in first.answer("dgx_nodes")
    first.answer("slurm_controllers")
    first.answer("login_nodes")
    first.answer("configure_slurm", "perhaps")
    assert "answer yes or no" in first.answer("configure_slurm")
    first.answer("gpu_exporter")
    first.answer("job_hooks")
    first.answer("job_summaries")
    first.until(r"prometheus \[new\]:")
    first.interrupt()
    assert first.end() == 2
    assert "Interrupted. The answers so far are in /root/terminal/guided_setup_answers.yml" in first.seen
    assert lab.run("ls -A /root/terminal").split() == ["guided_setup_answers.yml"]
    assert lab.run("stat -c %a /root/terminal/guided_setup_answers.yml").strip() == "600"

    second = lab.guided_setup_in_terminal(where)
    second.until(r"Go on with them\? \[yes\]:")
    second.type("")
    second.answer("prometheus")
    second.answer("prometheus_servers", "mon-1")
    assert "did you mean mon-01" in second.answer("prometheus_servers")
    second.answer("grafana")
    second.answer("grafana_servers")
    second.answer("open_ondemand")
    second.answer("jobstats_command")
    second.answer("deploy_bcm_role_monitor")
    second.answer("use_custom_prometheus_targets_dir", "yes")
    second.answer("prometheus_targets_dir", "/srv/targets")
    assert "is on the root file system of dgx-01, dgx-02" in second.answer("prometheus_targets_dir")
    second.answer("bcm_category_management")
    second.until(r"Write it\? \[no\]:")
    assert lab.run("ls -A /root/terminal").split() == ["guided_setup_answers.yml"]
    assert_untouched(lab)
    second.type("yes")
    assert second.end() == 0, second.seen
    assert_untouched(lab)

    names = lab.run("cd /root/terminal && find . -type f | sort").split()
    assert {"./ansible.cfg", "./bcm_inventory.yml", "./site.yml", "./group_vars/all/guided_setup.yml"} <= set(names)
    variables = yaml.safe_load(lab.read("/root/terminal/group_vars/all/guided_setup.yml"))
    assert variables["superpod_cluster_name"] == "slurm"
    assert "dgx-01" in check_run(lab, "/root/terminal")


def test_reasons_that_need_a_look_at_the_hosts(monitoring: AdminLab) -> None:
    """A port in use and a wrong password; the password is neither echoed nor kept with the answers."""
    lab = monitoring
    lab.run("rm -rf /root/reasons")
    lab.run("systemctl is-active -q busy || systemd-run --unit=busy python3 -m http.server 9090", "mon-01")
    lab.run("for i in $(seq 50); do (echo > /dev/tcp/mon-01/9090) 2>/dev/null && exit; sleep 0.1; done; exit 1")
    terminal = lab.guided_setup_in_terminal("-e guided_setup_site_dir=/root/reasons")
    for key in ("cluster_name", "dgx_nodes", "slurm_controllers", "login_nodes", "configure_slurm", "gpu_exporter"):
        terminal.answer(key)
    for key in ("job_hooks", "job_summaries", "prometheus", "prometheus_servers"):
        terminal.answer(key)
    assert "port 9090 of mon-01 is in use by python3" in terminal.answer("prometheus_port", "9091")
    assert "port 9091 of mon-01 is in use by python3" in terminal.answer("prometheus_port", "9092")
    terminal.answer("grafana", "existing")
    terminal.answer("grafana_url", "http://mon-01:9090")
    assert "is no Grafana (status 404)" in terminal.answer("grafana_url", "http://mon-01:3001")
    terminal.answer("configure_grafana", "yes")
    terminal.answer("grafana_admin_password", "wrong password")
    said = terminal.answer("grafana_admin_password", "right password")
    assert "does not accept this password of admin (401)" in said
    for key in ("open_ondemand", "jobstats_command", "deploy_bcm_role_monitor", "use_custom_prometheus_targets_dir"):
        terminal.answer(key)
    terminal.answer("bcm_category_management")
    terminal.until(r"Write it\? \[no\]:")
    terminal.type("yes")
    assert terminal.end() == 0, terminal.seen
    lab.run("systemctl stop busy", "mon-01")
    assert "right password" not in terminal.seen
    assert "wrong password" not in terminal.seen
    holders = lab.run("grep -rl 'right password' /root/reasons").split()
    assert holders == ["/root/reasons/group_vars/all/guided_setup_secrets.yml"]
    assert lab.run(f"stat -c %a {holders[0]}").strip() == "600"


@pytest.mark.parametrize("name", ["new", "shared-hosts", "existing-monitoring", "dcgm"])
def test_from_each_configuration_file(monitoring: AdminLab, name: str) -> None:
    lab = monitoring
    site = f"/root/from-{name}"
    lab.run(f"rm -rf {site}")
    lab.put((CONFIGS / f"{name}.json").read_text(), "/root/config.json")
    where, warns = f"-e guided_setup_site_dir={site}", NOT_USED.get(name, ())
    said = lab.guided_setup(f"-e guided_setup_config=/root/config.json {where}", warns=warns)
    assert recap(said)["localhost"] == (1, 0), said
    if name == "new":  # the same file as variables, and nothing to change any more
        again = lab.guided_setup(f"-e @/root/config.json {where}")
        assert recap(again)["localhost"] == (0, 0), again
    groups = json.loads(lab.run(f"cd {site} && ansible-inventory -i bcm_inventory.yml --list 2>/dev/null"))
    assert groups["dgx_nodes"]["hosts"] == ["dgx-01", "dgx-02"]
    check_run(lab, site, CHANGED_FOR.get(name, "all"))


def test_bad_answers_without_a_terminal(lab: AdminLab) -> None:
    """All at once, exit status 2, and nothing written."""
    bad = {
        "dgx_nodes": ["dgx-99"],
        "prometheus_servers": ["mon-02"],
        "prometheus_targets_dir": "/srv/targets",
        "use_custom_prometheus_targets_dir": True,
        "node_exporter_port": 22,
        "grafana": "existing",
        "grafana_url": "http://mon-01:1",
        "no_such_question": 1,
    }
    lab.put(json.dumps({"guided_setup_answers": bad}), "/root/bad.json")
    said = lab.guided_setup("-e @/root/bad.json -e guided_setup_site_dir=/root/bad", status=2)
    for words in (
        "no host dgx-99",
        "no host mon-02",
        "no Grafana answers at http://mon-01:1",
        "no_such_question: there",
    ):
        assert words in said, said
    assert "answers cannot be used" in said
    lab.run("test ! -e /root/bad")
    good = {"dgx_nodes": ["dgx-01"], "node_exporter_port": 22, "prometheus_targets_dir": "/srv"}
    lab.put(json.dumps({"guided_setup_answers": good}), "/root/bad.json")
    said = lab.guided_setup("-e @/root/bad.json -e guided_setup_site_dir=/root/bad", status=2)
    assert "port 22 of dgx-01 is in use by sshd" in said
    assert "is on the root file system of dgx-01" in said


def test_without_a_terminal_and_without_answers(lab: AdminLab) -> None:
    said = lab.guided_setup("-e guided_setup_site_dir=/root/nobody", status=2)
    assert "There is no terminal to ask at" in said
