# SPDX-License-Identifier: GPL-3.0-or-later
"""The artifact directory of the lab's site: what a real site fills with build_artifacts and download_artifacts.

It is made once in .cache and copied to each lab's head nodes.  Nothing in it is waited for on a network: exporters that
this machine has not got are the lab's stand-ins, in two versions each; node_exporter is the distribution's, taken from
the hosts' root file system.  `lab/superpod prepare --build NAME` adds what the collection's own playbook builds.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib
import importlib.machinery
import importlib.util
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .artifacts import GIVEN, Artifact
from .settings import CHECKOUT, LabError

CACHE = CHECKOUT / ".cache" / "artifacts"
STAND_INS = CHECKOUT / "lab" / "stand_ins"
# The version that playbooks/vars/artifacts.yml pins stands first.
VERSIONS = {
    "cgroup_exporter": ("0.3.4", "0.3.3"),
    "nvidia_gpu_prometheus_exporter": ("0.2.2-73b8cc4", "0.2.2"),
    "dcgm-exporter": ("4.5.3-4.8.2", "4.5.2-4.8.1"),
}
NODE_EXPORTER, NODE_EXPORTER_PINNED = "node_exporter", "1.12.1"
PACKAGE, PACKAGED_PROGRAM = "prometheus-node-exporter", "usr/bin/prometheus-node-exporter"
VERSION_LINE = re.compile(r'^VERSION = ".*"$', re.MULTILINE)
IMPORT_LINE = re.compile(r"^(?:import|from) (exposition|nvml)\b", re.MULTILINE)
BUILD_SECONDS = 900


@dataclass(frozen=True)
class Item:
    """One file to come: a program of that version, or an archive of it."""

    name: str
    version: str
    arch: str
    content: bytes
    origin: dict[str, str]


def collection(module: str) -> Any:
    """A module of plugins/module_utils; they need no Ansible."""
    package = "superpod_module_utils"
    if package not in sys.modules:
        spec = importlib.machinery.ModuleSpec(package, None, is_package=True)
        spec.submodule_search_locations = [str(CHECKOUT / "plugins" / "module_utils")]
        sys.modules[package] = importlib.util.module_from_spec(spec)
    return importlib.import_module(f"{package}.{module}")


def pack(name: str, version: str) -> bytes:
    """A stand-in as one executable file that says it is `version`, with the modules that it imports."""
    source, found = VERSION_LINE.subn(f'VERSION = "{version}"', (STAND_INS / name).read_text())
    if found != 1:
        raise LabError(f"lab/stand_ins/{name} must have one line VERSION = ..., not {found}.")
    texts, waiting = {"__main__": source}, IMPORT_LINE.findall(source)
    while waiting:
        module = waiting.pop()
        if module not in texts:
            texts[module] = (STAND_INS / f"{module}.py").read_text()
            waiting += IMPORT_LINE.findall(texts[module])
    packed = io.BytesIO(b"#!/usr/bin/env python3\n")
    packed.seek(0, io.SEEK_END)
    with zipfile.ZipFile(packed, "w") as archive:
        for module in sorted(texts):
            archive.writestr(zipfile.ZipInfo(f"{module}.py"), texts[module])  # a ZipInfo's date is always the same
    return packed.getvalue()


def exporters(environment: Mapping[str, str], cgroup_exporter: Artifact) -> list[Item]:
    """Every exporter for the DGX nodes: the real program where it is given or was obtained, and the stand-ins."""
    items = [
        Item(name, version, "any", pack(name, version), {"kind": "stand-in"})
        for name, versions in VERSIONS.items()
        for version in versions
    ]
    given = Path(environment[GIVEN]) if environment.get(GIVEN) else None
    real = {name: given / name for name in VERSIONS if given is not None and os.access(given / name, os.X_OK)}
    if cgroup_exporter.kind != "stand-in":
        real["cgroup_exporter"] = Path(cgroup_exporter.path)
    for name, path in real.items():
        version = VERSIONS[name][0]
        items = [item for item in items if (item.name, item.version) != (name, version)]
        content = path.read_bytes()
        arch = collection("artifact_archive").architecture(content)
        items.append(Item(name, version, str(arch), content, {"kind": cgroup_exporter.kind if not given else "given"}))
    return items


def packaged_node_exporter(image: Path) -> Path | None:
    """The distribution's package of it in the image's apt cache."""
    return next(iter(sorted((image / "var/cache/apt/archives").glob(f"{PACKAGE}_*.deb"))), None)


def unpack_package(package: Path, work: Path) -> Item:
    """node_exporter from its package, under upstream's version."""
    field = subprocess.run(["dpkg-deb", "-f", str(package), "Version"], capture_output=True, text=True, check=True)
    subprocess.run(["dpkg-deb", "-x", str(package), str(work)], check=True)
    debian = field.stdout.strip()
    content = (work / PACKAGED_PROGRAM).read_bytes()
    arch = str(collection("artifact_archive").architecture(content))
    origin = {"kind": "package", "package": PACKAGE, "version": debian}
    return Item(NODE_EXPORTER, re.split(r"[-+~]", debian.rpartition(":")[2])[0], arch, content, origin)


