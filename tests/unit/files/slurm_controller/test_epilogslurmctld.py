# SPDX-License-Identifier: GPL-3.0-or-later
"""The job-summary epilog, run as slurmctld runs it: as a program, with a job's variables and not even PATH.

What must hold whatever happens: exit status 0, what was there before is run, one line in the journal says what is
missing.  jobstats, sacctmgr and logger are stand-ins that write down how they were called.
"""

from __future__ import annotations

import os
import subprocess
import time
import typing as t
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[4] / "files/slurm_controller/epilogslurmctld.sh"
PAYLOAD = "H4sIAAwAAGsC/1WOQQ6D+bp=="
JOB = {"SLURM_JOB_ID": "42", "SLURM_JOB_UID": "1000", "SLURM_CLUSTER_NAME": "slurm"}


class Controller:
    """A host with the epilog, its settings and the programs that it calls."""

    def __init__(self, root: Path, name: str = "epilogslurmctld-slurm") -> None:
        self.root = root
        self.name = name
        self.calls = root / "calls"
        self.calls.touch()
        text = SCRIPT.read_text(encoding="utf-8")
        for word in ("/etc/jobstats", " logger "):
            assert word in text
        text = text.replace("/etc/jobstats", f"{root}/etc").replace(" logger ", f" {root}/bin/logger ")
        self.script = self.write(f"{name}.sh", text)
        self.settings: dict[str, t.Any] = {
            "previous": "",
            "cluster": "slurm",
            "jobstats_dir": f"{root}/jobstats",
            "slurm_path": f"{root}/slurm",
            "slurm_conf": f"{root}/slurm.conf",
            "store": "admincomment",
            "settle_seconds": 0,
            "summary_seconds": 1,
            "store_seconds": 1,
        }
        log = f"""case $4 in daemon.warning|daemon.info) shift 5; echo "$*" >>{root}/journal ;; esac"""
        self.write("bin/logger", f"#!/bin/sh\n{log}\n")
        self.program("jobstats/jobstats", f"echo {PAYLOAD}")
        self.program("slurm/sacctmgr", "")

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
        return path

    def program(self, name: str, body: str) -> Path:
        """A program that writes down its arguments before it does what `body` says."""
        return self.write(name, f'#!/bin/sh\necho "{Path(name).name} $*" >>{self.calls}\n{body}\n')

    def run(self, configured: bool = True, **variables: str) -> list[str]:
        """Run the epilog; the calls in their order."""
        if configured:
            lines = "".join(f"{key}='{value}'\n" for key, value in self.settings.items())
            self.write(f"etc/{self.name}.conf", lines)
        ended = subprocess.run(
            [str(self.script)], env={**JOB, **variables}, cwd=self.root, capture_output=True, check=False, timeout=30
        )
        assert ended.returncode == 0
        return self.calls.read_text(encoding="utf-8").splitlines()

    @property
    def journal(self) -> str:
        path = self.root / "journal"
        return path.read_text(encoding="utf-8").strip() if path.exists() else ""


@pytest.fixture
def controller(tmp_path: Path) -> Controller:
    return Controller(tmp_path)


def test_a_summary_is_made_and_stored(controller: Controller) -> None:
    assert controller.run() == [
        "jobstats -f -b 42",
        f"sacctmgr -i update job where jobid=42 set AdminComment=JS1:{PAYLOAD}",
    ]
    assert controller.journal == f"job 42: summary stored ({len(PAYLOAD)} characters)"


@pytest.mark.parametrize("word", ["Short", "None"])
def test_that_there_is_nothing_to_summarise_is_stored_too(controller: Controller, word: str) -> None:
    controller.program("jobstats/jobstats", f"echo {word}")
    assert controller.run()[1].endswith(f"AdminComment=JS1:{word}")


@pytest.mark.parametrize(
    ("job", "array", "task", "stored"),
    [("42", "42", "3", "42_3"), ("41", "42", "2", "41"), ("42", "", "", "42")],
)
def test_a_task_of_an_array_does_not_stand_for_all(
    controller: Controller, job: str, array: str, task: str, stored: str
) -> None:
    more = {"SLURM_ARRAY_JOB_ID": array, "SLURM_ARRAY_TASK_ID": task} if array else {}
    calls = controller.run(SLURM_JOB_ID=job, **more)
    assert calls[0] == f"jobstats -f -b {stored}"
    assert f" jobid={stored} " in calls[1]


