# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps secrets out of the deployment document: by the names of variables, by their values, by what keys look like."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterable, Mapping

MASK = "********"
SHORTEST = 4
"""A value shorter than that is not searched for: it would blacken half of the document and protects nothing."""

_NAME = re.compile(r"(^|[_.-])(pass|passes|tokens?|api_?keys?|credentials?|private_key|web_users)$", re.IGNORECASE)
_CIPHERTEXT = "_ciphertext"  # what Ansible's vault-encrypted texts have; str() gives the plain text
_NAME_PART = re.compile(r"password|passwd|passphrase|secret", re.IGNORECASE)
# a setting, in YAML, JSON, INI or Python, of which the name says that its value is secret
_SETTING = re.compile(
    r"""(?P<head>[\w.-]*(?:password|passwd|passphrase|secret|token|api_?key)[\w.-]*["']?\s*[:=]\s*)"""
    r"""(?P<value>"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[^\s,;&}\]]+)""",
    re.IGNORECASE,
)
_HARMLESS = re.compile(r"""["']?(?:(?i:true|false|yes|no|none|null)|[0-9]{1,3}|/[a-z]+/[\w./-]*|\{\{.*|\[|\{)?["']?$""")
_LOOKS = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), MASK),
    # the same in base64, to the end of the word
    (re.compile(r"LS0tLS1CRUdJTi[A-Za-z0-9+/=_-]*"), MASK),
    # password hashes of crypt(3)
    (re.compile(r"\$(?:2[abxy]|5|6|y|argon2id?)\$[A-Za-z0-9./$=,+-]{20,}"), MASK),
    (re.compile(r"(?<=://)([^/\s:@]+):[^/\s@]+@"), rf"\1:{MASK}@"),
    (re.compile(r"\b(Basic|Bearer)\s+[A-Za-z0-9+/=._-]{6,}", re.IGNORECASE), rf"\1 {MASK}"),
)


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name holds a secret."""
    if name.endswith(("_file", "_path", "_dir", "_url", "_length")):
        return False
    return bool(_NAME.search(name) or _NAME_PART.search(name))


def secret_values(variables: Mapping[str, t.Any]) -> set[str]:
    """The secrets among variables, also inside of mappings and lists.

    Under a secret name all texts count; elsewhere only what a nested name says.  Templates and paths are no secrets.
    """
    found: set[str] = set()
    for name, value in variables.items():
        _collect(value, is_secret_name(str(name)), found)
    return found


def _collect(value: t.Any, secret: bool, found: set[str]) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            _collect(item, secret or is_secret_name(str(key)), found)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _collect(item, secret, found)
    elif isinstance(value, (str, int)) or hasattr(value, _CIPHERTEXT):
        text = str(value)
        if (secret or hasattr(value, _CIPHERTEXT)) and len(text) >= SHORTEST and not _HARMLESS.match(text):
            found.add(text)


class Masker:
    """Masks texts. Values are added as they become known; the same secret is found within longer words, too."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.add(values)

    def add(self, values: Iterable[str]) -> None:
        """Know more secrets; each line of one with several lines counts by itself, since a diff may show only some."""
        before = len(self._values)
        for value in values:
            self._values.update(part for part in (value, *value.splitlines()) if len(part.strip()) >= SHORTEST)
        if len(self._values) != before:
            longest_first = sorted(self._values, key=lambda value: (-len(value), value))
            self._pattern = re.compile("|".join(re.escape(value) for value in longest_first))

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        for pattern, instead in _LOOKS:
            text = pattern.sub(instead, text)
        if self._pattern is not None:
            text = self._pattern.sub(MASK, text)
        return _SETTING.sub(_masked_setting, text)


def _masked_setting(match: re.Match[str]) -> str:
    value = match["value"]
    if _HARMLESS.match(value) or not is_secret_name(re.split(r"[\"'\s:=]", match["head"])[0]):
        return match[0]
    quote = value[0] if value[0] in "\"'" else ""
    return f"{match['head']}{quote}{MASK}{quote}"
