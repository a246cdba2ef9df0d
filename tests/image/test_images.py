# SPDX-License-Identifier: GPL-3.0-or-later
"""A software image's life, in the order of the tests: deployed into, brought to a node, grabbed without a thought,
found out, guarded, grabbed again, and brought to both nodes.
"""

from __future__ import annotations

import pytest
from image_lab import IMAGE, SIMULATOR, STATE, ImageLab
from superpod_site import HEAD, SITE, playbook_command, recap

KEY = "/etc/bcm-role-monitor/client.key"
STATE_FILE = "/var/lib/bcm-role-monitor/dgx-02_state.json"
NODE = "-e superpod_grab_node=dgx-02"
WITHOUT_VERIFY = f"{NODE} --skip-tags verify"


@pytest.fixture(autouse=True)
def in_order(request: pytest.FixtureRequest, lab: ImageLab) -> None:
    """A test whose predecessor failed has nothing to stand on."""
    if request.session.testsfailed:
        pytest.skip("an earlier step failed")


def test_an_image_is_deployed_into_with_nothing_started_and_no_key(lab: ImageLab) -> None:
    before = lab.files(IMAGE)
    mounts = lab.run("cat /proc/mounts")
    said = lab.playbook("site.yml", "--limit bcm_images")
    assert recap(said)["dgx-image"][0] > 0
    new = lab.files(IMAGE) - before
    assert {
        "etc/bcm-role-monitor/config.json",
        "etc/systemd/system/bcm-role-monitor.service",
        "etc/systemd/system/multi-user.target.wants/bcm-role-monitor.service",
        "etc/systemd/system/node_exporter.service",
        "usr/local/bin/bcm_role_monitor.py",
        "usr/local/bin/node_exporter",
        "usr/local/bin/cgroup_exporter",
    } <= new
    assert not [name for name in new if name.endswith((".key", ".pem", "_state.json"))]
    # Prometheus' package is really installed there, by apt
    image = "/cm/images/monitoring-image"
    units = f"{image}/etc/systemd/system"
    lab.run(f"test -x {image}/usr/bin/prometheus && test -L {units}/multi-user.target.wants/prometheus.service")
    lab.run(f"test ! -e {units}/node_exporter.service")
    # on the head node, where all that ran
    lab.run("! pgrep -f '[b]cm_role_monitor|_[e]xporter|bin/[p]rometheus'")
    assert lab.run("cat /proc/mounts") == mounts
    lab.run(f'cd {IMAGE} && test -z "$(find run proc sys dev -mindepth 1)" && test ! -e root/.ansible')
    assert recap(lab.playbook("site.yml", "--limit dgx-image")) == {"dgx-image": (0, 0)}


def test_the_image_is_clean(lab: ImageLab) -> None:
    said, found = lab.audit()
    assert found["leaks"] == 0
    assert found["images"]["dgx-image"]["path"] == IMAGE
    assert {file["class"] for file in found["images"]["dgx-image"]["files"] if file["type"] != "directory"} == {
        "image_safe"
    }
    # the lists are BCM's, which know nothing of this collection
    assert {KEY, "/var/lib/bcm-role-monitor"} <= {item["path"] for item in found["categories"]["dgx-h200"]["unguarded"]}
    assert f"    secret: {KEY}" in said


def test_an_update_brings_it_to_a_node_that_then_works(lab: ImageLab) -> None:
    lab.run("cmsh -c 'device; use dgx-02; imageupdate -w --wait' | grep COMPLETED")
    lab.run(f"test -x /usr/local/bin/node_exporter && test ! -e {KEY}", "dgx-02")
    said = lab.playbook("site.yml", "--limit dgx-02 --diff")
    # what the image cannot have: the key, directories for one node, running services
    assert "/usr/local/bin" not in said
    lab.assign("dgx-02")
    lab.works("dgx-02")
    lab.run(f"test -s {STATE_FILE}", "dgx-02")


def test_a_careless_grab_is_found_out(lab: ImageLab) -> None:
    lab.grab("dgx-02")
    lab.run(f"test -s {IMAGE}{KEY} && test -s {IMAGE}{STATE_FILE}")
    said, found = lab.audit(status=2)
    paths = {file["path"]: file["class"] for file in found["images"]["dgx-image"]["leaked"]}
    assert paths[KEY] == "secret"
    assert paths[STATE_FILE] == "per_node"
    assert found["leaks"] == len(paths)
    for path in (KEY, STATE_FILE):
        assert f"{path} must not be in an image; rm {IMAGE}{path}" in said
    assert "are in software images" in said
    assert "BEGIN" not in said + lab.read(f"{IMAGE}/etc/bcm-role-monitor/config.json")


def test_a_grab_with_the_playbook_is_refused_while_the_lists_are_open(lab: ImageLab) -> None:
    # by what is in the image already, and then by the lists themselves; without Prometheus, by verify before both
    assert "are in software images" in lab.playbook("grab_image", WITHOUT_VERIFY, status=2)
    _said, found = lab.audit(status=2)
    lab.run(" && ".join(f"rm {IMAGE}{file['path']}" for file in found["images"]["dgx-image"]["leaked"]))
    said = lab.playbook("grab_image", WITHOUT_VERIFY, status=2)
    assert "A grab of dgx-02 would take" in said
    assert KEY in said
    said = lab.playbook("grab_image", NODE, status=2)
    assert "Hosts, and the checks that failed" in said
    assert "What is on the nodes" not in said


