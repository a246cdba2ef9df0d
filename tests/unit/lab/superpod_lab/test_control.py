# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from pathlib import Path

import pytest
from superpod_lab import control
from superpod_lab.leftovers import is_leftover
from superpod_lab.settings import LabError, Settings

HYBRID = """\
cgroup /sys/fs/cgroup/cpuset cgroup rw,relatime,cpuset 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0
"""
UNIFIED = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,memory_recursiveprot 0 0\n"


def settings(tmp_path: Path) -> Settings:
    """A lab whose state directory also lies in `tmp_path`."""

    class Placed(Settings):
        @property
        def state(self) -> Path:
            return tmp_path / "run" / "7"

    return Placed(7, tmp_path / "image", tmp_path / "data")


def test_dgx_hosts_are_v1_only_where_the_memory_controller_is() -> None:
    assert control.dgx_cgroup(HYBRID) == "v1"
    assert control.dgx_cgroup(UNIFIED) == "v2"


def test_leftovers_are_this_labs_own_processes() -> None:
    mine = b"PATH=/bin\0SUPERPOD_LAB=7\0"
    assert is_leftover(mine, b"/bin/bash\0lab/labhost\0up-all\0", 7)
    assert not is_leftover(mine, b"/bin/bash\0lab/labhost\0up-all\0", 70)
    assert not is_leftover(b"PATH=/bin\0LAB_ID=7\0", b"/bin/bash\0", 7)
    # a booted host's supervisor: labhost ends it with its host
    assert not is_leftover(mine, b"unshare\0--mount\0/lab/labhost-init\0join\0", 7)
    assert is_leftover(mine, b"unshare\0--mount\0image-setup\0", 7)


def test_no_lab_without_a_record(tmp_path: Path) -> None:
    lab = settings(tmp_path)
    assert control.record(lab) is None
    lab.state.mkdir(parents=True)
    assert control.record(lab) is None
    with pytest.raises(LabError, match="Lab 7 is not up; boot it with: lab/superpod up"):
        control.require(lab)


def test_a_record_from_before_the_machine_was_restarted_does_not_count(tmp_path: Path) -> None:
    lab = settings(tmp_path)
    lab.data.mkdir()
    lab.record.write_text(json.dumps({"id": 7}))
    assert control.record(lab) is None
    lab.state.mkdir(parents=True)
    assert control.record(lab) == {"id": 7}


def test_a_broken_record_says_what_to_do(tmp_path: Path) -> None:
    lab = settings(tmp_path)
    lab.state.mkdir(parents=True)
    lab.data.mkdir()
    lab.record.write_text("{")
    with pytest.raises(LabError, match="remove the lab: lab/superpod down"):
        control.record(lab)


def test_one_up_or_down_at_a_time_and_the_lock_goes_with_its_holder(tmp_path: Path) -> None:
    lab = settings(tmp_path)
    with control.lock(lab), pytest.raises(LabError, match="Another lab/superpod works on lab 7"), control.lock(lab):
        pass
    with control.lock(lab):
        pass
    assert list((tmp_path / "run").iterdir()) == []
