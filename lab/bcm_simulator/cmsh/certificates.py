# SPDX-License-Identifier: GPL-3.0-or-later
"""cert mode: make, list and revoke client certificates."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..auth import Identity, has_service, has_token
from ..pki import Authority, PkiError, Subject
from ..record import WriteJournal
from ..state import State
from ..store import StateStore
from .errors import CmshError, CommitRefusedError
from .table import FIT, Column, render

_KEY_LENGTHS = ("1024", "2048", "4096")


@dataclass(frozen=True)
class Order:
    """The words of createcertificate."""

    key_length: int
    subject: Subject
    profile: str
    system_login: str
    days: int
    key_path: Path
    certificate_path: Path


def order_from_words(words: Sequence[str]) -> Order:
    """The twelve words of createcertificate; a real one asks a person for those that are missing."""
    if len(words) != 12:
        raise CmshError(f"createcertificate takes 12 arguments, not {len(words)}")
    length, name, organization, unit, locality, state, country, profile, login, days, key, certificate = words
    if length not in _KEY_LENGTHS:
        raise CmshError(f"createcertificate: the key length must be one of {', '.join(_KEY_LENGTHS)}, not {length!r}")
    if not days.isdigit() or int(days) < 1:
        raise CmshError(f"createcertificate: the days must be a number, not {days!r}")
    for path in (key, certificate):
        if not path.startswith("/") or not Path(path).parent.is_dir():
            raise CmshError(f"createcertificate: {path!r} must be a full path in a directory that exists")
    if not name or not profile:
        raise CmshError("createcertificate: a common name and a profile are needed")
    subject = Subject(name, organization, unit, locality, state, country)
    return Order(int(length), subject, profile, login, int(days), Path(key), Path(certificate))


class Issuer:
    """Signs with the cluster's key in `tls` (cacert.pem, cluster.pem, cluster.key)."""

    def __init__(self, store: StateStore, tls: Path, identity: Identity) -> None:
        self._store = store
        self._tls = tls
        self._identity = identity
        self._journal = WriteJournal(store.path)
        self._requests = store.path.with_name(f"{store.path.name}.requests")

    def require(self, token: str) -> None:
        """Refuse what the certificate's profile may not do."""
        state = self._store.snapshot()
        if not has_service(self._identity, "CMCert", state) or not has_token(self._identity, token, state):
            raise CmshError(f"permission denied: profile {self._identity.profile} may not use certificates so")

    def create(self, order: Order, events: bool) -> list[str]:
        """Write a key and a certificate; the lines that cmsh prints."""
        what = f"cmsh createcertificate {order.subject.common_name} {order.profile}"
        try:
            self._may_write(what)
            state = self._store.snapshot()
            if order.profile not in state["profiles"]:
                raise CmshError(f"createcertificate: no profile {order.profile!r}")
            if state["switches"]["cmsh_certificate_first_call"] == "request_only" and not self._asked_before(order):
                number = len(state["certificates"]) + 1
                notice = f"[notice] {state['active']}: New certificate request with ID: {number}"
                return [notice] if events else []
            serial = max((int(known) for known in state["certificates"]), default=0) + 1
            pair = Authority.load(self._tls).client(
                order.subject,
                order.profile,
                order.system_login,
                order.days,
                key=f"rsa{order.key_length}",
                serial=serial,
            )
            pair.write(order.certificate_path, order.key_path)
        except PkiError as error:
            raise CmshError(f"createcertificate: {error}") from error
        except OSError as error:
            raise CmshError(f"createcertificate: cannot write: {error.strerror}") from error
        expiry = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=order.days)
        entry = {
            "name": order.subject.common_name,
            "profile": order.profile,
            "system_login": order.system_login,
            "revoked": False,
            "not_after": expiry.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        self._store.edit(lambda state: state["certificates"].update({str(serial): entry}))
        self._journal.add("stored", what, self._identity.profile)
        return [
            f"Certificate key written to file: {order.key_path}",
            f"Certificate pem written to file: {order.certificate_path}",
        ]

    def revoke(self, serial: str) -> None:
        """Mark a certificate as revoked; prints nothing."""
        self._may_write(f"cmsh revokecertificate {serial}")
        if serial not in self._store.snapshot()["certificates"]:
            raise CmshError(f"revokecertificate: no certificate {serial!r}")
        self._store.edit(lambda state: state["certificates"][serial].update(revoked=True))
        self._journal.add("stored", f"cmsh revokecertificate {serial}", self._identity.profile)

    def _may_write(self, what: str) -> None:
        try:
            self.require("SET_CERTIFICATE_TOKEN")
            if self._store.snapshot()["switches"]["read_only"]:
                raise CommitRefusedError([("", "This simulated BCM refuses all writes")])
        except CmshError:
            self._journal.add("refused", what, self._identity.profile)
            raise

    def _asked_before(self, order: Order) -> bool:
        """Whether the same was ordered before; remembers it."""
        key = f"{order.subject.common_name}/{order.profile}/{order.certificate_path}"
        known: list[str] = json.loads(self._requests.read_text("utf-8")) if self._requests.exists() else []
        if key in known:
            known.remove(key)
            self._requests.write_text(json.dumps(known), "utf-8")
            return True
        self._requests.write_text(json.dumps([*known, key]), "utf-8")
        return False


def list_certificates(state: State) -> list[str]:
    """The table of listcertificates."""
    columns = [
        Column("Serial", 6, 6),
        Column("Revoked", 8, 8),
        Column("Time left", 12, 12),
        Column("Profile", 16, 16),
        Column("System log in", 16, 16),
        Column("Name", 29, FIT),
    ]
    rows = []
    for serial, entry in sorted(state["certificates"].items(), key=lambda item: int(item[0])):
        revoked = "Yes" if entry["revoked"] else "No"
        rows.append(
            (serial, revoked, _time_left(entry["not_after"]), entry["profile"], entry["system_login"], entry["name"])
        )
    return render(columns, rows, trailing=state["switches"]["cmsh_trailing_spaces"])


def _time_left(not_after: str | None) -> str:
    if not_after is None:
        return "5214w 1d"
    expiry = datetime.datetime.strptime(not_after, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
    days = max(0, (expiry - datetime.datetime.now(datetime.timezone.utc)).days)
    return f"{days // 7}w {days % 7}d"
