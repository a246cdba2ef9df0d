# SPDX-License-Identifier: GPL-3.0-or-later
"""slurm_conf: a file that Slurm refuses is never put in place, and included files are looked at."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure
from ansible_collections.superpod.monitoring.plugins.modules import slurm_conf

WANTED = {"EpilogSlurmctld": "/usr/local/sbin/ours.sh"}


class Module:
    """What run() uses of AnsibleModule."""

    def __init__(self, path: Path, check_mode: bool = False, scontrol: bool = True, **params: t.Any) -> None:
        self.params = {
            "path": str(path),
            "settings": WANTED,
            "replaceable": {},
            "state": "present",
            "search": ["/cm/bin"],
            **params,
        }
        self.check_mode = check_mode
        self.scontrol = scontrol
        self.asked: list[str] = []
        self.answer = (0, "localhost\n", "")

    def get_bin_path(self, name: str, opt_dirs: list[str]) -> str | None:
        assert (name, opt_dirs) == ("scontrol", ["/cm/bin"])
        return "/cm/bin/scontrol" if self.scontrol else None

    def run_command(self, command: list[str], environ_update: dict[str, str]) -> tuple[int, str, str]:
        assert command[-4:] == ["/cm/bin/scontrol", "show", "hostnames", "localhost"]
        candidate = Path(environ_update["SLURM_CONF"])
        assert candidate.parent == Path(os.path.realpath(self.params["path"])).parent
        self.asked.append(candidate.read_text(encoding="utf-8"))
        return self.answer

    def atomic_move(self, source: str, target: str) -> None:
        os.replace(source, target)


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/slurm.conf").write_text("ClusterName=a\nEpilogSlurmctld=/opt/x.sh\n", encoding="utf-8")
    (tmp_path / "slurm.conf").symlink_to("real/slurm.conf")
    return tmp_path / "slurm.conf"


def run(module: Module) -> dict[str, t.Any]:
    return slurm_conf.run(t.cast(t.Any, module))


def test_it_is_checked_and_put_where_the_link_leads(conf: Path) -> None:
    before = conf.read_text(encoding="utf-8")
    module = Module(conf)
    result = run(module)
    assert result["changed"]
    assert result["before"] == {"EpilogSlurmctld": "/opt/x.sh"}
    assert conf.is_symlink()
    assert module.asked == [conf.read_text(encoding="utf-8")]
    assert result["diff"]["after"] == module.asked[0] != before
    again = Module(conf)
    assert not run(again)["changed"]
    assert not again.asked
    assert run(Module(conf, state="absent"))["changed"]
    assert conf.read_text(encoding="utf-8") == before
    assert not run(Module(conf, state="absent"))["changed"]
    assert os.listdir(conf.parent / "real") == ["slurm.conf"]


def test_check_mode_asks_slurm_and_changes_nothing(conf: Path) -> None:
    before = conf.read_text(encoding="utf-8")
    module = Module(conf, check_mode=True)
    assert run(module)["changed"]
    assert len(module.asked) == 1
    assert run(Module(conf, check_mode=True, scontrol=False))["changed"]
    assert conf.read_text(encoding="utf-8") == before
    assert os.listdir(conf.parent / "real") == ["slurm.conf"]


@pytest.mark.parametrize("check_mode", [False, True])
def test_what_slurm_refuses_is_not_put_in_place(conf: Path, check_mode: bool) -> None:
    before = conf.read_text(encoding="utf-8")
    module = Module(conf, check_mode=check_mode)
    module.answer = (1, "", "scontrol: error: _parse_next_key: bad key\nscontrol: fatal: Unable to process\n")
    with pytest.raises(Failure, match="Slurm refuses the new one: error: _parse_next_key: bad key fatal") as failure:
        run(module)
    assert failure.value.code == "refused"
    assert conf.read_text(encoding="utf-8") == before
    assert os.listdir(conf.parent / "real") == ["slurm.conf"]


def test_without_slurms_parser_nothing_is_written(conf: Path) -> None:
    with pytest.raises(Failure) as failure:
        run(Module(conf, scontrol=False))
    assert failure.value.code == "not_installed"
    assert "ours.sh" not in conf.read_text(encoding="utf-8")


def test_files_that_are_included(conf: Path) -> None:
    target = conf.parent / "real/slurm.conf"
    target.write_text("Include more.conf\n", encoding="utf-8")
    more = conf.parent / "real/more.conf"
    for text, code in ((None, "included"), ("EpilogSlurmctld=/opt/x.sh\n", "included"), ("NodeName=a\n", "")):
        if text is not None:
            more.write_text(text, encoding="utf-8")
        if code:
            with pytest.raises(Failure) as failure:
                run(Module(conf))
            assert failure.value.code == code
        else:
            assert run(Module(conf))["changed"]


def test_no_file_and_no_sense(tmp_path: Path, conf: Path) -> None:
    with pytest.raises(Failure) as failure:
        run(Module(tmp_path / "none.conf"))
    assert failure.value.code == "no_file"
    with pytest.raises(Failure) as failure:
        run(Module(conf, replaceable={"Other": [""]}))
    assert failure.value.code == "bad_option"


def test_bytes_that_are_no_text_stay(conf: Path) -> None:
    (conf.parent / "real/slurm.conf").write_bytes(b"# caf\xe9\nClusterName=a\n")
    result = run(_Lenient(conf))
    assert conf.read_bytes().startswith(b"# caf\xe9\nClusterName=a\n# BEGIN")
    result["diff"]["after"].encode()


class _Lenient(Module):
    """Does not read the candidate as text."""

    def run_command(self, command: list[str], environ_update: dict[str, str]) -> tuple[int, str, str]:
        return self.answer


def test_what_bcm_writes_meanwhile_is_not_lost(conf: Path) -> None:
    class Slow(Module):
        def run_command(self, command: list[str], environ_update: dict[str, str]) -> tuple[int, str, str]:
            with conf.open("a", encoding="utf-8") as file:
                file.write("NodeName=new\n")
            return super().run_command(command, environ_update)

    with pytest.raises(Failure, match="was changed by somebody else just now") as failure:
        run(Slow(conf))
    assert failure.value.code == "changed_meanwhile"
    assert conf.read_text(encoding="utf-8").endswith("/opt/x.sh\nNodeName=new\n")
    assert os.listdir(conf.parent / "real") == ["slurm.conf"]
    assert run(Module(conf))["changed"]
