# SPDX-License-Identifier: GPL-3.0-or-later
"""What Grafana keeps in its database: here a JSON file, read anew for each request, since the cli writes it, too."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import threading
from pathlib import Path
from typing import Any

from .settings import Ini, SettingsError


def _hashed(text: str, salt: str) -> str:
    return hashlib.pbkdf2_hmac("sha256", text.encode(), salt.encode(), 10_000).hex()


class Store:
    """The database file: the administrator, the tokens, and lists of what users have made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.lock = threading.RLock()

    def read(self) -> dict[str, Any]:
        """The whole document; empty before the first start."""
        try:
            document: dict[str, Any] = json.loads(self._path.read_text())
        except FileNotFoundError:
            return {}
        return document

    def write(self, document: dict[str, Any]) -> None:
        """Replace the document."""
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        temporary.write_text(json.dumps(document, indent=1))
        temporary.chmod(0o640)
        temporary.rename(self._path)

    def start(self, ini: Ini) -> None:
        """Make the database at the first start: only then does the administrator get the password of the settings.

        Raises :class:`SettingsError` where the database was encrypted with another key.
        """
        security = ini["security"]
        document = self.read()
        if not document:
            salt = secrets.token_hex(8)
            document = {
                "admin": {
                    "login": security["admin_user"],
                    "salt": salt,
                    "hash": _hashed(security["admin_password"], salt),
                },
                "key": {"salt": salt, "hash": _hashed(security["secret_key"], salt)},
                "tokens": [],
                "datasources": [],
                "folders": [],
                "dashboards": [],
            }
            self.write(document)
        key = document["key"]
        if _hashed(security["secret_key"], key["salt"]) != key["hash"]:
            raise SettingsError("secret_key is not the one with which the secrets in the database were encrypted")

    def set_password(self, password: str) -> None:
        """Give the administrator another password.  Raises :class:`SettingsError`."""
        document = self.read()
        if not document:
            raise SettingsError("there is no database yet")
        if len(password) < 4:
            raise SettingsError("the new password is too short")
        salt = secrets.token_hex(8)
        document["admin"].update(salt=salt, hash=_hashed(password, salt))
        self.write(document)

    def new_token(self, name: str) -> str:
        """A token of a service account."""
        token = f"glsa_{secrets.token_hex(16)}"
        document = self.read()
        document["tokens"].append({"name": name, "hash": hashlib.sha256(token.encode()).hexdigest()})
        self.write(document)
        return token

    def login(self, user: str, password: str) -> bool:
        """Whether that is the administrator."""
        admin = self.read()["admin"]
        return bool(user == admin["login"] and secrets.compare_digest(_hashed(password, admin["salt"]), admin["hash"]))

    def token(self, token: str) -> bool:
        """Whether it is the token of a service account."""
        hashed = hashlib.sha256(token.encode()).hexdigest()
        return any(known["hash"] == hashed for known in self.read()["tokens"])