def test_the_database_gets_the_number_and_the_cluster(controller: Controller) -> None:
    controller.settings["store"] = "database"
    controller.program("jobstats/store_jobstats.py", "")
    calls = controller.run(SLURM_JOB_ID="42", SLURM_ARRAY_JOB_ID="42", SLURM_ARRAY_TASK_ID="3")
    assert calls[1:] == [f"store_jobstats.py --cluster=slurm --jobid=42 --stats=JS1:{PAYLOAD}"]


def test_what_was_there_before_runs_first_and_as_slurm_ran_it(controller: Controller) -> None:
    one = controller.program("site/one.sh", f"/usr/bin/env >{controller.root}/one")
    two = controller.program("site/two.sh", "exit 7")
    controller.settings["previous"] = f"{one}\n{two}"
    calls = controller.run()
    assert [call.split()[0] for call in calls] == ["one.sh", "two.sh", "jobstats", "sacctmgr"]
    given = set((controller.root / "one").read_text(encoding="utf-8").splitlines())
    assert {f"{key}={value}" for key, value in JOB.items()} <= given
    assert not [line for line in given if line.startswith(("PATH=", "LC_ALL="))]
    assert f"from before ended with an error: {two} (status 7)" in controller.journal
    assert "summary stored" in controller.journal


def test_it_does_not_run_itself(controller: Controller) -> None:
    controller.settings["previous"] = controller.script
    assert len(controller.run()) == 2


def test_slurms_programs_are_found_and_its_configuration(controller: Controller) -> None:
    controller.write("slurm.conf", "")
    controller.program("jobstats/jobstats", f'echo "$PATH $SLURM_CONF" >{controller.root}/seen; echo Short')
    controller.run()
    path, conf = (controller.root / "seen").read_text(encoding="utf-8").split()
    assert path.split(":")[0] == f"{controller.root}/slurm"
    assert {"/usr/bin", "/bin"} <= set(path.split(":"))
    assert conf == f"{controller.root}/slurm.conf"
    controller.run(SLURM_CONF="/given/slurm.conf")
    assert (controller.root / "seen").read_text(encoding="utf-8").split()[1] == "/given/slurm.conf"


def test_warnings_of_libraries_are_no_summary(controller: Controller) -> None:
    controller.program("jobstats/jobstats", f"echo 'a warning' >&2; echo {PAYLOAD}; echo 'another' >&2")
    assert controller.run()[1].endswith(PAYLOAD)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("echo 'Prometheus does not answer' >&2; exit 1", "jobstats ended with 1: Prometheus does not answer"),
        ("exec sleep 20", "jobstats did not end in 1 s"),
        ("echo 'H4s;rm -rf /'", "jobstats said what is none: H4s;rm -rf /"),
        ("echo 'Job 42: no data'", "jobstats said what is none: Job 42: no data"),
        ("true", "jobstats said what is none"),
        ("exec /nowhere", "cannot be run"),
    ],
)
def test_no_summary_is_said_and_nothing_stored(controller: Controller, body: str, said: str) -> None:
    controller.program("jobstats/jobstats", body)
    assert controller.run() == ["jobstats -f -b 42"]
    assert controller.journal.startswith("job 42: no summary: ")
    assert said in controller.journal
    assert "\n" not in controller.journal


def test_jobstats_is_missing(controller: Controller) -> None:
    (controller.root / "jobstats/jobstats").unlink()
    assert controller.run() == []
    assert f"{controller.root}/jobstats/jobstats cannot be run" in controller.journal


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("echo 'slurmdbd is down' >&2; exit 1", "sacctmgr ended with 1: slurmdbd is down"),
        ("exec sleep 20", "sacctmgr did not end in 1 s"),
    ],
)
def test_a_summary_that_cannot_be_stored_is_said(controller: Controller, body: str, said: str) -> None:
    controller.program("slurm/sacctmgr", body)
    controller.run()
    assert controller.journal == f"job 42: summary not stored: {said}"


def test_it_is_bounded_in_time_with_all_that_it_started(controller: Controller) -> None:
    controller.program(
        "jobstats/jobstats", f"trap '' TERM; sleep 30 & echo $! >{controller.root}/child; wait; sleep 30"
    )
    began = time.monotonic()
    controller.run()
    assert time.monotonic() - began < 15  # and not 30: the limit is 1 s, and 2 s until it is enforced
    child = int((controller.root / "child").read_text(encoding="utf-8"))
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and os.path.exists(f"/proc/{child}"):
        if "Z (zombie)" in Path(f"/proc/{child}/status").read_text(encoding="utf-8"):
            break
        time.sleep(0.05)
    else:
        assert not os.path.exists(f"/proc/{child}")


