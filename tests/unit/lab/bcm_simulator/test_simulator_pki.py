# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import stat
from pathlib import Path

import pytest
from bcm_simulator.pki import (
    PROFILE_OID,
    Authority,
    PkiError,
    Subject,
    common_name_of,
    load_certificate,
    load_key,
    profile_of,
    signed_by,
    system_login_of,
)
from cryptography import x509


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.new("Test cluster", key="ec")


def test_the_profile_is_in_the_extension(authority: Authority) -> None:
    pair = authority.client(Subject("rolemon"), "exporter-ro", "peter", 10, key="ec", serial=42)
    assert PROFILE_OID.dotted_string == "1.3.6.1.4.4324.1"
    assert (profile_of(pair.certificate), system_login_of(pair.certificate)) == ("exporter-ro", "peter")
    assert (common_name_of(pair.certificate), pair.certificate.serial_number) == ("rolemon", 42)


def test_a_certificate_without_login_has_no_such_extension(authority: Authority) -> None:
    assert system_login_of(authority.client(Subject("x"), "readonly", key="ec").certificate) is None
    assert profile_of(authority.root) is None


def test_store_and_load_keep_the_ca_and_private_keys_private(authority: Authority, tmp_path: Path) -> None:
    authority.store(tmp_path)
    again = Authority.load(tmp_path)
    pair = again.client(Subject("x"), "readonly", key="ec")
    assert signed_by(pair.certificate, authority.pair.certificate)
    assert signed_by(authority.pair.certificate, authority.root)
    assert not signed_by(pair.certificate, Authority.new("Test cluster", key="ec").pair.certificate)
    pair.write(tmp_path / "x.pem", tmp_path / "x.key")
    for name in ("x.pem", "x.key", "cluster.key"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert load_key(tmp_path / "x.key").private_numbers() == pair.key.private_numbers()


@pytest.mark.parametrize("aki", [True, False])
@pytest.mark.parametrize("san", [True, False])
def test_server_certificates_by_switch(authority: Authority, aki: bool, san: bool) -> None:
    extensions = authority.server("head", ["10.0.0.1"], aki, san, "ec").certificate.extensions
    names = {extension.oid for extension in extensions}
    assert (x509.AuthorityKeyIdentifier.oid in names) is aki
    assert (x509.SubjectAlternativeName.oid in names) is san


def test_broken_files_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("no pem")
    with pytest.raises(PkiError, match="it is not PEM"):
        load_certificate(tmp_path / "x")
    with pytest.raises(PkiError, match="it is not PEM"):
        load_key(tmp_path / "x")
    with pytest.raises(PkiError, match="No such file"):
        load_certificate(tmp_path / "none")
    with pytest.raises(PkiError, match="subject is not valid"):
        Subject("x", country="Germany").name()
