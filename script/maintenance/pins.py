# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's pinned versions, and what is newer.

Each pin is asked about by one ordinary client (go, pip, git, apt-cache) with this machine's own configuration. ``ask``
runs it, all else is pure. Where a source cannot be asked the line says so, in the client's own words.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
ARTIFACTS = "playbooks/vars/artifacts.yml"
SECONDS = 60


@dataclass(frozen=True)
class Pin:
    """A version and where newer ones are asked for.

    ``client`` is ``go``, ``pip``, ``apt``, ``tags`` or ``head`` (the last two are git's); ``source`` its module,
    package or repository; ``options`` more of its arguments.
    """

    name: str
    version: str
    file: str
    client: str
    source: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class NotAsked:
    reason: str


def command(pin: Pin) -> list[str]:
    """The question, as a command line."""
    return {
        "go": ["go", "list", "-m", "-versions", "-json", pin.source],
        "pip": [sys.executable, "-m", "pip", "index", "versions", pin.source, *pin.options],
        "apt": ["apt-cache", "madison", pin.source],
        "tags": ["git", "ls-remote", "--tags", "--refs", pin.source],
        "head": ["git", "ls-remote", pin.source, "HEAD"],
    }[pin.client]


def versions_in(client: str, output: str) -> list[str]:
    """The versions that a client's output names."""
    if client == "go":
        return list(json.loads(output).get("Versions", []))
    if client == "pip":
        found = re.search(r"^Available versions: (.*)$", output, re.MULTILINE)
        return found[1].split(", ") if found else []
    if client == "apt":
        return [line.split("|")[1].strip() for line in output.splitlines() if line.count("|") > 1]
    lines = [line.split("\t") for line in output.splitlines() if "\t" in line]
    return [line[0] for line in lines] if client == "head" else [line[1].removeprefix("refs/tags/") for line in lines]


def numbers(version: str) -> tuple[int, ...] | None:
    """A released version as numbers; None for a candidate, a version before modules (+incompatible), or a commit.

    dcgm-exporter's versions are two, of DCGM and of its own, joined by a dash.
    """
    plain = version.removeprefix("v")
    if not re.fullmatch(r"\d+(\.\d+)+(-\d+(\.\d+)+)?", plain):
        return None
    return tuple(int(part) for part in re.split(r"[.-]", plain))


def base(version: str) -> tuple[int, ...]:
    """The release that a pinned version is or follows (0.2.2-73b8cc4 follows 0.2.2)."""
    found = numbers(version) or numbers(version.rsplit("-", 1)[0])
    if found is None:
        raise ValueError(f"{version} is no version that can be compared")
    return found


def newer(pin: Pin, versions: Iterable[str]) -> list[str]:
    """What is newer than the pin: the last of its own line (the same first two numbers), and the last of all.

    Of a Go module only the same first number counts, since another is another module or comes from before modules.
    """
    if pin.client == "head":
        return [version for version in versions if version != pin.version]
    here = base(pin.version)
    known = [(found, version) for version in versions if (found := numbers(version)) and found > here]
    if pin.client == "go":
        known = [(found, version) for found, version in known if found[0] == here[0]]
    line = [each for each in known if each[0][:2] == here[:2]]
    return list(dict.fromkeys(max(each)[1] for each in (line, known) if each))


def artifact_pins(artifacts: Mapping[str, Any], jobstats_url: str) -> Iterable[Pin]:
    """Pins of what is installed on hosts."""
    for name, pin in artifacts.items():
        version = pin["version"]
        if name == "grafana":
            yield Pin(name, version, ARTIFACTS, "apt", "grafana")
        elif name == "jobstats":
            yield Pin(name, version, ARTIFACTS, "head", jobstats_url)
        elif pin["go"].get("module_version") == version:  # tags that Go does not take for versions
            yield Pin(name, version, ARTIFACTS, "tags", f"https://{pin['go']['module']}.git")
        else:
            of_module = pin["go"].get("module_version", "")
            module_version = of_module if numbers(of_module) else version
            yield Pin(name, module_version, ARTIFACTS, "go", pin["go"]["module"])


def package_pins(file: str, text: str) -> Iterable[Pin]:
    """Pins of a requirements file that people write (``name==version``)."""
    for line in text.splitlines():
        found = re.match(r"([A-Za-z0-9_-]+)==([0-9.]+)", line)
        if found:
            yield Pin(found[1], found[2], file, "pip", found[1])


def matrix_pins(file: str, text: str) -> Iterable[Pin]:
    """Releases of ansible-core that the tests run with, each with the newest Python it is tried with."""
    releases: dict[str, str] = {}
    for release, python in re.findall(r'"([0-9.]+) (3\.[0-9]+)"', text):
        releases.setdefault(release, python)
    for release, python in releases.items():
        yield Pin("ansible-core", release, file, "pip", "ansible-core", ("--python-version", python))


def pins(root: Path) -> list[Pin]:
    """All pins of a tree. Not among them: requirements/dev.txt, which is made anew as a whole."""

    def read(name: str) -> str:
        return (root / name).read_text(encoding="utf-8")

    jobstats = yaml.safe_load(read("roles/jobstats/defaults/main.yml"))
    return [
        *artifact_pins(yaml.safe_load(read(ARTIFACTS))["_superpod_artifact_pins"], jobstats["jobstats_git_url"]),
        *(pin for file in ("requirements/dev.in", "requirements/go.txt") for pin in package_pins(file, read(file))),
        *matrix_pins("script/matrix", read("script/matrix")),
    ]


def ask(pin: Pin) -> list[str] | NotAsked:
    """Run the client; never raises for what it says."""
    words = command(pin)
    environment = os.environ | {"GIT_TERMINAL_PROMPT": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, timeout=SECONDS, env=environment, cwd="/"
        )
    except FileNotFoundError:
        return NotAsked(f"{words[0]} is not installed")
    except subprocess.TimeoutExpired:
        return NotAsked(f"{words[0]} gave no answer in {SECONDS} s")
    if done.returncode != 0:
        said = (done.stderr.strip() or f"{words[0]} ended with {done.returncode}").splitlines()
        return NotAsked(said[-1].strip())
    found = versions_in(pin.client, done.stdout)
    return found or NotAsked(f"{words[0]} knows no version of {pin.source}")


def lines(asked: Iterable[Pin], answer: Callable[[Pin], list[str] | NotAsked]) -> Iterable[str]:
    """One line for each pin: name, version, what is newer, where it stands."""
    for pin in asked:
        found = answer(pin)
        if isinstance(found, NotAsked):
            said = f"not asked: {found.reason}"
        else:
            said = " or ".join(newer(pin, found)) or "nothing newer"
        yield f"{pin.name:<31} {pin.version[:16]:<16} {said}  ({pin.file})"


def main(arguments: list[str] | None = None) -> int:
    """The exit code, 0."""
    parser = argparse.ArgumentParser(prog="script/pins", description="Says what is newer than the pinned versions.")
    parser.parse_args(arguments)
    for line in lines(pins(ROOT), ask):
        print(line, flush=True)
    print("requirements/dev.txt: made anew as a whole, by the command at the head of requirements/dev.in")
    return 0


if __name__ == "__main__":
    sys.exit(main())
