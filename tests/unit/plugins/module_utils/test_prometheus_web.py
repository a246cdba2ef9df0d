# SPDX-License-Identifier: GPL-3.0-or-later
"""The web configuration: hashes that Prometheus takes and that stay, and refusals without secrets."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from ansible_collections.superpod.monitoring.plugins.module_utils import prometheus_web
from ansible_collections.superpod.monitoring.plugins.module_utils.prometheus_web import (
    WebConfigError,
    hashed,
    is_hash,
    salt,
    web_config,
)
from hypothesis import given
from hypothesis import strategies as st
from prometheus_programs import promtool

HASH = "$2b$10$FItfItKI.QfY6dUCzCHqG.UPCUs5Xci/eCt6WllHKcQJdeNNk1f3W"


def pair(directory: Path, name: str) -> dict[str, str]:
    """A self-signed certificate and its key."""
    paths = {"crt": directory / f"{name}.crt", "key": directory / f"{name}.key"}
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-days", "2"]
    subprocess.run([*command, "-keyout", paths["key"], "-out", paths["crt"]], check=True, capture_output=True)
    return {f"tls.{kind}": path.read_text() for kind, path in paths.items()}


TLS = {"tls_server_config": {"cert_file": "/c/tls.crt", "key_file": "/c/tls.key"}}


def test_the_password_fits_its_hash_and_another_does_not() -> None:
    made = hashed("secret", "admin@mon-01")
    assert prometheus_web._by_libcrypt(b"secret", made) == made
    assert prometheus_web._by_libcrypt(b"Secret", made) != made


def test_a_hash_is_made_once_and_stays() -> None:
    first = hashed("secret", "admin@mon-01")
    assert is_hash(first)
    assert first == hashed("secret", "admin@mon-01")
    assert first != hashed("secret", "admin@mon-02")
    assert first[:29] == hashed("other", "admin@mon-01")[:29]  # the salt tells nothing of the password
    assert hashed(first, "anybody") == first


@given(st.text())
def test_every_salt_is_one_that_bcrypt_keeps(name: str) -> None:
    made = salt(name)
    assert len(made) == 22
    assert set(made) <= set(prometheus_web._ALPHABET)
    assert made[-1] in ".Oeu"  # the last has two bits only


@pytest.mark.parametrize("password", ["", "x" * 73, "a\0b", "ä" * 37])
def test_a_password_that_bcrypt_would_cut_is_refused_without_being_shown(password: str) -> None:
    with pytest.raises(WebConfigError, match="must have 1 to 72 bytes") as caught:
        hashed(password, "admin")
    assert not password or password not in str(caught.value)


def test_without_a_way_to_hash_it_says_what_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus_web, "_by_libcrypt", lambda password, setting: None)
    monkeypatch.setattr(prometheus_web, "_by_module", lambda password, setting: None)
    with pytest.raises(WebConfigError, match="htpasswd -nBC") as caught:
        hashed("never made before", "admin")
    assert "never made before" not in str(caught.value)


def test_nothing_wanted_is_nothing_written() -> None:
    assert web_config({}, {}, {}, "/c", "mon-01") == {}


def test_promtool_takes_what_is_made(tmp_path: Path) -> None:
    made = pair(tmp_path, "one")
    for name, text in made.items():
        (tmp_path / name).write_text(text)
    tls = {"tls_server_config": {"cert_file": str(tmp_path / "tls.crt"), "key_file": str(tmp_path / "tls.key")}}
    config = web_config(tls, {"admin": "secret", "b": HASH}, made, str(tmp_path), "mon-01")
    path = tmp_path / "web.yml"
    path.write_text(yaml.safe_dump(config))
    ended = subprocess.run([promtool(), "check", "web-config", path], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "secret" not in path.read_text()


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    one, other = pair(tmp_path, "one"), pair(tmp_path, "other")
    assert web_config(TLS, {}, one, "/c", "x") == TLS
    for key in (other["tls.key"], "no key"):
        with pytest.raises(WebConfigError, match="are not a certificate and its private key") as caught:
            web_config(TLS, {}, {**one, "tls.key": key}, "/c", "x")
        assert key not in str(caught.value)


def test_files_that_are_on_the_host_already_are_left_to_promtool() -> None:
    assert web_config(TLS, {}, {"tls.crt": "x", "tls.key": "y"}, "/elsewhere", "x") == TLS


def test_users_have_a_variable_of_their_own() -> None:
    with pytest.raises(WebConfigError, match="set prometheus_server_users"):
        web_config({"basic_auth_users": {}}, {}, {}, "/c", "x")
