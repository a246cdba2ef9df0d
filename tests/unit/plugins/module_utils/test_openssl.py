# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read from BCM's certificates, against the library that made them."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils.openssl import (
    OpensslError,
    is_signed_by,
    read_certificate,
    read_public_key,
)
from bcm_simulator.pki import Authority, Subject, load_certificate
from cryptography.hazmat.primitives import serialization


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.new("BCM Cluster", key="ec")


@pytest.mark.parametrize("kind", ["ec", "rsa2048"])
@pytest.mark.parametrize("login", ["", "peter"])
@pytest.mark.parametrize("name", ["role-monitor", "Röle = monitor, O=x/CN=other"])
def test_a_certificate_is_read(tmp_path: Path, authority: Authority, kind: str, login: str, name: str) -> None:
    path, key = tmp_path / "x.pem", tmp_path / "x.key"
    authority.client(Subject(name), "superpod-ro", login, 30, key=kind).write(path, key)
    made = load_certificate(path)
    read = read_certificate(str(path))
    assert (read.common_name, read.profile, read.serial) == (name, "superpod-ro", made.serial_number)
    assert read.not_after == made.not_valid_after_utc.timestamp()
    pem = made.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert read.public_key == pem.decode().strip()
    assert read_public_key(str(key)) == read.public_key


def test_without_a_profile(tmp_path: Path, authority: Authority) -> None:
    authority.server("head", ["10.0.0.1"], key="ec").write(tmp_path / "x.pem", tmp_path / "x.key")
    assert read_certificate(str(tmp_path / "x.pem")).profile == ""


def test_who_signed_it(tmp_path: Path, authority: Authority) -> None:
    authority.store(tmp_path / "ours")
    Authority.new("BCM Cluster", key="ec").store(tmp_path / "theirs")
    path = str(tmp_path / "x.pem")
    authority.client(Subject("x"), "ro", days=-1, key="ec").write(tmp_path / "x.pem", tmp_path / "x.key")
    names = ("cacert.pem", "cluster.pem")
    assert is_signed_by(path, [str(tmp_path / "ours" / name) for name in names])
    assert not is_signed_by(path, [str(tmp_path / "theirs" / name) for name in names])


@pytest.mark.parametrize(
    "content", [b"", b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n", b"\xff", None]
)
def test_what_cannot_be_read_is_one_sentence(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.pem"
    if content is not None:
        path.write_bytes(content)
    for read, what in ((read_certificate, "certificate"), (read_public_key, "private key")):
        with pytest.raises(OpensslError) as error:
            read(str(path))
        assert str(error.value) == f"{path} cannot be read as a {what}"


def test_an_encrypted_key_does_not_ask(tmp_path: Path, authority: Authority) -> None:
    key = authority.client(Subject("x"), "ro", key="ec").key
    encrypted = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    )
    (tmp_path / "x.key").write_bytes(encrypted)
    with pytest.raises(OpensslError, match="private key"):
        read_public_key(str(tmp_path / "x.key"))


def test_no_openssl_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OpensslError, match="install it"):
        read_certificate("x")
