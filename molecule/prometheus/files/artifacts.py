# SPDX-License-Identifier: GPL-3.0-or-later
"""artifacts.py DIRECTORY: an artifact directory with this machine's Prometheus in two versions.

The second is the first with a few bytes behind its end, which changes nothing but its checksum.
"""

from __future__ import annotations

import hashlib
import io
import os
import sys
import tarfile
from pathlib import Path

from ansible_collections.superpod.monitoring.plugins.module_utils import artifact_manifest
from ansible_collections.superpod.monitoring.plugins.module_utils.artifact_manifest import Artifact, Program
from prometheus_programs import prometheus, promtool

directory = Path(sys.argv[1])
directory.mkdir(exist_ok=True)
arch = artifact_manifest.MACHINES[os.uname().machine]
artifacts: tuple[Artifact, ...] = ()
for version, tail in (("2.42.0", b""), ("2.42.1", b"lab")):
    programs = {"prometheus": Path(prometheus()).read_bytes() + tail, "promtool": Path(promtool()).read_bytes()}
    file = f"prometheus-{version}.linux-{arch}.tar.gz"
    with tarfile.open(directory / file, "w:gz", compresslevel=1) as archive:
        for name, content in programs.items():
            entry = tarfile.TarInfo(f"prometheus/{name}")
            entry.size = len(content)
            entry.mode = 0o755
            archive.addfile(entry, io.BytesIO(content))
    packed = (directory / file).read_bytes()
    described = tuple(
        Program(name, f"prometheus/{name}", hashlib.sha256(content).hexdigest(), len(content))
        for name, content in sorted(programs.items())
    )
    artifact = Artifact("prometheus", version, arch, file, hashlib.sha256(packed).hexdigest(), len(packed), described)
    artifacts = artifact_manifest.replace(artifacts, artifact)
(directory / artifact_manifest.FILE_NAME).write_bytes(artifact_manifest.serialize(artifacts))
