# SPDX-License-Identifier: GPL-3.0-or-later
"""The prolog and epilog scripts, run as Slurm runs them: as programs, with an environment and nothing else.

What must hold whatever happens: exit status 0, no file that an exporter could mistake for a map, no id of another job
lost.  ``nvidia-smi`` and ``logger`` are stand-ins on the PATH, ``logger``'s words land in a file.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

HOOKS = Path(__file__).parents[4] / "files" / "slurm"
FULL = os.environ.get("SUPERPOD_TEST_FULL") == "1"
MAP_NAME = re.compile(r"\d+(\.\d+)?")
UUID = [f"GPU-{i}a2b3c4d-0000-4000-8000-0000000000{i}f" for i in range(8)]
SLICE = [f"MIG-{i}a2b3c4d-0000-4000-8000-00000000000{i}" for i in range(2)]

# what the real one prints: GPU 3 is cut in two slices, instances 9 and 11
LIST = "".join(
    f"GPU {i}: NVIDIA H200 (UUID: {uuid})\n"
    + (
        f"  MIG 1g.18gb     Device  0: (UUID: {SLICE[0]})\n  MIG 3g.71gb     Device  1: (UUID: {SLICE[1]})\n"
        if i == 3
        else ""
    )
    for i, uuid in enumerate(UUID)
)
DETAILS = "".join(
    f"\nGPU 00000000:{i}8:00.0\n"
    "    Product Name                          : NVIDIA H200\n"
    f"    GPU UUID                              : {uuid}\n"
    + (
        "".join(
            "    MIG Device\n"
            f"        Index                             : {index}\n"
            f"        GPU Instance ID                   : {instance}\n"
            "        Compute Instance ID               : 0\n"
            for index, instance in ((0, 9), (1, 11))
        )
        if i == 3
        else "    GPU Virtualization Mode\n        GPU Instance ID                   : N/A\n"
    )
    + "    Processes\n        GPU instance ID                   : 7\n"
    for i, uuid in enumerate(UUID)
)


class Node:
    """One compute node: its two map directories and the programs that the hooks call."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.dcgm = root / "run" / "dcgm-job-map"
        self.jobstats = root / "run" / "gpustat"
        self.journal = root / "journal"
        self.bin = root / "bin"
        self.bin.mkdir(parents=True)
        (root / "run").mkdir()
        self.program("logger", f'#!/bin/sh\necho "$@" >>"{self.journal}"\n')
        (root / "list").write_text(LIST)
        (root / "details").write_text(DETAILS)
        self.program(
            "nvidia-smi",
            f'#!/bin/sh\necho "$@" >>"{root}/asked"\n[ "$1" = -L ] && exec cat "{root}/list"\ncat "{root}/details"\n',
        )

    def program(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def environment(self, job: int | str = 42, **values: str) -> dict[str, str]:
        return {
            "PATH": str(self.bin),
            "GPUSTAT_DIR": str(self.jobstats),
            "DCGM_JOB_MAP_DIR": str(self.dcgm),
            "SLURM_JOB_ID": str(job),
            "SLURM_JOB_UID": "1000",
        } | values

    def start(self, hook: str, job: int | str = 42, **values: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [HOOKS / f"{hook}.sh"], env=self.environment(job, **values), stderr=subprocess.PIPE, text=True
        )

    def run(self, hook: str, job: int | str = 42, **values: str) -> None:
        """Runs a hook; it must end well within its own limit, with status 0, and leave no junk."""
        process = self.start(hook, job, **values)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 0, errors
        assert errors == ""
        assert all(MAP_NAME.fullmatch(name) for name in self.map())
        assert all(
            MAP_NAME.fullmatch(n) or re.fullmatch(r"(GPU|MIG)-[0-9A-Za-z-]+", n) for n in self.map(self.jobstats)
        )

    def map(self, directory: Path | None = None) -> dict[str, list[str]]:
        """What an exporter sees: the lines of each file."""
        directory = directory or self.dcgm
        if not directory.exists():
            return {}
        return {p.name: p.read_text().splitlines() for p in directory.iterdir() if not p.name.startswith(".")}

    def said(self) -> str:
        return self.journal.read_text() if self.journal.exists() else ""

    def asked(self) -> list[str]:
        path = self.root / "asked"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


@pytest.mark.parametrize(
    ("given_gpus", "files", "asks_nvidia_smi"),
    [
        ({"SLURM_JOB_GPUS": "0"}, {"0"}, False),
        ({"SLURM_JOB_GPUS": "1,3"}, {"1", "3"}, False),
        ({"SLURM_JOB_GPUS": "0-3"}, {"0", "1", "2", "3"}, False),
        ({"SLURM_JOB_GPUS": "0-1,5,6-7"}, {"0", "1", "5", "6", "7"}, False),
        ({"SLURM_JOB_GPUS": "9-12"}, {"9", "10", "11", "12"}, False),
        ({"SLURM_JOB_GPUS": "2,2,1-2"}, {"1", "2"}, False),
        ({"SLURM_JOB_GPUS": "2", "CUDA_VISIBLE_DEVICES": "0", "GPU_DEVICE_ORDINAL": "1"}, {"2"}, False),
        ({"SLURM_JOB_GPUS": "4", "CUDA_VISIBLE_DEVICES": UUID[4]}, {"4"}, False),
        ({"SLURM_JOB_GPUS": "", "CUDA_VISIBLE_DEVICES": "0,7"}, {"0", "7"}, False),
        ({"GPU_DEVICE_ORDINAL": "6"}, {"6"}, False),
        ({"CUDA_VISIBLE_DEVICES": f"{UUID[5]},{UUID[1]}"}, {"1", "5"}, True),
        ({"CUDA_VISIBLE_DEVICES": f"{SLICE[0]},{SLICE[1]}"}, {"3.9", "3.11"}, True),
        # Slurm counts slices where it counts GPUs otherwise: 4 is the second slice of GPU 3, not GPU 4
        ({"SLURM_JOB_GPUS": "4", "CUDA_VISIBLE_DEVICES": SLICE[1]}, {"3.11"}, True),
        ({"CUDA_VISIBLE_DEVICES": "NoDevFiles"}, set(), False),
        ({"SLURM_JOB_GPUS": ""}, set(), False),
        ({}, set(), False),
    ],
)
def test_dcgm_files(node: Node, given_gpus: dict[str, str], files: set[str], asks_nvidia_smi: bool) -> None:
    node.run("prolog-dcgm", **given_gpus)
    assert node.map() == {name: ["42"] for name in files}
    assert bool(node.asked()) is asks_nvidia_smi
    assert node.said() == ""
    node.run("epilog-dcgm", **given_gpus)
    assert node.map() == {}


@pytest.mark.parametrize(
    ("given_gpus", "files"),
    [
        ({"SLURM_JOB_GPUS": "0-1"}, {"0", "1", UUID[0], UUID[1]}),
        ({"CUDA_VISIBLE_DEVICES": UUID[5]}, {"5", UUID[5]}),
        ({"SLURM_JOB_GPUS": "3", "CUDA_VISIBLE_DEVICES": SLICE[0]}, {"3.9", SLICE[0]}),
        ({}, set()),
    ],
)
def test_jobstats_files(node: Node, given_gpus: dict[str, str], files: set[str]) -> None:
    node.run("prolog-jobstats", **given_gpus)
    assert node.map(node.jobstats) == {name: ["42 1000"] for name in files}
    assert {(node.jobstats / name).stat().st_mode & 0o777 for name in files} <= {0o644}
    assert node.asked().count("-L") == (1 if files else 0)
    node.run("epilog-jobstats")
    assert not files or list(node.jobstats.iterdir()) == []


def test_a_job_without_gpus_starts_no_program_and_makes_no_directory(node: Node) -> None:
    for tool in ("mkdir", "flock", "mv", "rm", "awk", "timeout"):
        node.program(tool, f'#!/bin/sh\necho {tool} >>"{node.root}/asked"\n')
    for hook in ("prolog-jobstats", "epilog-jobstats", "prolog-dcgm", "epilog-dcgm"):
        node.run(hook)
    assert node.asked() == []
    assert not node.dcgm.exists()
    assert not node.jobstats.exists()


def test_shards_job_ids_that_begin_like_others_and_a_requeue(node: Node) -> None:
    for job in (4, 42, 421, 42):
        node.run("prolog-dcgm", job, SLURM_JOB_GPUS="0,1")
    assert {name: sorted(ids) for name, ids in node.map().items()} == {"0": ["4", "42", "421"], "1": ["4", "42", "421"]}
    node.run("epilog-dcgm", 42, SLURM_JOB_GPUS="0")
    assert node.map() == {"0": ["4", "421"], "1": ["4", "421"]}
    # the epilog of 421 never ran; its next run on this node has another GPU
    node.run("prolog-dcgm", 421, SLURM_JOB_GPUS="7")
    assert node.map() == {"0": ["4"], "1": ["4"], "7": ["421"]}


def test_jobstats_gives_a_shared_gpu_to_the_last_job_and_leaves_it_to_it(node: Node) -> None:
    node.run("prolog-jobstats", 42, SLURM_JOB_GPUS="0")
    node.run("prolog-jobstats", 43, SLURM_JOB_GPUS="0")
    node.run("epilog-jobstats", 42)
    assert node.map(node.jobstats) == {"0": ["43 1000"], UUID[0]: ["43 1000"]}


def test_an_empty_file_that_a_killed_prolog_left_is_filled(node: Node) -> None:
    node.dcgm.mkdir()
    (node.dcgm / "0").touch()
    node.run("prolog-dcgm", SLURM_JOB_GPUS="0,1")
    assert node.map() == {"0": ["42"], "1": ["42"]}
    node.run("epilog-dcgm")
    assert node.map() == {}


def test_a_reboot_between_prolog_and_epilog(node: Node) -> None:
    node.run("prolog-dcgm", SLURM_JOB_GPUS="0")
    shutil.rmtree(node.dcgm)
    node.run("epilog-dcgm")
    assert not node.dcgm.exists()
    assert node.said() == ""


def test_a_copy_with_a_number_in_front_works_alone_and_without_a_path(node: Node) -> None:
    copy = node.root / "60-prolog-dcgm.sh"
    shutil.copy(HOOKS / "prolog-dcgm.sh", copy)
    environment = node.environment(SLURM_JOB_GPUS="0")
    del environment["PATH"]
    subprocess.run([copy], env=environment, check=True)
    assert node.map() == {"0": ["42"]}


@pytest.mark.parametrize(
    ("name", "complaint"),
    [("hook.sh", "jobstats or dcgm"), ("dcgm.sh", "prolog or epilog")],
)
def test_a_copy_under_another_name_says_so(node: Node, name: str, complaint: str) -> None:
    copy = node.root / name
    shutil.copy(HOOKS / "prolog-dcgm.sh", copy)
    subprocess.run([copy], env=node.environment(SLURM_JOB_GPUS="0"), check=True)
    assert complaint in node.said()
    assert node.map() == {}


@pytest.mark.parametrize(
    "broken",
    ['echo "No devices were found"; exit 6', "exit 9", "kill -9 $$", 'echo "GPU 0: (UUID: junk)"'],
)
def test_a_failing_nvidia_smi_is_told_and_makes_no_junk(node: Node, broken: str) -> None:
    node.program("nvidia-smi", f"#!/bin/sh\n{broken}\n")
    node.run("prolog-jobstats", SLURM_JOB_GPUS="0")
    assert node.map(node.jobstats) == {"0": ["42 1000"]}  # the exporter falls back on the number
    assert "nvidia-smi did not say" in node.said()
    node.run("prolog-dcgm", CUDA_VISIBLE_DEVICES=f"{SLICE[0]},{UUID[0]}")
    assert node.map() == {}
    assert SLICE[0] in node.said()


def test_an_nvidia_smi_that_hangs_and_cannot_be_killed_does_not_hold_the_job(node: Node) -> None:
    # what it starts is out of timeout's reach, as a process stuck in the driver is, and keeps its output open
    node.program("nvidia-smi", '#!/bin/sh\ntrap "" TERM\nsetsid sleep 12 &\nsleep 12\n')
    node.run("prolog-jobstats", SLURM_JOB_GPUS="0")
    assert node.map(node.jobstats) == {"0": ["42 1000"]}
    assert "nvidia-smi did not say" in node.said()


@pytest.mark.skipif(not FULL, reason="takes as long as the limit that it is about; SUPERPOD_TEST_FULL=1")
def test_a_lock_that_is_never_given_back_does_not_hold_the_job(node: Node) -> None:
    node.dcgm.mkdir()
    holder = subprocess.Popen(["flock", "-F", node.dcgm, "sleep", "12"])
    try:
        node.run("prolog-dcgm", SLURM_JOB_GPUS="0")
    finally:
        holder.kill()
        holder.wait()
    assert node.map() == {}
    assert "was locked" in node.said()


@pytest.mark.skipif(not (shutil.which("make") and shutil.which("gcc")), reason="needs gcc and make")
def test_the_labs_nvidia_smi(node: Node) -> None:
    """The stand-in on the lab's hosts, on top of its own NVML: GPU 1 in two slices, their instances counted from 7."""
    source = HOOKS.parents[1] / "lab" / "fake_nvml"
    for name in ("fake_nvml.c", "Makefile"):
        shutil.copy(source / name, node.root)
    subprocess.run(["make", "-s", "-C", node.root, "libnvidia-ml.so.1"], check=True)
    (node.root / "nvml.conf").write_text("gpus = 3\nmig = 1\nmig_slices = 2\nmig_first_instance = 7\n")
    command = f"LD_LIBRARY_PATH={node.root} FAKE_NVML_CONF={node.root}/nvml.conf exec python3 {source}/nvidia-smi"
    node.program("nvidia-smi", f'#!/bin/sh\n{command} "$@"\n')
    listed = subprocess.run([node.bin / "nvidia-smi", "-L"], check=True, capture_output=True, text=True).stdout
    whole, sliced = (re.findall(rf"{kind}-[0-9a-f-]+", listed) for kind in ("GPU", "MIG"))
    node.run("prolog-dcgm", CUDA_VISIBLE_DEVICES=f"{whole[2]},{sliced[0]},{sliced[1]}")
    assert node.map() == {"2": ["42"], "1.7": ["42"], "1.8": ["42"]}
    node.run("prolog-jobstats", SLURM_JOB_GPUS="0")
    assert set(node.map(node.jobstats)) == {"0", whole[0]}


@pytest.mark.parametrize("job", ["", "abc", "-1", "4 2", "4\n2", "../0"])
def test_no_job_id(node: Node, job: str) -> None:
    node.run("prolog-dcgm", job, SLURM_JOB_GPUS="0")
    assert node.map() == {}
    assert "SLURM_JOB_ID is not a job id" in node.said()


def test_foreign_files_stay_as_they_are(node: Node) -> None:
    node.dcgm.mkdir()
    for name in ("README", "0.txt x", "7"):
        (node.dcgm / name).write_text("42 and more\n" if name == "README" else "x\n\ny")
    (node.dcgm / "9").mkdir()
    subprocess.run([HOOKS / "prolog-dcgm.sh"], env=node.environment(SLURM_JOB_GPUS="0"), check=True)
    subprocess.run([HOOKS / "epilog-dcgm.sh"], env=node.environment(), check=True)
    assert (node.dcgm / "README").read_text() == "42 and more\n"
    assert (node.dcgm / "7").read_text() == "x\n\ny"
    assert not (node.dcgm / "0").exists()


any_text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
gpu_word = st.one_of(
    st.integers(0, 7).map(str),
    st.tuples(st.integers(0, 7), st.integers(0, 12)).map(lambda pair: f"{pair[0]}-{pair[1]}"),
    st.sampled_from([*UUID, *SLICE]),
    any_text,
    st.sampled_from(
        ["*", "$(touch x)", "`id`", "..", "../0", "GPU-", "MIG-../x", "-rf", "007", "0-999999999", "9" * 40]
    ),
)


@settings(max_examples=200 if FULL else 25, deadline=None)
@given(
    hook=st.sampled_from(["prolog-jobstats", "prolog-dcgm"]),
    name=st.sampled_from(["SLURM_JOB_GPUS", "CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL"]),
    words=st.lists(gpu_word, max_size=6),
    uid=st.one_of(st.just("1000"), any_text),
)
def test_hostile_values(hook: str, name: str, words: list[str], uid: str) -> None:
    with tempfile.TemporaryDirectory() as root:
        node = Node(Path(root))
        before = {p.name for p in node.root.iterdir()}
        node.run(hook, **{name: ",".join(words), "SLURM_JOB_UID": uid})
        assert {p.name for p in node.root.iterdir()} - before <= {"asked", "journal"}
        assert {p.name for p in (node.root / "run").iterdir()} <= {"gpustat", "dcgm-job-map"}
        assert all(lines == ["42"] for lines in node.map().values())
        assert all(re.fullmatch(r"42( \d+)?", "\n".join(lines)) for lines in node.map(node.jobstats).values())
        node.run(hook.replace("prolog", "epilog"))
        assert node.map() == node.map(node.jobstats) == {}


@settings(max_examples=100 if FULL else 12, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["prolog", "epilog"]), st.sampled_from([1, 11, 111, 2]), st.sets(st.integers(0, 3))),
        max_size=14,
    )
)
def test_any_order_of_prologs_and_epilogs(steps: list[tuple[str, int, set[int]]]) -> None:
    owners: dict[int, set[int]] = {gpu: set() for gpu in range(4)}
    with tempfile.TemporaryDirectory() as root:
        node = Node(Path(root))
        for when, job, gpus in steps:
            node.run(f"{when}-dcgm", job, SLURM_JOB_GPUS=",".join(map(str, sorted(gpus))))
            if when == "epilog" or gpus:
                for jobs in owners.values():
                    jobs.discard(job)
            if when == "prolog":
                for gpu in gpus:
                    owners[gpu].add(job)
            seen = {name: sorted(ids) for name, ids in node.map().items()}
            assert seen == {str(gpu): sorted(map(str, jobs)) for gpu, jobs in owners.items() if jobs}


