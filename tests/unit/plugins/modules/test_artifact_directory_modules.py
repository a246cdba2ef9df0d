# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules that fill an artifact directory: artifact_download, artifact_build, artifact_bundle.

Files come from a web server on loopback, modules from a stand-in for the go command, which a test with the real one
(SUPERPOD_TEST_FULL=1) keeps honest.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils import artifact_directory
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure
from ansible_collections.superpod.monitoring.plugins.modules import artifact_build, artifact_download
from artifact_site import Site, elf, tar_gz
from unit.plugins.modules.ansible_run import Task, play

FULL = os.environ.get("SUPERPOD_TEST_FULL") == "1"


class Quiet(SimpleHTTPRequestHandler):
    """Serves files; one name breaks off in the middle, as a bad line does."""

    def do_GET(self) -> None:
        if self.path != "/broken.tar.gz":
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"half")
        return None

    def end_headers(self) -> None:
        # as some web servers call what ends in .gz, whoever asks for it
        if self.path.endswith(".gz"):
            self.send_header("Content-Encoding", "gzip")
        super().end_headers()

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server's URL and its directory."""
    directory = tmp_path / "mirror"
    directory.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(directory)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", directory
    server.shutdown()
    thread.join()
    server.server_close()


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def parameters(module: Any, /, **given: Any) -> dict[str, Any]:
    return {name: option.get("default") for name, option in module.ARGUMENTS.items()} | given


def listed(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir()) if directory.exists() else []


# ---------------------------------------------------------------------------------------------------------- download


@pytest.fixture
def release(tmp_path: Path, mirror: tuple[str, Path]) -> dict[str, Any]:
    """Parameters that fetch a release of `tool` from the mirror."""
    url, directory = mirror
    tar_gz(directory / "tool.tar.gz", {"tool-1.0/tool": elf("amd64", "tool"), "tool-1.0/README": b"x"})
    return parameters(
        artifact_download,
        artifacts_dir=str(tmp_path / "artifacts"),
        name="tool",
        version="1.0",
        arch="amd64",
        url=f"{url}/tool.tar.gz",
        programs={"tool": "tool"},
        sha256=sha256(directory / "tool.tar.gz"),
    )