def test_the_rules_are_shown_first_and_then_added_beside_the_sites_own(lab: ImageLab) -> None:
    before = lab.run("cmsh -c 'category; use dgx-h200; get excludelistgrab'")
    add = "-e superpod_exclude_lines=yes -e superpod_audit_categories=dgx-h200"
    said, _found = lab.audit(f"{add} --check")
    assert "+  - /etc/bcm-role-monitor/client.key" in said
    assert "+  no-new-files: - /var/lib/bcm-role-monitor" in said
    assert lab.run("cmsh -c 'category; use dgx-h200; get excludelistgrab'") == before
    lab.audit(add)
    after = lab.run("cmsh -c 'category; use dgx-h200; get excludelistgrab'")
    assert after.startswith(before.rstrip())
    assert "# BEGIN superpod.monitoring\n" in after
    # only what was asked for
    assert "superpod" not in lab.run("cmsh -c 'category; use login; get excludelistgrab'")
    assert recap(lab.playbook("audit_image", add))[HEAD] == (0, 0)
    assert lab.audit()[1]["categories"]["dgx-h200"]["unguarded"] == []


def test_a_guarded_grab(lab: ImageLab) -> None:
    lab.run("echo grabbed > /etc/site-file", "dgx-02")
    said = lab.playbook("grab_image", f"{WITHOUT_VERIFY} --check")
    assert "etc/site-file" in said
    assert "dry run = yes" in said
    lab.run(f"test ! -e {IMAGE}/etc/site-file")
    terminal = lab.terminal(f"cd {SITE} && {playbook_command('grab_image', WITHOUT_VERIFY)}")
    terminal.until("Type yes to do it")
    terminal.type("yes")
    assert terminal.end() == 0
    assert "Provisioning completed on node dgx-02" in terminal.seen
    lab.run(f"grep -q grabbed {IMAGE}/etc/site-file")
    _said, found = lab.audit()
    assert found["leaks"] == 0
    lab.run(f"test ! -e {IMAGE}{KEY} && test ! -e {IMAGE}{STATE_FILE} && test -L {IMAGE}/usr/local/bin/node_exporter")


def test_another_image_is_wiped_and_has_neither_key_nor_state(lab: ImageLab) -> None:
    other = "/cm/images/default-image"
    lab.run(f"mkdir -p {other}/etc/bcm-role-monitor && echo secret > {other}{KEY}")
    arguments = f"{WITHOUT_VERIFY} -e superpod_grab_image=default-image"
    # one that has a key already is not overlooked
    assert f"{other}{KEY}" in lab.playbook("grab_image", f"{arguments} -e superpod_grab_confirm=yes", status=2)
    lab.run(f"rm {other}{KEY}")
    assert "Nothing was grabbed" in lab.playbook("grab_image", f"{arguments} -e superpod_grab_confirm=no", status=2)
    lab.playbook("grab_image", f"{arguments} -e superpod_grab_confirm=yes")
    lab.run(f"grep -q grabbed {other}/etc/site-file && test ! -e {other}{KEY} && test ! -e {other}{STATE_FILE}")


def test_a_node_that_is_synced_from_the_image_works(lab: ImageLab) -> None:
    own = lab.run("sha256sum /cm/local/apps/cmd/etc/cert.key", "dgx-01")
    lab.run("cmsh -c 'device; use dgx-01; imageupdate -w --wait' | grep COMPLETED")
    lab.run("grep -q grabbed /etc/site-file && test ! -e /etc/bcm-role-monitor/client.key", "dgx-01")
    lab.run("test ! -e /var/lib/bcm-role-monitor/dgx-02_state.json", "dgx-01")
    assert lab.run("sha256sum /cm/local/apps/cmd/etc/cert.key", "dgx-01") == own
    lab.playbook("site.yml", "--limit dgx-01")
    lab.assign("dgx-01")
    lab.works("dgx-01")


def test_a_node_that_boots_with_a_sync_keeps_what_is_its_own(lab: ImageLab) -> None:
    """As the node installer does it: the list for syncs at boot, and then the boot."""
    own = lab.checksums("dgx-02")
    lab.run("echo changed > /usr/local/bin/cgroup_exporter.new; echo by-hand > /etc/site-file", "dgx-02")
    lab.run(f"{SIMULATOR} provision --state {STATE} dgx-02 SYNC")
    assert lab.checksums("dgx-02") == own
    lab.run(f"test -s {STATE_FILE}", "dgx-02")
    lab.run("grep -q grabbed /etc/site-file && test ! -e /usr/local/bin/cgroup_exporter.new", "dgx-02")
    lab.superpod("labhost", "restart", "dgx-02")
    lab.works("dgx-02")
    _said, found = lab.audit("-e superpod_audit_nodes=dgx-02 -e superpod_audit_categories=dgx-h200")
    assert found["categories"]["dgx-h200"]["lost"]["dgx-02"] == []