@pytest.mark.parametrize("text", [None, "", "previous="])
def test_without_settings_it_says_so(controller: Controller, text: str | None) -> None:
    if text is not None:
        controller.write("etc/epilogslurmctld-slurm.conf", text)
    assert controller.run(configured=False) == []
    assert "nothing done:" in controller.journal
    assert "epilogslurmctld-slurm.conf is not there" in controller.journal


def test_without_a_journal_it_still_works(controller: Controller) -> None:
    (controller.root / "bin/logger").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    assert len(controller.run()) == 2


@pytest.mark.parametrize("job", ["", "x", "1;2"])
def test_what_is_no_job_is_left_alone(controller: Controller, job: str) -> None:
    assert controller.run(SLURM_JOB_ID=job) == []
    assert "SLURM_JOB_ID is not a job's number" in controller.journal


def test_instances_on_one_host_have_settings_of_their_own(tmp_path: Path) -> None:
    other = Controller(tmp_path, name="epilogslurmctld-other")
    assert len(other.run()) == 2
    assert (tmp_path / "etc/epilogslurmctld-other.conf").exists()


class Ingesting(Controller):
    """With a Slurm that is asked for jobs without a summary: `jobs` are rows of sacct, ages in seconds for times."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.settings |= {"ingest_hours": 24, "ingest_jobs": 1000}
        self.program("slurm/scontrol", f"echo 'Slurmctld(primary) at {os.uname().nodename.split('.')[0]} is UP'")
        self.jobs("42|42|100|50|")

    def jobs(self, *rows: str) -> None:
        """jobidraw, jobid, ages of start and end, admincomment."""
        lines = []
        for row in rows:
            raw, job, start, end, comment = row.split("|")
            ages = [str(int(time.time()) - int(age)) if age.isdigit() else age for age in (start, end)]
            lines.append("|".join([raw, job, *ages, comment]))
        self.write("sacct.out", "\n".join([*lines, ""]))
        self.program("slurm/sacct", f'[ "$SLURM_TIME_FORMAT" = %s ] && cat {self.root}/sacct.out')

    def ingest(self, status: int = 0, **variables: str) -> list[str]:
        """Run it as the timer does; the calls of jobstats and of what stores."""
        self.calls.write_text("", encoding="utf-8")
        lines = "".join(f"{key}='{value}'\n" for key, value in self.settings.items())
        self.write(f"etc/{self.name}.conf", lines)
        ended = subprocess.run(
            [str(self.script), "--ingest"], env=variables, cwd=self.root, capture_output=True, check=False, timeout=30
        )
        assert ended.returncode == status, ended
        calls = self.calls.read_text(encoding="utf-8").splitlines()
        return [call for call in calls if not call.startswith(("scontrol ", "sacct "))]


@pytest.fixture
def ingesting(tmp_path: Path) -> Ingesting:
    return Ingesting(tmp_path)


def test_a_late_summary_is_made_and_stored(ingesting: Ingesting) -> None:
    site = ingesting.program("site/one.sh", "")
    ingesting.settings |= {"previous": site, "ingest_hours": 7}
    assert ingesting.ingest() == [
        "jobstats -f -b 42",
        f"sacctmgr -i update job where jobid=42 set AdminComment=JS1:{PAYLOAD}",
    ]
    assert "--starttime=now-7hours" in ingesting.calls.read_text(encoding="utf-8")
    assert ingesting.journal.splitlines() == [
        f"job 42: summary stored ({len(PAYLOAD)} characters)",
        "1 of 1 jobs without summary have one now",
    ]


def test_only_jobs_that_are_over_and_have_none_get_one(ingesting: Ingesting) -> None:
    ingesting.jobs(
        "1|1|100|50|JS1:Short",
        "2|2|100|50|the site's own comment",
        "3|3|100|Unknown|",  # runs
        "4|4|None|50|",  # was cancelled before it ran
        "5|5|100|1|",  # its epilog may be at work
        "6.batch|6.batch|100|50|",
        "a|line of a comment with|100|50|",
        "7|7|100|50|",
    )
    assert [call.split()[-1] for call in ingesting.ingest() if call.startswith("jobstats")] == ["7"]


def test_a_job_of_an_array_is_asked_for_as_its_epilog_would(ingesting: Ingesting) -> None:
    ingesting.jobs("42|42_9|100|50|", "43|42_8|100|50|", "50|50+0|100|50|", "51|50+1|100|50|")
    asked = sorted(call.split()[-1] for call in ingesting.ingest() if call.startswith("jobstats"))
    assert asked == ["42_9", "43", "50", "51"]


def test_not_more_than_the_most(ingesting: Ingesting) -> None:
    ingesting.settings["ingest_jobs"] = 3
    ingesting.jobs(*(f"{number}|{number}|100|50|" for number in range(10, 20)))
    assert len(ingesting.ingest()) == 6


def test_nothing_to_do_is_not_worth_a_word(ingesting: Ingesting) -> None:
    ingesting.jobs()
    assert ingesting.ingest() == []
    assert ingesting.journal == ""


def test_it_gives_up_when_nothing_works(ingesting: Ingesting) -> None:
    ingesting.jobs(*(f"{number}|{number}|100|50|" for number in range(10, 20)))
    ingesting.program("jobstats/jobstats", "echo 'Prometheus does not answer' >&2; exit 1")
    assert len(ingesting.ingest(status=1)) == 5
    assert "given up until the next time, after 5 jobs in a row" in ingesting.journal
    assert "0 of 10 jobs" in ingesting.journal


def test_one_job_without_success_is_not_in_the_way_of_others(ingesting: Ingesting) -> None:
    ingesting.jobs(*(f"{number}|{number}|100|50|" for number in range(10, 20)))
    ingesting.program("jobstats/jobstats", f"case $3 in *[02468]) exit 1 ;; esac; echo {PAYLOAD}")
    stored = sorted(call for call in ingesting.ingest() if call.startswith("sacctmgr"))
    assert len(stored) == 5
    assert "5 of 10 jobs" in ingesting.journal


@pytest.mark.parametrize(
    "says",
    [
        "Slurmctld(primary) at elsewhere is UP\nSlurmctld(backup) at {here} is UP",
        "Slurmctld(primary) at {here} is DOWN\nSlurmctld(backup) at elsewhere is UP",
        "Slurmctld(primary) at {here} is DOWN",
    ],
)
def test_another_controller_is_in_charge(ingesting: Ingesting, says: str) -> None:
    said = says.format(here=os.uname().nodename.split(".")[0])
    ingesting.program("slurm/scontrol", f"echo '{said}'")
    assert ingesting.ingest() == []
    assert ingesting.journal == ""


def test_the_backup_does_it_when_it_is_in_charge(ingesting: Ingesting) -> None:
    here = os.uname().nodename.split(".")[0]
    said = f"Slurmctld(primary) at elsewhere is DOWN\nSlurmctld(backup) at {here}.cluster is UP"
    ingesting.program("slurm/scontrol", f"echo '{said}'")
    assert len(ingesting.ingest()) == 2


def test_accounting_does_not_answer(ingesting: Ingesting) -> None:
    ingesting.program("slurm/sacct", "echo 'slurmdbd is down' >&2; exit 1")
    assert ingesting.ingest(status=1) == []
    assert ingesting.journal == "nothing done: sacct ended with 1: slurmdbd is down"


def test_without_settings_there_is_nothing_to_ingest(ingesting: Ingesting) -> None:
    ingesting.settings = {"cluster": "slurm"}
    assert ingesting.ingest(status=1) == []
    assert "is not a complete one" in ingesting.journal


DATABASE = """
class JobstatsDBHandler:
    def get_external_connection(self):
        return self
    cursor = get_external_connection
    def execute(self, query, arguments):
        self.rows = [] if arguments != ("slurm", 10) else [(11,), (13,)]
    def fetchall(self):
        return self.rows
"""


def test_the_database_says_which_jobs_it_has(ingesting: Ingesting) -> None:
    ingesting.settings["store"] = "database"
    ingesting.program("jobstats/store_jobstats.py", "")
    ingesting.write("jobstats/db_handler.py", DATABASE)
    ingesting.jobs("10|10|100|50|a comment", "11|11|100|50|", "13|12_1|100|50|", "12|12_2|100|50|JS1:Short")
    stored = sorted(call for call in ingesting.ingest() if call.startswith("store"))
    assert [call.split()[2] for call in stored] == ["--jobid=10", "--jobid=12"]


def test_the_database_does_not_answer(ingesting: Ingesting) -> None:
    ingesting.settings["store"] = "database"
    ingesting.write("jobstats/db_handler.py", "raise RuntimeError('no database')")
    assert ingesting.ingest(status=1) == []
    assert "the database of summaries does not answer: RuntimeError: no database" in ingesting.journal
