# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in has the series, labels, types and number formats of the real renderer, and the real mapping of jobs.

The values of the captures were invented, and so are some of the stand-in's: they are not compared.
"""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest
from stand_in_gpus import as_in_dcgm_captures
from stand_in_loader import CAPTURES, load

NAME = "dcgm-exporter"
CAPTURED = ("FB_FREE", "FB_RESERVED", "FB_USED", "GPU_TEMP", "GPU_UTIL", "POWER_USAGE", "SM_CLOCK")
# A slice has no utilization of its own; the invented values of the captures gave it one.
NOT_ON_SLICES = re.compile(r'DCGM_FI_DEV_GPU_UTIL\{.*GPU_I_ID="')


@pytest.fixture(scope="module", name="exporter")
def newest() -> ModuleType:
    return load(NAME)


def counters(module: ModuleType, tmp_path: Path) -> Path:
    """The counters file of the captures, with the texts that they show."""
    path = tmp_path / "counters.csv"
    lines = ["# a comment", "", "DCGM_FI_DRIVER_VERSION, label, Driver Version"]
    for line in (CAPTURES / "dcgm-nojobs.prom").read_text().splitlines():
        if line.startswith("# HELP"):
            _, _, name, text = line.split(" ", 3)
            lines.append(f"{name}, gauge, {text}")
    path.write_text("\n".join(lines) + "\n")
    assert all(f"DCGM_FI_DEV_{name}" in module.FIELDS for name in CAPTURED)
    return path


def printed(module: ModuleType, tmp_path: Path, jobs: dict[str, str]) -> str:
    directory = tmp_path / "jobs"
    directory.mkdir()
    for name, content in jobs.items():
        (directory / name).write_text(content)
    known = module.read_counters(str(counters(module, tmp_path)))
    return str(module.Exporter(as_in_dcgm_captures(), known, str(directory), "dgx-01").metrics())


def shape(text: str) -> list[str]:
    """Every line, with the form of its number in the place of the number."""
    lines = []
    for line in text.splitlines():
        if NOT_ON_SLICES.match(line):
            continue
        series, _, value = line.rpartition(" ")
        lines.append(line if line.startswith("#") else f"{series} {re.sub('[0-9]+', '9', value)}")
    return lines


@pytest.mark.parametrize(
    ("capture", "jobs"),
    [
        ("nojobs", {}),
        ("gpu0-job42", {"0": "42\n"}),
        ("gpu0-two-jobs", {"0": "42\n43\n"}),
        ("gpu0-duplicate-lines", {"0": "42\n42\n"}),
        ("mig-2.9-job77", {"0": "42\n", "2.9": "77\n"}),
    ],
)
def test_prints_what_the_real_renderer_printed(
    exporter: ModuleType, tmp_path: Path, capture: str, jobs: dict[str, str]
) -> None:
    assert shape(printed(exporter, tmp_path, jobs)) == shape((CAPTURES / f"dcgm-{capture}.prom").read_text())


def jobs_of(text: str, gpu: str) -> list[str]:
    lines = [line for line in text.splitlines() if line.startswith(f'DCGM_FI_DEV_POWER_USAGE{{gpu="{gpu}"')]
    return [match[1] if (match := re.search(r'hpc_job="(.*?)"', line)) else "none" for line in lines]


def test_other_names_lines_and_directories(exporter: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    text = printed(exporter, tmp_path, {"0": "42 1000\n\n", "GPU-1": "5\n", ".new-1": "6\n", "1": ""})
    assert jobs_of(text, "0") == ["42 1000", ""]  # the whole line, and an empty one
    assert jobs_of(text, "1") == ["none"]  # an empty file takes nothing away since 4.4.0


def test_the_gpus_own_file_is_not_its_slices(exporter: ModuleType, tmp_path: Path) -> None:
    assert jobs_of(printed(exporter, tmp_path, {"2": "77\n"}), "2") == ["none"]


def test_before_4_8_2_a_slice_took_its_gpus_file(tmp_path: Path) -> None:
    older = load(NAME, "4.5.2-4.8.1")
    assert jobs_of(printed(older, tmp_path, {"2": "77\n", "2.9": "78\n"}), "2") == ["77"]


def test_a_directory_may_come_later_and_go(exporter: ModuleType, tmp_path: Path) -> None:
    known = exporter.read_counters(str(counters(exporter, tmp_path)))
    program = exporter.Exporter(as_in_dcgm_captures(), known, str(tmp_path / "map"), "")
    assert jobs_of(program.metrics(), "0") == ["none"]
    (tmp_path / "map").mkdir()
    (tmp_path / "map" / "0").write_text("42\n")
    assert jobs_of(program.metrics(), "0") == ["42"]
    (tmp_path / "map" / "0").unlink()
    assert jobs_of(program.metrics(), "0") == ["none"]


@pytest.mark.parametrize(
    ("words", "environment", "host"),
    [
        ([], {}, None),
        (["-r", "localhost:5555"], {}, "localhost"),  # the same on every node, as up to 4.8.2
        ([], {"DCGM_REMOTE_HOSTENGINE_INFO": "dgx-07:5555"}, "dgx-07"),
        (["-r", "localhost:5555", "-n"], {}, ""),
    ],
)
def test_the_host_label(exporter: ModuleType, words: list[str], environment: dict[str, str], host: str | None) -> None:
    label = exporter.host_label(exporter.parse(words, environment))
    assert label == (exporter.socket.gethostname() if host is None else host)


def test_flags_go_before_the_environment(exporter: ModuleType) -> None:
    options = exporter.parse(
        ["-a", "127.0.0.1:9400", "--collectors=/x.csv"],
        {"DCGM_EXPORTER_LISTEN": ":1", "DCGM_HPC_JOB_MAPPING_DIR": "/run/dcgm-job-map"},
    )
    assert options["address"] == "127.0.0.1:9400"
    assert options["collectors"] == "/x.csv"
    assert options["hpc-job-mapping-dir"] == "/run/dcgm-job-map"


@pytest.mark.parametrize(
    ("words", "sentence"), [(["--nope"], "flag provided but not defined: -nope"), (["-a"], "needs an argument: -a")]
)
def test_other_flags_are_refused(exporter: ModuleType, words: list[str], sentence: str) -> None:
    with pytest.raises(exporter.Refused, match=sentence):
        exporter.parse(words, {})


def test_the_flags_are_the_real_programs(exporter: ModuleType) -> None:
    lines = (CAPTURES / "dcgm-help.txt").read_text().splitlines()
    for flag in exporter.FLAGS:
        names = ", ".join(("--" if len(name) > 1 else "-") + name + " value" * flag.takes_value for name in flag.names)
        (number,) = [n for n, line in enumerate(lines) if re.split(" {2,}", line.strip())[0] == names]
        # a long text has its default and its variable some lines below
        after = [n for n in range(number + 1, len(lines)) if lines[n].startswith("   -")]
        text = " ".join(lines[number : after[0] if after else None])
        assert f"[${flag.variable}]" in text
        assert flag.default in text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("DCGM_FI_DEV_GPU_TEMP, gauge\n", "needs 3 fields"),
        ("DCGM_FI_DEV_GPU_TEMP, number, x\n", "metric type 'number'"),
        ("DCGM_FI_DEV_NONE, gauge, x\n", "field 'DCGM_FI_DEV_NONE'"),
        ("# nothing\n", "names no counter"),
    ],
)
def test_a_counters_file_that_cannot_be_used(exporter: ModuleType, tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "counters.csv"
    path.write_text(text)
    with pytest.raises(exporter.Refused, match=sentence):
        exporter.read_counters(str(path))


def test_a_counters_file_that_is_not_there(exporter: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(exporter.Refused, match="could not open"):
        exporter.read_counters(str(tmp_path / "none.csv"))


def test_basic_authentication(exporter: ModuleType, tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    path = tmp_path / "web.config"
    # bcrypt of "secret", cost 4
    path.write_text('basic_auth_users: {prometheus: "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"}\n')
    tls, accepts = exporter.web_config(str(path))
    assert tls is None
    assert accepts is not None
    assert accepts("prometheus", "secret")
    assert not accepts("prometheus", "wrong")
    assert not accepts("somebody", "secret")
    path.write_text("http_server_config: {}\n")
    with pytest.raises(exporter.Refused, match="does not know http_server_config"):
        exporter.web_config(str(path))
