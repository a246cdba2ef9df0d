# SPDX-License-Identifier: GPL-3.0-or-later
"""The first run of site.yml: what it foretells in check mode, writes to BCM, and never says."""

from __future__ import annotations

import pytest
from first_run import USER, leaks, secrets_of
from node_lab import Lab
from superpod_site import SITE, recap

pytestmark = pytest.mark.lab


def test_check_mode_on_fresh_hosts_writes_nothing_to_bcm(lab: Lab) -> None:
    foretold = recap(lab.foretold.said)
    assert {host for host, (changed, failed) in foretold.items() if changed and not failed} >= {"dgx-01", "mon-01"}
    assert lab.foretold.writes == []


def test_what_was_foretold_is_what_was_done(lab: Lab) -> None:
    done = recap(lab.first_run)
    assert all(failed == 0 for _changed, failed in done.values())
    assert done.keys() == recap(lab.foretold.said).keys()


def test_no_secret_of_any_host_is_said(lab: Lab) -> None:
    secrets = secrets_of(lab.site)
    assert secrets.keys() >= {
        ("bcm-head-01", "/root/.cm/admin.key"),
        ("bcm-head-01", "/root/.ssh/id_ed25519"),
        ("bcm-head-01", "/cm/shared/apps/jobstats/certificate/role-monitor.key"),
        ("dgx-01", "/cm/local/apps/cmd/etc/cert.key"),
        ("dgx-01", "/etc/bcm-role-monitor/client.key"),
        ("mon-01", "/etc/prometheus/credentials/engine_password"),
        ("mon-01", "/etc/superpod-grafana/secrets/admin_password"),
        ("mon-01", "/etc/superpod-grafana/secrets/secret_key"),
        ("mon-01", "hash"),
    }
    for said in (lab.foretold.said, lab.first_run):
        assert {where: leaks(said, secret) for where, secret in secrets.items() if leaks(said, secret)} == {}


def test_a_secret_that_is_said_is_found(lab: Lab) -> None:
    """The control for the test before: the same secrets, said by Ansible."""
    said = lab.site.run(f"cd {SITE}; ansible -i bcm_inventory.yml -vvv mon-01 -m command -a 'echo {USER}'")
    assert leaks(said, USER.encode())
    key = "/etc/bcm-role-monitor/client.key"
    said = lab.site.run(f"cd {SITE}; ansible -i bcm_inventory.yml -vvv dgx-01 -m slurp -a src={key}")
    assert leaks(said, lab.site.run(f"cat {key}", "dgx-01").encode() + b"\n")
    assert leaks(f"+ {lab.site.run(f'tail -3 {key}', 'dgx-01')}", lab.site.run(f"cat {key}", "dgx-01").encode())
