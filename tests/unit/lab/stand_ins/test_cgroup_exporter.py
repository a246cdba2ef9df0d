# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in must print what the real cgroup_exporter 0.3.4 printed.

captures/ holds output of the real program (its cgroup_* lines).  Each capture is turned back into the cgroup files that
it was read from, and the stand-in reads those.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections import defaultdict
from pathlib import Path
from types import ModuleType

import pytest
from stand_in_loader import CAPTURES, load

PROGRAM = Path(__file__).parents[4] / "lab/stand_ins/cgroup_exporter"
SAMPLE = re.compile(r'cgroup_(\w+)\{jobid="(.*?)"(?:,step="(.*?)",task="(.*?)")?.*\} (.*)')
SCOPE = "/system.slice/slurmstepd.scope"


@pytest.fixture(scope="module", name="exporter")
def newest() -> ModuleType:
    return load("cgroup_exporter")


Samples = dict[tuple[str, str, str], dict[str, float]]


def samples(text: str) -> Samples:
    found: Samples = defaultdict(dict)
    for line in text.splitlines():
        match = SAMPLE.fullmatch(line)
        if match is not None:
            metric, jobid, step, task, value = match.groups()
            found[jobid, step or "", task or ""][metric] = float(value)
    return found


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def write_v1(root: Path, found: Samples) -> None:
    uids = {jobid: int(values["uid"]) for (jobid, _, _), values in found.items() if "uid" in values}
    for (jobid, step, task), v in found.items():
        name = (
            f"slurm/uid_{uids[jobid]}/job_{jobid}"
            + (f"/step_{step}" if step else "")
            + (f"/task_{task}" if task else "")
        )
        cpuacct, memory = root / "cpuacct" / name, root / "memory" / name
        put(cpuacct / "cpuacct.usage", str(round(v["cpu_total_seconds"] * 1e9)))
        ticks = [round(v[key] * 100) for key in ("cpu_user_seconds", "cpu_system_seconds")]
        put(cpuacct / "cpuacct.stat", f"user {ticks[0]}\nsystem {ticks[1]}")
        # Slurm 22.05 limits the CPUs of a job and its steps, not of tasks
        put(root / "cpuset" / name / "cpuset.cpus", "" if task else f"0-{int(v['cpus']) - 1}")
        files = v["memory_cache_bytes"] - v["memory_shmem_bytes"]
        stat = {
            "total_cache": v["memory_cache_bytes"],
            "total_rss": v["memory_rss_bytes"],
            "total_inactive_file": files,
        }
        put(
            memory / "memory.stat",
            "".join(f"{key} {int(value)}\n" for key, value in stat.items()) + "total_active_file 0",
        )
        for prefix, kind in (("memory.", "memory"), ("memory.memsw.", "memsw")):
            put(memory / f"{prefix}usage_in_bytes", str(int(v[f"{kind}_used_bytes"])))
            put(memory / f"{prefix}limit_in_bytes", str(int(v[f"{kind}_total_bytes"])))
            put(memory / f"{prefix}failcnt", str(int(v[f"{kind}_fail_count"])))


def write_v2(root: Path, found: Samples) -> None:
    put(root / "cgroup.controllers", "cpuset cpu memory")
    for (jobid, step, task), v in found.items():
        job = f"job_{jobid}" if jobid.isdigit() else jobid
        place = root / SCOPE.lstrip("/") / job
        place = place / f"step_{step}" if step else place
        place = place / "user" / f"task_{task}" if task else place
        micros = {
            key: round(v[f"cpu_{name}_seconds"] * 1e6) for key, name in (("usage_usec", "total"), ("user_usec", "user"))
        }
        system = round(v["cpu_system_seconds"] * 1e6)
        put(place / "cpu.stat", "".join(f"{key} {value}\n" for key, value in micros.items()) + f"system_usec {system}")
        put(place / "memory.current", str(int(v["memory_used_bytes"])))
        put(place / "memory.events", f"low 0\noom {int(v['memory_fail_count'])}")
        # only the job's own cgroup has the limit: below it the exporter must look up
        limit = v["memory_total_bytes"]
        put(place / "memory.max", "max" if limit < 0 or step else str(int(limit)))
        stat = {"anon": v["memory_rss_bytes"], "file": v["memory_cache_bytes"], "shmem": v["memory_shmem_bytes"]}
        put(place / "memory.stat", "".join(f"{key} {int(value)}\n" for key, value in stat.items()) + "swapcached 0")
        if not task:
            put(place / "cpuset.cpus.effective", f"0-{int(v['cpus']) - 1}")


