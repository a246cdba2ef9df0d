# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run BCM's shell `cmsh` without a person in front of it.

Three things make that safe, and all callers get them from here:

* words go into the command line through `quote`, which refuses whatever cmsh would act on: inside cmsh `!` and
  backticks start a shell, `>` and `|` redirect, `;` begins another command;
* every call has a time limit and an editor that refuses, because `set <text property>` opens one and waits;
* success is not read from the exit status, which BCM does not document, but from the output: a `Code Field Message`
  table is a refused commit whatever the status says.

No Ansible import: the inventory plugin, the modules and their tests use the same code.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from .failure import Failure

CMSH_PATH = "/cm/local/apps/cmd/bin/cmsh"
"""Where BCM installs cmsh on a head node; it is on PATH only after `module load cmsh`."""

_SAFE_PUNCTUATION = frozenset("_.,:/@%+=*[]-~^ ")
_NEEDS_QUOTES = frozenset(" *[]~^")
_OPTION = re.compile(r"-(?!\d+(\.\d+)?\Z)")
# "Fri Nov 20 09:43:59 2026 [notice] head: ..."; the date is absent in some releases.
_EVENT = re.compile(r"^(?:\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4} )?\[(?:debug|info|notice|warning|error|alert)\] ")
_TABLE_HEADER = re.compile(r"^Code\s+Field\s+Message\s*$")
_TABLE_RULE = re.compile(r"^(-+)(\s+)(-+)(\s+)-+\s*$")


class CmshError(Failure):
    """cmsh could not be run, did not end in time, or was to be given something unsafe; the text is one sentence.

    `code` names the kind for programs: `no_cmsh`, `timeout`, `failed` or `unsafe`.
    """


class Verbatim(str):
    """A word that `quote` passes as it is. For constants in the source only: options, the delimiter of `list -d`."""

    __slots__ = ()


Command = Sequence[str]
"""One cmsh command as its words, for example `("set", "epilogslurmctld", "/usr/local/sbin/x.sh")`."""


@dataclass(frozen=True)
class Refusal:
    """One row of the table that BCM prints when it refuses a commit."""

    code: str
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


@dataclass(frozen=True)
class CmshOutput:
    """What one cmsh process printed, without its event lines."""

    rc: int
    stdout: str
    stderr: str

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """The rows of the refusal tables on either stream."""
        return parse_refusals(f"{self.stdout}\n{self.stderr}")

    @property
    def words(self) -> str:
        """What BCM said, in its own words and on one line, for an error message."""
        said = self.refusals
        if said:
            return "; ".join(str(refusal) for refusal in said)
        return " / ".join(line.strip() for line in f"{self.stderr}\n{self.stdout}".splitlines() if line.strip())


def quote(word: str) -> str:
    """Return `word` as cmsh takes it on a command line, or raise CmshError if it cannot be passed safely."""
    if isinstance(word, Verbatim):
        return str(word)
    bad = sorted({character for character in word if not (character.isalnum() or character in _SAFE_PUNCTUATION)})
    if bad:
        shown = ", ".join(repr(character) for character in bad)
        raise CmshError(
            f"{word!r} cannot be given to cmsh because it contains {shown}; use a value without that", "unsafe"
        )
    if _OPTION.match(word):
        raise CmshError(f"{word!r} cannot be given to cmsh because it would be read as an option", "unsafe")
    return f'"{word}"' if not word or not _NEEDS_QUOTES.isdisjoint(word) else word


def script(commands: Iterable[Command]) -> str:
    """Join commands into the argument of `cmsh -c`; raises CmshError for a word that is not safe."""
    return "; ".join(" ".join(quote(word) for word in command) for command in commands)


def without_events(text: str) -> str:
    """Drop the asynchronous event lines, which may appear anywhere in cmsh's output."""
    return "".join(line for line in text.splitlines(keepends=True) if not _EVENT.match(line))


def parse_refusals(text: str) -> tuple[Refusal, ...]:
    """Read the `Code Field Message` tables in `text`: columns as wide as the dashes, until a line that is no row."""
    refusals: list[Refusal] = []
    lines = text.splitlines()
    for number, line in enumerate(lines[:-1]):
        rule = _TABLE_RULE.match(lines[number + 1])
        if not (_TABLE_HEADER.match(line) and rule):
            continue
        field_at, message_at = rule.start(3), rule.end(4)
        for row in lines[number + 2 :]:
            code = row[:field_at].strip()
            if not code.isdigit():
                break
            refusals.append(Refusal(code, row[field_at:message_at].strip(), row[message_at:].strip()))
    return tuple(refusals)


def find_cmsh(name: str | None = None) -> str:
    """Return the path of cmsh: `name` if given, else the one on PATH, else BCM's own place."""
    for candidate in [name] if name else ["cmsh", CMSH_PATH]:
        found = shutil.which(candidate)
        if found:
            return found
    raise CmshError(f"{name or 'cmsh'} is not here; run this on a BCM head node, or set the path of cmsh", "no_cmsh")


@contextlib.contextmanager
def started(command: Sequence[str], *, stdin: int, stderr: int) -> Iterator[subprocess.Popen[str]]:
    """cmsh as a process without a terminal and with an editor that refuses; raises CmshError if it cannot be run.

    Unless it has been waited for, it ends with the body, and so does what it started (an editor, a pager), so that
    nothing keeps the pipes open.
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=dict(os.environ, LC_ALL="C.UTF-8", TERM="dumb", EDITOR="false", VISUAL="false"),
            start_new_session=True,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise CmshError(f"{command[0]} cannot be run: {error.strerror}", "failed") from error
    with process:
        try:
            yield process
        finally:
            if process.returncode is None:  # else its number may be another process' by now
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


class Cmsh:
    """cmsh with fixed options, a time limit in seconds for each call, and optionally another key pair than root's."""

    def __init__(
        self,
        executable: str | None = None,
        *,
        timeout: float = 60.0,
        certificate: str | None = None,
        private_key: str | None = None,
    ) -> None:
        self._executable = find_cmsh(executable)
        self._timeout = timeout
        self._options = ["-n", "-q", "--hide-events", "--disable-events"]
        if certificate:
            self._options += ["-i", certificate]
        if private_key:
            self._options += ["-k", private_key]

    def run(self, commands: Iterable[Command]) -> CmshOutput:
        """Run the commands in one cmsh process; raises CmshError if it cannot be run or does not end in time.

        A refused command is no exception: the caller looks at `refusals` and at what it expected to be printed.
        """
        line = script(commands)
        command = [self._executable, *self._options, "-c", line]
        with started(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            try:
                stdout, stderr = process.communicate(timeout=self._timeout)
            except subprocess.TimeoutExpired as error:
                raise CmshError(
                    f"cmsh did not end within {self._timeout:g} s and was stopped (commands: {line}); "
                    "raise the time limit, or look whether CMDaemon answers",
                    "timeout",
                ) from error
        return CmshOutput(process.returncode, without_events(stdout), without_events(stderr))