def test_64_prologs_and_64_epilogs_at_once(node: Node) -> None:
    """Over 8 GPUs with shards: no id lost, doubled or left, and never half a line for a reader."""
    gpus = {job: {job % 8, (job // 8 + job) % 8} for job in range(1000, 1064)}
    for _ in range(100 if FULL else 4):
        for when in ("prolog", "epilog"):
            running = [node.start(f"{when}-dcgm", job, SLURM_JOB_GPUS=",".join(map(str, gpus[job]))) for job in gpus]
            while any(process.poll() is None for process in running):
                for path in list(node.dcgm.glob("[0-9]*")):
                    try:
                        text = path.read_text()
                    except FileNotFoundError:
                        continue
                    assert re.fullmatch(r"(10\d\d\n)+", text)
                    assert len(set(text.split())) == len(text.split())
            assert [process.wait() for process in running] == [0] * 64
            assert {process.communicate()[1] for process in running} == {""}
            assert node.said() == ""
            seen = {name: sorted(ids) for name, ids in node.map().items()}
            expected = {str(gpu): sorted(str(job) for job in gpus if gpu in gpus[job]) for gpu in range(8)}
            assert seen == (expected if when == "prolog" else {})
    assert list(node.dcgm.iterdir()) == []
    assert node.said() == ""


def in_own_mounts(node: Node, commands: str, **values: str) -> None:
    """Runs shell commands as root of a mount namespace of their own; "$hooks" is the scripts' directory."""
    environment = node.environment(**values) | {"hooks": str(HOOKS), "PATH": f"{node.bin}:{os.environ['PATH']}"}
    subprocess.run(["unshare", "-m", "sh", "-ec", commands], env=environment, check=True, timeout=60)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")


@needs_root
def test_a_full_file_system(node: Node) -> None:
    node.dcgm.mkdir()
    in_own_mounts(
        node,
        """
        mount -t tmpfs -o size=16k tmpfs "$DCGM_JOB_MAP_DIR"
        SLURM_JOB_GPUS=0,1 SLURM_JOB_ID=41 "$hooks/prolog-dcgm.sh"
        ! head -c 100000 /dev/zero >"$DCGM_JOB_MAP_DIR/.filler" 2>/dev/null
        "$hooks/prolog-dcgm.sh"; echo $? >>"$GPUSTAT_DIR"
        for f in 0 1; do echo "$f" "$(cat "$DCGM_JOB_MAP_DIR/$f")"; done >>"$GPUSTAT_DIR"
        ls "$DCGM_JOB_MAP_DIR" >>"$GPUSTAT_DIR"
        SLURM_JOB_ID=41 "$hooks/epilog-dcgm.sh"
        ls "$DCGM_JOB_MAP_DIR" >>"$GPUSTAT_DIR"
        """,
        SLURM_JOB_GPUS="1,2",
    )
    assert node.jobstats.read_text() == "0\n0 41\n1 41\n0\n1\n"
    assert "full or read-only" in node.said()


@needs_root
def test_a_read_only_file_system(node: Node) -> None:
    node.run("prolog-dcgm", 41, SLURM_JOB_GPUS="0,1")
    node.run("prolog-dcgm", 42, SLURM_JOB_GPUS="1")
    in_own_mounts(
        node,
        """
        mount --bind "$DCGM_JOB_MAP_DIR" "$DCGM_JOB_MAP_DIR"
        mount -o remount,bind,ro "$DCGM_JOB_MAP_DIR"
        for hook in prolog epilog; do "$hooks/$hook-dcgm.sh"; echo $? >>"$GPUSTAT_DIR"; done 2>/dev/null
        DCGM_JOB_MAP_DIR=$DCGM_JOB_MAP_DIR/none "$hooks/prolog-dcgm.sh"; echo $? >>"$GPUSTAT_DIR"
        """,
        SLURM_JOB_GPUS="1,2",
    )
    assert node.jobstats.read_text() == "0\n0\n0\n"
    assert {name: sorted(ids) for name, ids in node.map().items()} == {"0": ["41"], "1": ["41", "42"]}
    assert node.said().count("full or read-only") == 2
    assert "Read-only file system" in node.said()
