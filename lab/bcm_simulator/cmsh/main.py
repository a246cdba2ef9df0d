# SPDX-License-Identifier: GPL-3.0-or-later
"""cmsh's own command line: options, the certificate in use, where commands come from, exit status."""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from ..auth import Identity, by_certificate
from ..pki import PkiError, load_certificate, load_key, signed_by
from ..provisioning import Journal
from ..state import State
from ..store import StateStore
from .asynchronous import events_between
from .certificates import Issuer
from .errors import CmshError, CommitRefusedError, NotSimulatedError
from .printing import print_refusal
from .shell import QuitShell, Shell
from .verbs import VERBS
from .words import parse
from .workspace import Workspace

# Options without a value that change nothing here, and those that do something.
_IGNORED = ("-m", "--disablemultiline", "-r", "--noredirect", "-Q", "--noquitconfirmation")
_FLAGS = {
    "-n": "norc",
    "--norc": "norc",
    "-q": "quit",
    "--quit": "quit",
    "-x": "echo",
    "--echo": "echo",
    "--hide-events": "hide_events",
    "--disable-events": "hide_events",
    **dict.fromkeys(_IGNORED, "ignored"),
}
_VALUES = {
    "-c": "commands",
    "-f": "file",
    "-i": "certificate",
    "--certificate": "certificate",
    "-k": "key",
    "--key": "key",
}
_RC_FILES = ("/etc/cmshrc", "~/.cm/cmsh/.cmshrc", "~/.cm/.cmshrc", "~/.cmshrc")
_USAGE_STATUS = 2


@dataclass
class Options:
    """What the command line asked for."""

    norc: bool = False
    quit: bool = False
    echo: bool = False
    hide_events: bool = False
    ignored: bool = False
    commands: str | None = None
    file: str | None = None
    certificate: str | None = None
    key: str | None = None


def main(state_file: Path, tls: Path, arguments: Sequence[str], default_pair: tuple[str, str] | None = None) -> int:
    """Run cmsh with `arguments`; `default_pair` stands in for the files under $HOME/.cm."""
    try:
        options = _parse_options(arguments)
        if not options.norc:
            _refuse_rc_files()
        store = StateStore(state_file)
        identity = _identity(options, store.snapshot(), tls, default_pair)
        lines, echo = _source(options)
    except NotSimulatedError as error:
        return _not_simulated(error)
    except (CmshError, PkiError) as error:
        print(f"cmsh: {error}", file=sys.stderr)
        return 1
    workspace, issuer = Workspace(store, identity), Issuer(store, tls, identity)
    shell = Shell(VERBS, workspace, issuer, profile=identity.profile or "", events=not options.hide_events)
    with events_between(Journal(store.path), shown=shell.events):
        if lines is None:
            return _interactive(shell, store.snapshot())
        return _run(shell, store, lines, echo=echo or options.echo, quit_on_error=options.quit)


def _parse_options(arguments: Sequence[str]) -> Options:
    options = Options()
    queue = list(arguments)
    while queue:
        word = queue.pop(0)
        name, equals, value = word.partition("=")
        if word in _FLAGS:
            setattr(options, _FLAGS[word], True)
        elif name in _VALUES and (equals if name.startswith("--") else not equals):
            if not equals and not queue:
                raise CmshError(f"{word} needs a value")
            setattr(options, _VALUES[name], value if equals else queue.pop(0))
        elif word in _VALUES and queue:
            setattr(options, _VALUES[word], queue.pop(0))
        else:
            raise NotSimulatedError(f"cmsh option or argument {word!r}")
    if options.commands is not None and options.file is not None:
        raise NotSimulatedError("-c together with -f")
    return options


def _refuse_rc_files() -> None:
    for name in _RC_FILES:
        path = Path(os.path.expanduser(name))
        if path.exists():
            raise NotSimulatedError(f"the rc file {path}; call cmsh with -n")


