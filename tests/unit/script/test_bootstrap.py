# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable
from subprocess import CompletedProcess

Run = Callable[..., "CompletedProcess[str]"]


def test_an_unknown_option_is_refused(run: Run) -> None:
    done = run("script/bootstrap", "--everything")
    assert done.returncode == 2
    assert done.stderr.startswith("script/bootstrap [--no-image]")


def test_who_is_not_root_cannot_install(run: Run, fake: Callable[..., None]) -> None:
    fake(id="echo 1000", **{"dpkg-query": "exit 1"})
    done = run("script/bootstrap", "--no-image")
    assert done.returncode == 2
    assert "root is needed to install git shellcheck" in done.stderr


def test_an_old_python(run: Run, fake: Callable[..., None]) -> None:
    fake(python3='case "$*" in -V) echo Python 3.8.1;; *version_info*) exit 1;; esac')
    done = run("script/bootstrap", "--no-image")
    assert done.returncode == 2
    assert done.stderr == "script/bootstrap: Python 3.8.1 is too old; Python 3.10 or newer is needed.\n"


def test_apt_that_does_not_work(run: Run, fake: Callable[..., None]) -> None:
    fake(**{"dpkg-query": "exit 1", "apt-get": 'echo "E: no network" >&2; exit 100'})
    done = run("script/bootstrap", "--no-image")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "==> Fetching the lists of Debian packages",
        "E: no network",
        "script/bootstrap: apt-get update failed (see above); the machine needs a working apt source.",
    ]
