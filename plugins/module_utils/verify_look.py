# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module ``verify_host`` sees of a host, without changing it.

Every look runs in a process of its own and has its time: a hung file server, a driver that does not answer or a page
without an end makes one answer ``{"error": ...}``, and nothing else.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import select
import signal
import ssl
import stat
import subprocess
import time
import typing as t
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping

from . import tcp_listeners
from .file_state import describe
from .openssl import OpensslError, read_certificate
from .target_directory import read_directory
from .verify_answers import digest

Json = dict[str, t.Any]

SECONDS = 10.0
MAX_BODY = 64 << 20
MAX_TEXT = 64 << 10
UNIT_PROPERTIES = (
    "Id",
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "NeedDaemonReload",
    "MainPID",
)


class Look(t.NamedTuple):
    """One look: what it does, and how long that may take."""

    do: Callable[[], t.Any]
    seconds: float = SECONDS


# --- without waiting for ever ---


class _Process:
    """A child that looks, and the pipe through which it answers."""

    def __init__(self, look: Look) -> None:
        self.seconds = look.seconds
        self.deadline = time.monotonic() + look.seconds
        self.chunks: list[bytes] = []
        self.pipe, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _look_and_exit(look.do, writer)
        os.close(writer)

    def answer(self) -> t.Any:
        """What it said, once the pipe is at its end."""
        try:
            return json.loads(b"".join(self.chunks))
        except ValueError:
            return {"error": "the look ended without an answer"}

    def end(self) -> None:
        """Kill what is still there; one that hangs in the kernel is not waited for."""
        os.close(self.pipe)
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            os.waitpid(self.pid, os.WNOHANG)


def _look_and_exit(do: Callable[[], t.Any], writer: int) -> t.NoReturn:
    try:
        os.setsid()
        # Whoever waits for the module's output must not wait for a child that hangs.
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        try:
            answer = do()
        except Exception as error:  # noqa: BLE001 - whatever a host has in store is an answer
            answer = {"error": _one_line(f"{type(error).__name__}: {error}")}
        with os.fdopen(writer, "wb") as stream:
            stream.write(json.dumps(answer).encode())
    finally:
        os._exit(0)


def together(looks: Mapping[str, Look]) -> Json:
    """Do all the looks at once; each one's answer by its name."""
    running = {name: _Process(look) for name, look in looks.items()}
    answers: Json = {}
    while running:
        first = min(process.deadline for process in running.values())
        by_pipe = {process.pipe: name for name, process in running.items()}
        ready = select.select(list(by_pipe), [], [], max(0.0, first - time.monotonic()))[0]
        for pipe in ready:
            process = running[by_pipe[pipe]]
            chunk = os.read(pipe, 1 << 16)
            if chunk:
                process.chunks.append(chunk)
                continue
            answers[by_pipe[pipe]] = process.answer()
            running.pop(by_pipe[pipe]).end()
        now = time.monotonic()
        for name in [name for name, process in running.items() if process.deadline <= now]:
            answers[name] = {"error": f"no answer within {running[name].seconds:g} s"}
            running.pop(name).end()
    return answers


# --- the looks ---


def look(wanted: Json) -> Json:
    """Everything that was asked for; *wanted* as in the module's options."""
    moment = time.time()
    looks: dict[str, Look] = {}
    if wanted["units"]:
        looks["units"] = Look(lambda: units(wanted["units"]))
    if wanted["ports"]:
        looks["listeners"] = Look(lambda: listeners(wanted["ports"]))
    for place in sorted({_place(path) for path in wanted["files"]}):
        looks[f"files {place}"] = Look(_files_below(place, wanted["files"]))
    for kind, do in (
        ("contents", content),
        ("disks", disk),
        ("listings", listing),
        ("certificates", certificate),
    ):
        for path in wanted[kind]:
            looks[f"{kind} {path}"] = Look(_bound(do, path))
    for request in wanted["requests"]:
        looks[f"requests {request['name']}"] = Look(_bound(ask, request), request["seconds"])
    for asked in wanted["commands"]:
        looks[f"commands {asked['name']}"] = Look(_bound(command, asked["argv"]), asked["seconds"])
    return {"time": moment, **_sorted_out(together(looks), wanted)}


def _bound(do: Callable[[t.Any], t.Any], argument: t.Any) -> Callable[[], t.Any]:
    return lambda: do(argument)


def _files_below(place: str, paths: list[str]) -> Callable[[], Json]:
    return lambda: {path: file(path) for path in paths if _place(path) == place}


def _place(path: str) -> str:
    """What is looked at in one process: one hung file server spoils what lies on it, and not more."""
    return "/".join(path.split("/")[:3])


def _sorted_out(answers: Json, wanted: Json) -> Json:
    found: Json = {
        "units": answers.get("units", {}),
        "listeners": answers.get("listeners", []),
        "files": {},
        **{kind: {} for kind in ("contents", "disks", "listings", "certificates", "requests", "commands")},
    }
    for name, answer in answers.items():
        kind, _blank, rest = name.partition(" ")
        if kind == "files":
            below = [path for path in wanted["files"] if _place(path) == rest]
            found["files"].update(dict.fromkeys(below, answer) if "error" in answer else answer)
        elif rest:
            found[kind][rest] = answer
    return found


