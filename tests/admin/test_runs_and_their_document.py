# SPDX-License-Identifier: GPL-3.0-or-later
"""The deployment document of real runs on a simulated SuperPOD, and the secrets that must not be in it.

Runs after the guided setup's tests, which want hosts that nothing was deployed to.
"""

from __future__ import annotations

import base64
import json
import re

from admin_lab import AdminLab
from superpod_site import SITE, recap, until

DOCUMENTED = "/root/document"
PASSWORD = "correct-horse-battery-staple"
GRAFANA = "login-01"
_NOT_OURS = "-not -path */ansible/* -not -path /usr/* -not -name munge.key"
KEYS = f"find / -xdev ( -name *.key -o -name id_ed25519 ) -size +0 {_NOT_OURS}"


def document(lab: AdminLab) -> str:
    newest = lab.run(f"ls -t {DOCUMENTED}/documents/*.md | head -1").strip()
    assert lab.run(f"stat -c %a {newest}").strip() == "600"
    return lab.read(newest)


def secrets(lab: AdminLab) -> set[str]:
    """Lines of every private key of the hosts, also as base64 would show them, and the site's passwords."""
    found = {PASSWORD}
    for host in ("bcm-head-01", "dgx-01", "mon-01"):
        for path in lab.run(KEYS.replace("(", r"\(").replace(")", r"\)").replace("*", r"\*"), host).split():
            text = lab.read(path, host)
            found |= {line for line in text.splitlines() if len(line) > 20 and not line.startswith("-----")}
            found.add(base64.b64encode(text.encode()).decode()[:60])
    assert len(found) > 10
    return found


def guided_setup(lab: AdminLab, **answers: object) -> None:
    """The site directory, with an existing Grafana."""
    grafana = {"grafana_url": f"http://{GRAFANA}:3000", "configure_grafana": True, "grafana_admin_password": PASSWORD}
    given = {"cluster_name": "slurm", "grafana": "existing", **grafana, **answers}
    lab.put(json.dumps({"guided_setup_answers": given}), "/root/document.json")
    lab.guided_setup(f"-e @/root/document.json -e guided_setup_site_dir={DOCUMENTED}")


def test_check_and_real_run(lab: AdminLab) -> None:
    lab.run(f"rm -rf {DOCUMENTED}")
    lab.slurm(["dgx-01", "dgx-02"])
    lab.grafana(GRAFANA, PASSWORD)
    guided_setup(lab)
    lab.run(f"cp -r {SITE}/artifacts {DOCUMENTED}/")
    own = f"{lab.own_settings(slurm=True)}some_secret_setting: {PASSWORD}\n"
    lab.put(own, f"{DOCUMENTED}/group_vars/all/site.yml")

    some = f"--limit dgx_nodes,prometheus_servers -e some_token={PASSWORD}"
    said = lab.playbook("site.yml", f"--check --diff {some}", site=DOCUMENTED)
    foretold = document(lab)
    assert foretold.startswith("# What would be done")
    assert "[1/" in said
    assert "hosts done" in said
    assert "would change" in foretold
    assert "## What is left to do by hand" in foretold
    assert "Run it again without `--check`" in foretold
    assert "Fill `artifacts/`" in foretold
    assert re.search(r"^\+ExecStart=", foretold, re.MULTILINE)
    assert "dgx-01, dgx-02: would change" in foretold
    assert "prometheus_server_port" in foretold

    said = lab.playbook("site.yml", "--diff", site=DOCUMENTED)
    assert all(failed == 0 for _changed, failed in recap(said).values()), said
    done = document(lab)
    assert done.startswith("# What was done")
    assert "| dgx-01 |" in done
    assert "about" in said
    for secret in secrets(lab):
        assert secret not in foretold
        assert secret not in done

    settings = lab.slurm_settings()
    assert settings["EpilogSlurmctld"] == "/usr/local/sbin/epilogslurmctld-slurm.sh"
    assert (settings["ConstrainCores"], settings["ConstrainRAMSpace"]) == ("yes", "yes")
    lab.run("su alice -c 'jobstats --help'", "login-01")
    assert "superpod-job" in lab.dashboards(GRAFANA, PASSWORD)

    # a run that changes nothing says so
    lab.playbook("site.yml", "--limit mon-01", site=DOCUMENTED)
    assert "found everything as it should be" in document(lab)


def test_without_job_summaries_slurm_still_confines_jobs(lab: AdminLab) -> None:
    guided_setup(lab, job_summaries=False)
    lab.playbook("site.yml", "--tags slurm_controller", site=DOCUMENTED)
    until(lambda: lab.slurm_settings()["EpilogSlurmctld"] == "(null)")
    settings = lab.slurm_settings()
    assert (settings["ConstrainCores"], settings["ConstrainRAMSpace"]) == ("yes", "yes")
    assert settings["SelectTypeParameters"] == "CR_CORE_MEMORY"
    lab.run("test ! -e /usr/local/sbin/epilogslurmctld-slurm.sh", "slurm-ctl-01")


def test_a_run_that_fails(lab: AdminLab) -> None:
    wrong = "-e prometheus_server_targets_dir=relative"
    lab.playbook("site.yml", f"--check --limit mon-01 {wrong}", site=DOCUMENTED, status=2)
    failed = document(lab)
    assert "## What failed" in failed
    assert "Mend what failed, and run it again" in failed
