# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in must print what the real nvidia_gpu_prometheus_exporter printed for the same GPUs and job files."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import ModuleType

import pytest
from stand_in_gpus import as_in_gpu_captures
from stand_in_loader import CAPTURES, STAND_INS, load

NAME = "nvidia_gpu_prometheus_exporter"
FAKE_NVML = STAND_INS.parent / "fake_nvml"


@pytest.fixture(scope="module", name="exporter")
def newest() -> ModuleType:
    return load(NAME)


@pytest.fixture(name="gpustat")
def files_of_jobs(tmp_path: Path) -> Path:
    """What the prolog of job 42 of user 1000 writes for the GPU with ordinal 0."""
    directory = tmp_path / "gpustat"
    directory.mkdir()
    for name in ("0", "GPU-aaaaaaaa-0000-0000-0000-000000000000"):
        (directory / name).write_text("42 1000\n")
    return directory


def scrapes(module: ModuleType, gpustat: Path, mig: bool, number: int = 2) -> str:
    """What the last of so many scrapes shows."""
    collector = module.Collector(as_in_gpu_captures(mig), module.NEWER, gpustat)
    text = ""
    for _ in range(number):
        text = module.exposition.render(collector.scrape())
    return text


@pytest.mark.parametrize(
    ("version", "mig", "capture"),
    [
        ("0.2.2-73b8cc4", False, "gpu-master-2gpus-job42"),
        ("0.2.2-73b8cc4", True, "gpu-master-mig"),
        ("0.2.2", False, "gpu-v0.2.2-2gpus-job42"),
    ],
)
def test_prints_what_the_real_program_printed(gpustat: Path, version: str, mig: bool, capture: str) -> None:
    printed = scrapes(load(NAME, version), gpustat, mig)
    assert printed.splitlines() == (CAPTURES / f"{capture}.prom").read_text().splitlines()


def test_gpm_needs_two_scrapes(exporter: ModuleType, gpustat: Path) -> None:
    assert "sm_util" not in scrapes(exporter, gpustat, False, number=1)
    assert "sm_util" in scrapes(exporter, gpustat, False, number=3)


def test_the_job_goes_with_its_files(exporter: ModuleType, gpustat: Path) -> None:
    for path in gpustat.iterdir():
        path.unlink()
    printed = scrapes(exporter, gpustat, False)
    assert 'jobid="42"' not in printed
    assert "nvidia_gpu_jobId" not in printed


@pytest.mark.parametrize(
    ("content", "job"),
    [
        ("42 1000\n", ("42", "1000")),
        ("42\n", ("42", "")),
        ("42 1000 7\n", ("", "")),  # refused
        ("42 1000\n43 1000\n", ("", "")),
        ("42\n43\n", ("42\n43", "")),  # taken for one job, as the real program does
        ("", ("", "")),
    ],
)
def test_what_a_job_file_may_hold(exporter: ModuleType, tmp_path: Path, content: str, job: tuple[str, str]) -> None:
    (tmp_path / "0").write_text(content)
    assert exporter.job_of(as_in_gpu_captures(False).device(0), tmp_path) == job


def test_a_slice_has_a_file_of_its_own_and_the_uuid_goes_first(exporter: ModuleType, tmp_path: Path) -> None:
    gpus = as_in_gpu_captures(mig=True)
    first, second = gpus.slices(gpus.device(1))
    (tmp_path / "1").write_text("1 1")
    (tmp_path / "1.9").write_text("9 9")
    assert exporter.job_of(gpus.device(1), tmp_path) == ("1", "1")
    assert exporter.job_of(first, tmp_path) == ("9", "9")
    assert exporter.job_of(second, tmp_path) == ("", "")
    (tmp_path / first.uuid).write_text("77 7")
    assert exporter.job_of(first, tmp_path) == ("77", "7")


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(STAND_INS / NAME), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        timeout=20,
    )


def test_help_is_the_real_programs() -> None:
    done = run("-help")
    assert (done.returncode, done.stderr) == (0, (CAPTURES / "gpu-help.txt").read_text())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--config.paths", "/slurm"], "flag provided but not defined: -config.paths"),
        (["-web.listen-address"], "flag needs an argument: -web.listen-address"),
        (["-disable.gpm=perhaps"], 'invalid boolean value "perhaps" for -disable.gpm: parse error'),
    ],
)
def test_other_flags_are_refused(words: list[str], sentence: str) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert done.stderr == f"{sentence}\n{(CAPTURES / 'gpu-help.txt').read_text()}"


def test_flags_in_both_of_gos_forms(exporter: ModuleType) -> None:
    options = exporter.parse(["-web.listen-address=:1", "--disable.gpm", "-web.disable-exporter-metrics=false"])
    assert (options.listen, options.disable_gpm, options.disable_exporter_metrics) == (":1", True, False)
    assert exporter.parse(["-web.listen-address", ":2"]).listen == ":2"


def test_the_older_version_knows_no_gpm() -> None:
    older = load(NAME, "0.2.2")
    with pytest.raises(older.UsageError, match=r"not defined: -disable\.gpm"):
        older.parse(["-disable.gpm"])


def test_without_nvml_it_ends(tmp_path: Path) -> None:
    if shutil.which("nvidia-smi") or Path("/usr/lib/libnvidia-ml.so.1").exists():
        pytest.skip("this machine has NVML")
    done = run(LD_LIBRARY_PATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].split(" ", 2)[2] == (CAPTURES / "gpu-no-nvml.txt").read_text().strip()


@pytest.fixture(scope="module", name="fake_nvml")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lab's stub of NVML."""
    if shutil.which("gcc") is None or shutil.which("make") is None:
        pytest.skip("the stub of NVML needs gcc and make")
    directory = tmp_path_factory.mktemp("nvml")
    for name in ("fake_nvml.c", "fake_nvml.conf", "Makefile"):
        shutil.copy(FAKE_NVML / name, directory)
    subprocess.run(["make", "-s", "-C", str(directory)], check=True)
    return directory


def test_over_the_stub_with_eight_gpus_of_which_one_is_sliced(fake_nvml: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        address = "127.0.0.1:{1}".format(*unused.getsockname())
    process = subprocess.Popen(
        [sys.executable, str(STAND_INS / NAME), f"-web.listen-address={address}", "-web.disable-exporter-metrics"],
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONDONTWRITEBYTECODE": "1",
            "LD_LIBRARY_PATH": str(fake_nvml),
            "FAKE_NVML_CONF": str(fake_nvml / "fake_nvml.conf"),
            "FAKE_NVML_MIG": "3",
            "FAKE_NVML_UTIL": "50",
        },
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                for _ in range(2):
                    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
                        text = answer.read().decode()
                break
            except urllib.error.URLError:
                assert time.monotonic() < deadline, "it does not answer"
                time.sleep(0.05)
    finally:
        process.terminate()
        process.wait()
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    assert "nvidia_gpu_num_devices 8" in samples
    assert sum(line.startswith("nvidia_gpu_duty_cycle{") for line in samples) == 7  # none in MIG mode
    assert sum(line.startswith("nvidia_gpu_memory_used_bytes{") for line in samples) == 8 + 7
    assert sum(line.startswith("nvidia_gpu_sm_util_percent{") for line in samples) == 8 + 7
    assert all(line.endswith(" 0.5") for line in samples if line.startswith("nvidia_gpu_graphics_util_percent{"))