def units(names: list[str]) -> Json:
    """systemd's word on each unit, by its name, and what its main process was started with (`Running`)."""
    said = _output(["systemctl", "show", f"--property={','.join(UNIT_PROPERTIES)}", "--", *names])
    found: Json = {}
    for name, block in zip(names, said.strip("\n").split("\n\n")):
        properties = dict(line.partition("=")[::2] for line in block.splitlines())
        properties["Running"] = _command_line(properties.get("MainPID", "0"))
        found[name] = properties
    return found


def _command_line(pid: str) -> str:
    try:
        with open(f"/proc/{int(pid)}/cmdline", "rb") as stream:
            words = stream.read(MAX_TEXT).rstrip(b"\0").split(b"\0")
    except (OSError, ValueError):
        return ""
    return b" ".join(words).decode("utf-8", "replace")


def listeners(ports: list[int]) -> list[Json]:
    """Who listens at the ports."""
    return [{"port": each.port, "unit": each.unit, "who": str(each)} for each in tcp_listeners.listeners(set(ports))]


def file(path: str) -> Json:
    """What lies there, with a digest for its content."""
    try:
        found = describe(path)
        if "content" in found:
            found["sha256"] = hashlib.sha256(found.pop("content")).hexdigest()
        if found["state"] != "absent":
            found["mtime"] = os.lstat(path).st_mtime
    except OSError as error:
        return {"state": "unknown", "error": error.strerror or str(error)}
    return found


def content(path: str) -> Json:
    """A small file's text and time."""
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as stream:
            status = os.fstat(stream.fileno())
            text = stream.read(MAX_TEXT).decode("utf-8", "replace") if stat.S_ISREG(status.st_mode) else ""
    except OSError as error:
        return {"error": error.strerror or str(error)}
    return {"text": text, "mtime": status.st_mtime}


def disk(path: str) -> Json:
    """A directory, and whether something could be written there; nothing is."""
    if not os.path.isdir(path):
        return {"error": "is no directory" if os.path.lexists(path) else "is not there"}
    status = os.statvfs(path)
    return {
        "read_only": bool(status.f_flag & os.ST_RDONLY),
        "free_bytes": status.f_bavail * status.f_frsize,
        # a file system without a fixed number of inodes says 0 of 0
        "free_inodes": status.f_favail if status.f_files else None,
    }


def listing(path: str) -> Json:
    """The target files in a directory; None for what is no small regular file."""
    try:
        files = read_directory(path)
    except OSError as error:
        return {"error": error.strerror or str(error)}
    return {"files": {name: None if data is None else base64.b64encode(data).decode() for name, data in files}}


def certificate(path: str) -> Json:
    """When a certificate ends, in seconds since 1970."""
    try:
        return {"not_after": read_certificate(path).not_after}
    except OpensslError as error:
        return {"error": str(error)}


def command(argv: list[str]) -> Json:
    """How a program ends and what it says."""
    try:
        # Python programs would leave their bytecode beside them.
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, env=environment)
    except OSError as error:
        return {"error": f"{argv[0]} cannot be run: {error.strerror}"}
    return {
        "rc": done.returncode,
        "stdout": done.stdout.decode("utf-8", "replace")[: MAX_BODY // 16],
        "stderr": done.stderr.decode("utf-8", "replace")[:MAX_TEXT],
    }


def ask(request: Json) -> Json:
    """One GET; what is kept of the answer is said by the request's `kind`."""
    message = urllib.request.Request(request["url"])  # noqa: S310 - the roles' own URLs
    credentials = _credentials(request)
    if credentials:
        message.add_header("Authorization", f"Basic {base64.b64encode(credentials.encode()).decode()}")
    # This host itself, by a name that its certificate need not have; elsewhere the request says so.
    context = ssl.create_default_context()
    if not request["validate_certs"]:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(message, timeout=request["seconds"]) as answer:
            status, body = answer.status, answer.read(MAX_BODY)
    except urllib.error.HTTPError as error:
        with error:
            return {"status": error.code, "said": _one_line(error.read(MAX_TEXT).decode("utf-8", "replace"))[:300]}
    except (OSError, ValueError) as error:
        return {"error": _one_line(str(getattr(error, "reason", error)))}
    return {"status": status, **digest(request["kind"], body, request["series"])}


def _credentials(request: Json) -> str:
    if not request["user"]:
        return ""
    password = request["password"] or ""
    if request["password_file"]:
        with open(request["password_file"], encoding="utf-8") as stream:
            password = stream.read(MAX_TEXT).strip()
    return f"{request['user']}:{password}"


def _output(argv: list[str]) -> str:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return done.stdout.decode("utf-8", "replace")


def _one_line(text: str) -> str:
    return " ".join(text.split())