@pytest.mark.parametrize("capture", sorted(path.stem for path in CAPTURES.glob("v*.prom")))
def test_prints_what_the_real_program_printed(
    exporter: ModuleType, capture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (CAPTURES / f"{capture}.prom").read_text()
    unified = capture.startswith("v2")
    (write_v2 if unified else write_v1)(tmp_path, samples(text))
    monkeypatch.setattr(exporter, "username", lambda uid: {1000: "alice"}.get(uid, ""))
    options = exporter.Options(root=str(tmp_path), fullslurm="fullslurm" in capture, username="username" in capture)

    assert exporter.is_unified(str(tmp_path)) is unified
    assert exporter.render(exporter.collect(options, unified, lambda place: -1), options.username) == text


def test_other_directories_are_no_jobs(exporter: ModuleType, tmp_path: Path) -> None:
    for name in ("slurm_dgx-01/uid_1/job_1", "slurm/system", "slurm/uid_1", "slurm/uid_1/job_x", "user.slice/job_1"):
        (tmp_path / "cpuacct" / name).mkdir(parents=True)
    assert exporter.collect(exporter.Options(root=str(tmp_path)), False, lambda place: -1) == []


def test_a_v2_cgroup_without_controllers_is_left_out(exporter: ModuleType, tmp_path: Path) -> None:
    (tmp_path / SCOPE.lstrip("/") / "job_7").mkdir(parents=True)
    assert exporter.collect(exporter.Options(root=str(tmp_path)), True, lambda place: -1) == []


def test_no_job_no_series(exporter: ModuleType) -> None:
    assert exporter.render([], True) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-1.0, "-1"),
        (0.09, "0.09"),
        (12.345678, "12.345678"),
        (123456.0, "123456"),
        (999999.5, "999999.5"),
        (1000000.0, "1e+06"),
        (1940696.0, "1.940696e+06"),
        (2.74877906944e11, "2.74877906944e+11"),
        (9223372036854771712.0, "9.223372036854772e+18"),
        (0.0001, "0.0001"),
        (0.00001234, "1.234e-05"),
    ],
)
def test_numbers_look_like_gos(exporter: ModuleType, value: float, text: str) -> None:
    assert exporter.go_float(value) == text


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(PROGRAM), *arguments], capture_output=True, text=True, check=False)


def test_help_is_the_real_programs() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert done.stdout == (CAPTURES / "help.txt").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config.paths", "/slurm"], "unknown long flag '--config.paths', try --help"),
        (["--collect.fullslurm=true"], "unexpected true, try --help"),
        (["-x"], "unknown short flag '-x', try --help"),
        (["/slurm"], "unexpected /slurm, try --help"),
        (["--web.listen-address"], "expected argument for flag '--web.listen-address', try --help"),
        (["--log.level=loud"], 'unrecognized log level "loud", try --help'),
    ],
)
def test_a_wrong_command_line_is_refused(arguments: list[str], message: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"cgroup_exporter: error: {message}\n"


def test_flags_are_read(exporter: ModuleType) -> None:
    options = exporter.parse(
        ["--web.listen-address=:1", "--path.cgroup.root", "/x", "--collect.fullslurm", "--no-collect.username"]
    )
    assert (options.listen, options.root, options.fullslurm, options.username) == (":1", "/x", True, False)


def test_a_missing_cgroup_root_ends_it() -> None:
    done = run("--path.cgroup.root=/nowhere")
    assert done.returncode == 1
    assert "/nowhere" in done.stderr
    assert "Traceback" not in done.stderr


def test_serves_metrics(tmp_path: Path) -> None:
    (tmp_path / "cpuacct/slurm/uid_1000/job_42").mkdir(parents=True)
    command = [sys.executable, str(PROGRAM), f"--path.cgroup.root={tmp_path}", "--web.listen-address=127.0.0.1:0"]
    with subprocess.Popen([*command, "--log.level=info"], stderr=subprocess.PIPE, text=True) as process:
        guard = threading.Timer(20, process.kill)
        guard.start()
        try:
            assert process.stderr is not None
            port = next(line.split(":")[-1].strip('"\n') for line in process.stderr if "Starting Server" in line)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                body = answer.read().decode()
                assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        finally:
            process.kill()
            guard.cancel()
    assert 'cgroup_uid{jobid="42"} 1000\n' in body
    started = re.search(r"^process_start_time_seconds (\S+)$", body, re.MULTILINE)
    assert started is not None
    assert abs(float(started[1]) - time.time()) < 60


def test_the_older_version_knows_no_user_names() -> None:
    older = load("cgroup_exporter", "0.3.3")
    with pytest.raises(older.UsageError, match=r"unknown long flag '--collect\.username'"):
        older.parse(["--collect.username"])
    assert older.parse(["--collect.fullslurm"]).fullslurm