def provide(environment: Mapping[str, str], cgroup_exporter: Artifact, image: Path, target: Path) -> None:
    """Bring the cache's directory up to date and copy it to `target`."""
    with locked(CACHE):
        directory = refresh(environment, cgroup_exporter, image, CACHE)
        shutil.copytree(directory, target)


def prepare(environment: Mapping[str, str], cgroup_exporter: Artifact, image: Path, build: list[str]) -> None:
    """Bring the cache's directory up to date, and add what build_artifacts.yml builds of the names in `build`."""
    with locked(CACHE):
        directory = refresh(environment, cgroup_exporter, image, CACHE)
        if build:
            run_playbook(directory, build)


def refresh(environment: Mapping[str, str], cgroup_exporter: Artifact, image: Path, cache: Path) -> Path:
    """The artifact directory in the cache, made anew if what goes into it changed; what Go built stays."""
    directory, stamp = cache / "site", cache / "site.stamp"
    items, package = exporters(environment, cgroup_exporter), packaged_node_exporter(image)
    digest = hashlib.sha256(repr((items, package and (package.name, package.stat().st_size))).encode()).hexdigest()
    module = collection("artifact_directory")
    if stamp.is_file() and stamp.read_text() == digest and (directory / "manifest.json").is_file():
        return directory
    stamp.unlink(missing_ok=True)
    directory.mkdir(parents=True, exist_ok=True)
    forget(directory)
    with module.scratch(str(directory)) as work:
        if package is not None:
            items.append(unpack_package(package, Path(work) / "package"))
        for item in items:
            program = Path(work) / item.name
            program.write_bytes(item.content)
            program.chmod(0o755)
            archive = Path(work) / "archive"
            folder = f"{item.name}-{item.version}.linux-{item.arch}"
            module.write_tar(str(archive), {f"{folder}/{item.name}": str(program)}, gz=False)
            module.add(
                str(directory),
                (item.name, item.version, item.arch),
                str(archive),
                programs={item.name: item.name},
                suffix=".tar",
                origin=item.origin,
            )
    stamp.write_text(digest)
    return directory


def forget(directory: Path) -> None:
    """Empty an artifact directory, but for what Go built."""
    manifest = collection("artifact_manifest")
    try:
        known = collection("artifact_directory").load(str(directory))
    except Exception as error:  # noqa: BLE001 - the module's Failure: a class of a module that has no name here
        print(f"==> The lab's artifacts are made anew: {error}", file=sys.stderr)
        known = ()
    built = [artifact for artifact in known if artifact.origin.get("kind") == "go"]
    (directory / manifest.FILE_NAME).write_bytes(manifest.serialize(built))
    for path in directory.iterdir():
        if path.is_file() and path.name not in {manifest.FILE_NAME, *(artifact.file for artifact in built)}:
            path.unlink()


def run_playbook(directory: Path, names: list[str]) -> None:
    """Build with the collection's own playbook, on this machine."""
    python = Path(sys.executable).parent
    command = [str(python / "ansible-playbook"), str(CHECKOUT / "playbooks" / "build_artifacts.yml"), "-e"]
    command.append(json.dumps({"superpod_artifacts_dir": str(directory), "superpod_artifacts": names}))
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".collections")}
    try:
        done = subprocess.run(command, env=environment, stdout=sys.stderr, timeout=BUILD_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"{', '.join(names)} could not be built: {error}.") from error
    if done.returncode != 0:
        raise LabError(f"{', '.join(names)} could not be built; the reason stands above.")


def site_variables(directory: Path) -> str:
    """What group_vars must say, because the lab has another version than playbooks/vars/artifacts.yml pins."""
    artifacts = collection("artifact_directory").load(str(directory))
    machine = collection("artifact_manifest").MACHINES.get(platform.machine(), "any")
    there = [a.version for a in artifacts if a.name == NODE_EXPORTER and a.arch == machine]
    if not there or NODE_EXPORTER_PINNED in there:
        return ""
    return (
        "\n# What the lab has, since it builds nothing; a real site takes the version that the collection pins.\n"
        f'superpod_artifact_pins: {{{NODE_EXPORTER}: {{version: "{there[0]}"}}}}\n'
    )


@contextlib.contextmanager
def locked(cache: Path) -> Iterator[None]:
    """One at a time: labs side by side share the cache."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "site.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
