# SPDX-License-Identifier: GPL-3.0-or-later
"""grafana.ini, read strictly: what is not known here is an error, where Grafana would pass over it."""

from __future__ import annotations

import os
import re
from pathlib import Path

# Of Grafana's defaults.ini: what the role writes, and some that a site may add.
DEFAULTS: dict[str, dict[str, str]] = {
    "analytics": {"reporting_enabled": "true", "check_for_updates": "true", "check_for_plugin_updates": "true"},
    "auth.anonymous": {"enabled": "false", "org_name": "Main Org.", "org_role": "Viewer"},
    "log": {"mode": "console file", "level": "info"},
    "news": {"news_feed_enabled": "true"},
    "security": {
        "admin_user": "admin",
        "admin_password": "admin",
        "secret_key": "SW2YcwTIb9zpOOhoPsMm",
        "disable_gravatar": "false",
        "cookie_secure": "false",
    },
    "server": {
        "protocol": "http",
        "http_addr": "",
        "http_port": "3000",
        "domain": "localhost",
        "root_url": "%(protocol)s://%(domain)s:%(http_port)s/",
        "cert_file": "",
        "cert_key": "",
    },
    "smtp": {"enabled": "false", "host": "localhost:25", "user": "", "password": "", "from_address": ""},
    "users": {"allow_sign_up": "false", "default_theme": "dark", "viewers_can_edit": "false"},
}
_REFERENCE = re.compile(r"\$(?:__(?P<kind>\w+))?\{(?P<name>[^}]+)\}")

Ini = dict[str, dict[str, str]]


class SettingsError(ValueError):
    """Something that Grafana could not start with, or would not notice; one sentence."""


def read(path: Path) -> Ini:
    """The settings of the file over the defaults.  Raises :class:`SettingsError`, OSError."""
    ini = {section: dict(values) for section, values in DEFAULTS.items()}
    section = ""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        text = line.strip()
        if not text or text[0] in ";#":
            continue
        if text[0] == "[" and text[-1] == "]":
            section = text[1:-1]
            if section not in ini:
                raise SettingsError(f"{path}:{number}: the stand-in does not know the section [{section}]")
            continue
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            raise SettingsError(f"{path}:{number}: this is no setting: {text}")
        if key not in ini.get(section, {}):
            raise SettingsError(f"{path}:{number}: the stand-in does not know {key} in [{section}]")
        ini[section][key] = expand(_unquoted(value))
    return ini


def _unquoted(value: str) -> str:
    if len(value) > 5 and value.startswith('"""') and value.endswith('"""'):
        return value[3:-3]
    return re.split(r"\s[;#]", value, maxsplit=1)[0]


def expand(text: str) -> str:
    """A value with $__file{path}, $__env{NAME} and ${NAME} replaced.  Raises :class:`SettingsError`."""

    def replace(match: re.Match[str]) -> str:
        kind, name = match["kind"], match["name"]
        if kind == "file":
            try:
                return Path(name).read_text().strip()
            except OSError as error:
                raise SettingsError(f"got error while expanding $__file{{{name}}}: {error}") from error
        if kind in (None, "env"):
            return os.environ.get(name, "")
        raise SettingsError(f"there is no expander {kind}")

    return _REFERENCE.sub(replace, text)


def expanded(value: object) -> object:
    """The same within a document of a provisioning file, where $$ is a dollar."""
    if isinstance(value, str):
        return "$".join(expand(part) for part in value.split("$$"))
    if isinstance(value, dict):
        return {key: expanded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [expanded(inner) for inner in value]
    return value