def _identity(options: Options, state: State, tls: Path, default_pair: tuple[str, str] | None) -> Identity:
    certificate_path, key_path = _pair(options, default_pair)
    certificate, key = load_certificate(certificate_path), load_key(key_path)
    if _public(certificate) != _public_of(key):
        raise CmshError(f"the key {key_path} does not belong to the certificate {certificate_path}")
    if not signed_by(certificate, load_certificate(tls / "cluster.pem")):
        raise CmshError(f"the certificate {certificate_path} was not signed by this cluster")
    if expiry(certificate) < datetime.datetime.now(datetime.timezone.utc):
        raise CmshError(f"the certificate {certificate_path} has expired")
    identity = by_certificate(certificate, state)
    if identity.revoked:
        raise CmshError(f"the certificate {certificate_path} is revoked")
    return identity


def expiry(certificate: x509.Certificate) -> datetime.datetime:
    """When the certificate ends; the older `cryptography` of a distribution has only the naive form."""
    if hasattr(certificate, "not_valid_after_utc"):
        return certificate.not_valid_after_utc
    return certificate.not_valid_after.replace(tzinfo=datetime.timezone.utc)


def _pair(options: Options, default_pair: tuple[str, str] | None) -> tuple[Path, Path]:
    if (options.certificate is None) != (options.key is None):
        raise CmshError("a certificate and a key are needed together (-i and -k)")
    if options.certificate is not None and options.key is not None:
        return Path(options.certificate), Path(options.key)
    if default_pair is not None:
        return Path(default_pair[0]), Path(default_pair[1])
    home = Path(os.path.expanduser("~")) / ".cm"
    for name in ("admin", "cert"):
        if (home / f"{name}.pem").exists():
            return home / f"{name}.pem", home / f"{name}.key"
    raise CmshError(f"no certificate: neither {home}/admin.pem nor {home}/cert.pem exists")


def _public(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _public_of(key: object) -> bytes:
    public: bytes = key.public_key().public_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return public


def _source(options: Options) -> tuple[Iterable[str] | None, bool]:
    """The lines to run, None for a person at a terminal; and whether they are echoed, as piped input is."""
    if options.commands is not None:
        return [options.commands], False
    if options.file is not None:
        try:
            return [Path(options.file).read_text(encoding="utf-8")], False
        except OSError as error:
            raise CmshError(f"cannot read {options.file}: {error.strerror}") from error
    if sys.stdin.isatty():
        return None, False
    # line by line: whoever writes them may wait for what one of them does
    return (line.rstrip("\n") for line in sys.stdin), True


def _run(shell: Shell, store: StateStore, lines: Iterable[str], *, echo: bool, quit_on_error: bool) -> int:
    failed = False
    for line in lines:
        if echo:
            print(line, flush=True)
        try:
            statements = parse(line)
        except NotSimulatedError as error:
            return _not_simulated(error)
        except CmshError as error:
            _report(error, store.snapshot())
            failed = True
            statements = []
        for statement in statements:
            try:
                shell.execute(statement)
            except QuitShell:
                return _status(failed, store)
            except NotSimulatedError as error:
                return _not_simulated(error)
            except CmshError as error:
                _report(error, store.snapshot())
                failed = True
            if failed and quit_on_error:
                return _status(failed, store)
        sys.stdout.flush()
    return _status(failed, store)


def _interactive(shell: Shell, state: State) -> int:
    while True:
        try:
            shell.run(input(shell.prompt(state["active"])))
        except (EOFError, KeyboardInterrupt, QuitShell):
            return 0
        except NotSimulatedError as error:
            _not_simulated(error)
        except CmshError as error:
            _report(error, state)


def _status(failed: bool, store: StateStore) -> int:
    return int(store.snapshot()["switches"]["cmsh_error_rc"]) if failed else 0


def _report(error: CmshError, state: State) -> None:
    stream: TextIO = sys.stdout if state["switches"]["cmsh_error_stream"] == "stdout" else sys.stderr
    if isinstance(error, CommitRefusedError):
        print_refusal(lambda line: print(line, file=stream), error.rows)
    else:
        print(error, file=stream)


def _not_simulated(error: NotSimulatedError) -> int:
    sys.stdout.flush()
    print(f"bcm_simulator: not simulated: {error}", file=sys.stderr)
    return _USAGE_STATUS