def downloaded(params: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return artifact_download.run(params | changes, check_mode=False)


def refused(params: dict[str, Any], code: str, **changes: Any) -> Failure:
    """It fails with that code, in one sentence, and the artifact directory is as it was before."""
    directory = Path(params["artifacts_dir"])
    before = {name: (directory / name).read_bytes() for name in listed(directory)}
    with pytest.raises(Failure) as raised:
        downloaded(params, **changes)
    assert raised.value.code == code
    assert "\n" not in raised.value.message
    assert {name: (directory / name).read_bytes() for name in listed(directory)} == before
    return raised.value


def test_a_pinned_file_is_taken_once_and_then_needs_no_network(
    release: dict[str, Any], mirror: tuple[str, Path]
) -> None:
    first = downloaded(release)
    assert first["changed"] is True
    assert first["artifact"]["file"] == "tool-1.0.linux-amd64.tar.gz"
    assert first["artifact"]["programs"]["tool"]["member"] == "tool-1.0/tool"
    assert first["artifact"]["origin"] == {"kind": "download", "url": release["url"], "trust": "pinned"}
    (mirror[1] / "tool.tar.gz").unlink()
    assert downloaded(release) == {"changed": False, "artifact": first["artifact"]}
    assert listed(Path(release["artifacts_dir"])) == ["manifest.json", "tool-1.0.linux-amd64.tar.gz"]


def test_a_half_written_file_is_taken_again(release: dict[str, Any]) -> None:
    downloaded(release)
    file = Path(release["artifacts_dir"]) / "tool-1.0.linux-amd64.tar.gz"
    whole = file.read_bytes()
    file.write_bytes(whole[:50])
    assert downloaded(release)["changed"] is True
    assert file.read_bytes() == whole


def test_what_is_not_the_expected_file_is_not_kept(release: dict[str, Any], mirror: tuple[str, Path]) -> None:
    url, directory = mirror
    wrong = refused(release, "bad_checksum", sha256="0" * 64)
    assert wrong.details == {"expected": "0" * 64, "found": release["sha256"]}
    assert refused(release, "bad_name", sha256="abc").message.endswith("must be 64 hexadecimal digits")
    refused(release, "no_checksum", sha256=None)
    refused(release, "wrong_architecture", arch="arm64")
    refused(release, "bad_archive", programs={"tool": "other"})
    refused(release, "bad_name", name="../tool")
    refused(release, "bad_name", version="1/0")
    refused(release, "download", url=f"{url}/missing.tar.gz")
    assert "broke off" in refused(release, "download", url=f"{url}/broken.tar.gz").message
    refused(release, "download", url="http://127.0.0.1:1/closed.tar.gz")
    (directory / "text.tar.gz").write_bytes(b"<html>please log in</html>")
    refused(release, "wrong_architecture", url=f"{url}/text.tar.gz", sha256=sha256(directory / "text.tar.gz"))
    # and the same over a version that is there
    downloaded(release)
    refused(release, "bad_checksum", sha256="0" * 64)


def test_an_accepted_checksum_is_a_pin_from_then_on(release: dict[str, Any], mirror: tuple[str, Path]) -> None:
    release = release | {"sha256": None}
    assert downloaded(release, accept_checksum=True)["artifact"]["origin"]["trust"] == "accepted"
    assert downloaded(release)["changed"] is False
    tar_gz(mirror[1] / "tool.tar.gz", {"tool-1.0/tool": elf("amd64", "another")})
    (Path(release["artifacts_dir"]) / "tool-1.0.linux-amd64.tar.gz").unlink()
    for accept in (False, True):
        refused(release, "bad_checksum", accept_checksum=accept)


def test_a_password_in_the_url_stays_out_of_manifest_and_messages(release: dict[str, Any]) -> None:
    secret = release["url"].replace("//", "//user:geheim@")
    assert "geheim" not in json.dumps(downloaded(release, url=secret))
    assert "geheim" not in str(refused(release, "bad_checksum", url=secret, sha256="0" * 64))
    assert "geheim" not in str(refused(release, "download", url=secret + "x", sha256="0" * 64))


def test_a_bare_program_from_this_machine(tmp_path: Path) -> None:
    (tmp_path / "built").write_bytes(elf("arm64", "tool"))
    result = downloaded(
        parameters(
            artifact_download,
            artifacts_dir=str(tmp_path / "artifacts"),
            name="tool",
            version="1.0",
            arch="arm64",
            url=f"file://{tmp_path}/built",
            programs={"tool": "built"},
            accept_checksum=True,
        )
    )
    assert (result["artifact"]["file"], result["artifact"]["programs"]["tool"]["member"]) == (
        "tool-1.0.linux-arm64",
        "",
    )


# ------------------------------------------------------------------------------------------------------------- build

GO = f"""#!{sys.executable}
import json, os, sys
here = os.path.dirname(os.path.abspath(__file__))
arguments = sys.argv[1:]
print(*arguments, file=open(here + "/calls", "a"))
if arguments[0] == "mod":
    module, version = arguments[-1].split("@")
    if module.endswith("/nothing"):
        print(json.dumps({{"Path": module, "Error": module + ": 403 Forbidden"}}))
        sys.exit(1)
    print(json.dumps({{"Version": version, "Sum": open(here + "/sum").read(), "Dir": here + "/source"}}))
elif arguments[0] == "env":
    print({{"GOVERSION": "go1.26.8", "GOSUMDB": "sums.example.com"}}[arguments[1]])
elif arguments[0] == "build":
    assert os.getcwd() == os.path.realpath(here + "/source"), os.getcwd()
    if arguments[-1] == "./broken":
        print("main.go:1:1: expected 'package'", file=sys.stderr)
        sys.exit(1)
    machine = {{"amd64": 62, "arm64": 183}}[os.environ["GOARCH"]].to_bytes(2, "little")
    said = " ".join(arguments[:-3] + [arguments[-1], os.environ["GOOS"], "cgo=" + os.environ["CGO_ENABLED"]])
    with open(arguments[arguments.index("-o") + 1], "wb") as file:
        file.write(b"\\x7fELF\\x02\\x01\\x01" + bytes(9) + b"\\x02\\x00" + machine + said.encode())
    os.chmod(file.name, 0o755)
"""


def runner(command: list[str], cwd: str | None, changes: dict[str, str]) -> tuple[int, str, str]:
    done = subprocess.run(command, cwd=cwd, env=os.environ | changes, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


class Builder:
    """A machine with a go command that knows one module."""

    def __init__(self, tmp_path: Path) -> None:
        self.directory = tmp_path / "go"
        self.source = self.directory / "source"
        self.source.mkdir(parents=True)
        (self.source / "LICENSE").write_text("Apache")
        (self.directory / "sum").write_text("h1:right=")
        self.command = self.directory / "go"
        self.command.write_text(GO)
        self.command.chmod(0o755)
        self.artifacts = tmp_path / "artifacts"
        self.params = parameters(
            artifact_build,
            artifacts_dir=str(self.artifacts),
            name="tool",
            version="1.0",
            arch="amd64",
            module="example.org/tool",
            sum="h1:right=",
            programs={"tool": "."},
        )

    def run(self, check_mode: bool = False, command: str | None = "", **changes: Any) -> dict[str, Any]:
        go = artifact_build.Go(str(self.command) if command == "" else command, {}, runner)
        return artifact_build.run(self.params | changes, check_mode, go)

    def calls(self) -> list[str]:
        path = self.directory / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def refused(self, code: str, **changes: Any) -> Failure:
        before = listed(self.artifacts)
        with pytest.raises(Failure) as raised:
            self.run(**changes)
        assert (raised.value.code, listed(self.artifacts)) == (code, before)
        assert "\n" not in raised.value.message
        return raised.value


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    return Builder(tmp_path)


def test_built_once_for_each_architecture_and_then_without_go(builder: Builder) -> None:
    for arch in ("amd64", "arm64"):
        result = builder.run(arch=arch, ldflags="-X main.version=1.0", cgo=arch == "amd64")
        assert result["changed"] is True
        assert result["artifact"]["origin"] == {
            "kind": "go",
            "module": "example.org/tool",
            "query": "v1.0",
            "module_version": "v1.0",
            "sum": "h1:right=",
            "trust": "pinned",
            "checksum_database": "sums.example.com",
            "toolchain": "go1.26.8",
            "cgo": arch == "amd64",
            "ldflags": "-X main.version=1.0",
        }
        assert builder.run(arch=arch, ldflags="-X main.version=1.0", cgo=arch == "amd64", command=None) == {
            "changed": False,
            "artifact": result["artifact"],
        }
        file = builder.artifacts / result["artifact"]["file"]
        with tarfile.open(file) as archive:
            folder = f"tool-1.0.linux-{arch}"
            assert archive.getnames() == [f"{folder}/LICENSE", f"{folder}/tool"]
            program = archive.extractfile(f"{folder}/tool")
            assert program is not None
            assert program.read()[20:].decode() == (
                "build -trimpath -buildvcs=false -mod=readonly -ldflags -s -w -X main.version=1.0 . linux "
                f"cgo={int(arch == 'amd64')}"
            )
        bytes_before = file.read_bytes()
        file.unlink()
        assert builder.run(arch=arch, ldflags="-X main.version=1.0", cgo=arch == "amd64")["changed"] is True
        assert file.read_bytes() == bytes_before


def test_a_module_with_another_hash_is_not_built(builder: Builder) -> None:
    (builder.directory / "sum").write_text("h1:wrong=")
    failure = builder.refused("bad_checksum")
    assert failure.details == {"expected": "h1:right=", "found": "h1:wrong="}
    failure = builder.refused("no_checksum", sum=None)
    assert failure.details == {"sum": "h1:wrong=", "module_version": "v1.0"}
    assert not any(call.startswith("build") for call in builder.calls())


def test_an_accepted_hash_is_a_pin_for_the_other_architecture_too(builder: Builder) -> None:
    accepted = builder.run(sum=None, accept_checksum=True)["artifact"]["origin"]
    assert (accepted["sum"], accepted["trust"]) == ("h1:right=", "accepted")
    (builder.directory / "sum").write_text("h1:wrong=")
    builder.refused("bad_checksum", sum=None, accept_checksum=True, arch="arm64")
    (builder.directory / "sum").write_text("h1:right=")
    assert builder.run(sum=None, arch="arm64")["artifact"]["origin"]["trust"] == "accepted"


def test_what_go_complains_about_is_told(builder: Builder) -> None:
    assert "403 Forbidden" in builder.refused("module", module="example.org/nothing").message
    assert "expected 'package'" in builder.refused("build", programs={"tool": "./broken"}).message
    assert "install Go" in builder.refused("no_go", command=None).message


def test_other_options_build_anew(builder: Builder) -> None:
    builder.run()
    for changes in (
        {"ldflags": "-X a.b=c"},
        {"cgo": True},
        {"module_version": "v1.0.1"},
        {"programs": {"tool": ".", "other": "./other"}},
    ):
        assert builder.run(check_mode=True, **changes) == {"changed": True, "artifact": {}}
        assert builder.run(**changes)["changed"] is True


# ------------------------------------------------------------------------------------- bundle, and all three in a play


def test_a_bundle_is_complete_and_always_the_same(tmp_path: Path) -> None:
    site = Site(tmp_path / "artifacts")
    site.add("1.0")
    site.add("1.0", arch="any", content=b"#!/bin/sh\n")
    dest = tmp_path / "out" / "bundle.tar"
    assert artifact_directory.bundle(str(site.directory), str(dest), True)[0] is True
    assert not dest.parent.exists()
    changed, checksum, artifacts = artifact_directory.bundle(str(site.directory), str(dest), False)
    assert (changed, checksum, len(artifacts)) == (True, sha256(dest), 2)
    assert artifact_directory.bundle(str(site.directory), str(dest), False)[0] is False
    unpacked = tmp_path / "elsewhere"
    unpacked.mkdir()
    subprocess.run(["tar", "-xf", dest, "-C", unpacked], check=True)
    assert artifact_directory.load(str(unpacked)) == artifacts
    assert all(artifact_directory.is_complete(str(unpacked), artifact) for artifact in artifacts)
    assert listed(dest.parent) == ["bundle.tar"]


def test_no_bundle_of_damaged_files(tmp_path: Path) -> None:
    site = Site(tmp_path / "artifacts")
    with pytest.raises(Failure, match="There is no artifact"):
        artifact_directory.bundle(str(site.directory), str(tmp_path / "bundle.tar"), False)
    file = site.directory / site.add("1.0").file
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(Failure, match="half-written"):
        artifact_directory.bundle(str(site.directory), str(tmp_path / "bundle.tar"), False)
    assert not (tmp_path / "bundle.tar").exists()


@pytest.mark.plays
def test_the_three_modules_in_a_play(builder: Builder, release: dict[str, Any], tmp_path: Path) -> None:
    keep = ("artifacts_dir", "name", "version", "arch", "url", "programs", "sha256")
    download = {key: release[key] for key in keep}
    build = {key: builder.params[key] for key in keep if key in builder.params and key != "sha256"} | {
        "name": "other",
        "module": "example.org/tool",
        "sum": "h1:right=",
        "programs": {"other": "."},
        "go": str(builder.command),
    }
    bundle = {"artifacts_dir": str(builder.artifacts), "dest": str(tmp_path / "bundle.tar")}
    modules = [("artifact_download", download), ("artifact_build", build), ("artifact_bundle", bundle)]
    tasks = [Task(module, args, check_mode=True) for module, args in modules[:2]]
    tasks += [Task(module, args) for module, args in modules * 2]
    tasks += [
        Task("artifact_download", download | {"sha256": "0" * 64}),
        Task("artifact_build", build | {"go": "no-such-go", "arch": "arm64"}),
        Task("artifact_bundle", bundle | {"artifacts_dir": str(tmp_path)}),
    ]
    results = play(tmp_path, tasks).results
    done = [{key: value for key, value in result.items() if key not in ("failed", "diff")} for result in results]
    artifacts = {a.name: a.to_json() for a in artifact_directory.load(str(builder.artifacts))}
    assert done[:2] == [{"changed": True, "artifact": {}}] * 2
    assert done[2:8] == [
        {"changed": changed, **result}
        for changed in (True, False)
        for result in (
            {"artifact": artifacts["tool"]},
            {"artifact": artifacts["other"]},
            {
                "dest": bundle["dest"],
                "sha256": sha256(tmp_path / "bundle.tar"),
                "artifacts": ["other 1.0 amd64", "tool 1.0 amd64"],
            },
        )
    ]
    assert [result["failure"]["code"] for result in results[8:]] == ["bad_checksum", "no_go", "manifest"]
    for result in results[8:]:
        assert result["failed"] is True
        assert result["failure"]["message"] == result["msg"]
        assert set(result["failure"]) == {"message", "code", "details"}


@pytest.mark.skipif(not (FULL and shutil.which("go")), reason="the real go command: SUPERPOD_TEST_FULL=1, and go")
def test_the_real_go_command(tmp_path: Path) -> None:
    """A module of our own from a proxy in a directory, for both architectures."""
    proxy = tmp_path / "proxy" / "example.org" / "tool" / "@v"
    proxy.mkdir(parents=True)
    files = {
        "go.mod": "module example.org/tool\n\ngo 1.20\n",
        "main.go": 'package main\n\nimport "fmt"\n\nvar version string\n\nfunc main() { fmt.Print(version) }\n',
        "LICENSE": "ours\n",
    }
    (proxy / "v1.0.0.info").write_text('{"Version": "v1.0.0"}')
    (proxy / "v1.0.0.mod").write_text(files["go.mod"])
    with zipfile.ZipFile(proxy / "v1.0.0.zip", "w") as archive:
        for name, text in files.items():
            archive.writestr(f"example.org/tool@v1.0.0/{name}", text)
    environment = {
        "GOPROXY": f"file://{tmp_path}/proxy",
        "GOSUMDB": "off",
        "GOFLAGS": "-modcacherw",
        "GOMODCACHE": str(tmp_path / "modules"),
    }
    params = parameters(
        artifact_build,
        artifacts_dir=str(tmp_path / "artifacts"),
        name="tool",
        version="1.0.0",
        module="example.org/tool",
        programs={"tool": "."},
        ldflags="-X main.version=one",
    )
    go = artifact_build.Go("go", environment, runner)
    with pytest.raises(Failure) as raised:
        artifact_build.run(params | {"arch": "amd64"}, False, go)
    assert raised.value.code == "no_checksum"
    params["sum"] = raised.value.details["sum"]
    for arch in ("amd64", "arm64"):
        result = artifact_build.run(params | {"arch": arch}, False, go)
        assert result["artifact"]["origin"]["toolchain"].startswith("go1.")
        assert result["artifact"]["origin"]["checksum_database"] == "off"
    with pytest.raises(Failure, match="not what was expected"):
        artifact_build.run(params | {"arch": "amd64", "sum": "h1:0="}, False, go)
    with tarfile.open(tmp_path / "artifacts" / "tool-1.0.0.linux-amd64.tar.gz") as packed:
        packed.extract("tool-1.0.0.linux-amd64/tool", tmp_path, filter="data")
    if os.uname().machine == "x86_64":
        program = tmp_path / "tool-1.0.0.linux-amd64" / "tool"
        assert subprocess.run([program], capture_output=True, text=True, check=True).stdout == "one"
