# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster's certificates: a CA of its own, server certificates, client certificates that carry a profile.

The profile is the X.509 extension 1.3.6.1.4.4324.1 and the system login .2.  The DER type inside is assumed to be
UTF8String (docs/stand_ins.md).
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Union

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PROFILE_OID = x509.ObjectIdentifier("1.3.6.1.4.4324.1")
SYSTEM_LOGIN_OID = x509.ObjectIdentifier("1.3.6.1.4.4324.2")
_UTF8_STRING = 0x0C
# BCM's node certificates run about 100 years.
CENTURY_DAYS = 36500
# The time stamp at which every simulated certificate may already be used, whatever the hosts' clocks say.
_START = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)

PrivateKey = Union[rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey]


class PkiError(ValueError):
    """A certificate or key that is missing or broken."""


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, in memory."""

    certificate: x509.Certificate
    key: PrivateKey

    def write(self, certificate_path: Path, key_path: Path) -> None:
        """Write both as PEM; the key is only for its owner."""
        write_private(key_path, key_pem(self.key))
        write_private(certificate_path, certificate_pem(self.certificate))


@dataclass(frozen=True)
class Subject:
    """The parts of a subject that cmsh's createcertificate asks for."""

    common_name: str
    organization: str = "NVIDIA Inc"
    organizational_unit: str = "Bright Licensing"
    locality: str = "Santa Clara"
    state: str = "California"
    country: str = "US"

    def name(self) -> x509.Name:
        parts = (
            (NameOID.COUNTRY_NAME, self.country),
            (NameOID.STATE_OR_PROVINCE_NAME, self.state),
            (NameOID.LOCALITY_NAME, self.locality),
            (NameOID.ORGANIZATION_NAME, self.organization),
            (NameOID.ORGANIZATIONAL_UNIT_NAME, self.organizational_unit),
            (NameOID.COMMON_NAME, self.common_name),
        )
        try:
            return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts if value])
        except ValueError as error:
            raise PkiError(f"the certificate's subject is not valid: {error}") from error


def new_key(kind: str) -> PrivateKey:
    """A private key: rsa<bits> or ec."""
    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=int(kind[3:]))


class Authority:
    """The cluster's CA: cluster.pem, signed by cacert.pem."""

    def __init__(self, root: x509.Certificate, pair: Pair) -> None:
        self.root = root
        self.pair = pair

    @classmethod
    def new(cls, cluster: str, key: str = "rsa2048") -> Authority:
        """A new root and a new cluster CA under it."""
        root_key = new_key(key)
        root_name = Subject("Simulated Licence CA").name()
        root = _sign(
            root_name,
            root_key.public_key(),
            issuer=root_name,
            issuer_key=root_key,
            days=CENTURY_DAYS,
            extensions=_ca_extensions(root_key, None),
        )
        cluster_key = new_key(key)
        certificate = _sign(
            Subject(cluster).name(),
            cluster_key.public_key(),
            issuer=root_name,
            issuer_key=root_key,
            days=CENTURY_DAYS,
            extensions=_ca_extensions(cluster_key, root_key),
        )
        return cls(root, Pair(certificate, cluster_key))

    @classmethod
    def load(cls, directory: Path) -> Authority:
        """The CA that `store` wrote to `directory` (cacert.pem, cluster.pem, cluster.key)."""
        return cls(
            load_certificate(directory / "cacert.pem"),
            Pair(load_certificate(directory / "cluster.pem"), load_key(directory / "cluster.key")),
        )

    def store(self, directory: Path, with_key: bool = True) -> None:
        """Write cacert.pem, cluster.pem and, unless told not to, cluster.key."""
        _write(directory / "cacert.pem", certificate_pem(self.root), 0o644)
        _write(directory / "cluster.pem", certificate_pem(self.pair.certificate), 0o644)
        if with_key:
            write_private(directory / "cluster.key", key_pem(self.pair.key))

    def bundle(self) -> bytes:
        """What a client verifies with: cacert.pem and cluster.pem in one."""
        return certificate_pem(self.root) + certificate_pem(self.pair.certificate)

    def server(
        self, name: str, alternative: Sequence[str], aki: bool = True, san: bool = True, key: str = "rsa2048"
    ) -> Pair:
        """A CMDaemon's server certificate; `alternative` are more host names and addresses of it."""
        server_key = new_key(key)
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False),
        ]
        if san:
            extensions.append(
                (x509.SubjectAlternativeName([_general_name(item) for item in (name, *alternative)]), False)
            )
        if aki:
            extensions.append((_key_identifier(self.pair.key), False))
        return self._issue(Subject(name), server_key, CENTURY_DAYS, extensions)

    def client(
        self,
        subject: Subject,
        profile: str,
        system_login: str = "",
        days: int = CENTURY_DAYS,
        *,
        key: str = "rsa2048",
        serial: int | None = None,
    ) -> Pair:
        """A client certificate with a profile; `days` counts from now and may be negative (expired)."""
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False),
            (_key_identifier(self.pair.key), False),
            (x509.UnrecognizedExtension(PROFILE_OID, _der_string(profile)), False),
        ]
        if system_login:
            extensions.append((x509.UnrecognizedExtension(SYSTEM_LOGIN_OID, _der_string(system_login)), False))
        return self._issue(subject, new_key(key), days, extensions, serial)

    def _issue(
        self,
        subject: Subject,
        key: PrivateKey,
        days: int,
        extensions: list[tuple[x509.ExtensionType, bool]],
        serial: int | None = None,
    ) -> Pair:
        signed = _sign(
            subject.name(),
            key.public_key(),
            issuer=self.pair.certificate.subject,
            issuer_key=self.pair.key,
            days=days,
            extensions=extensions,
            serial=serial,
        )
        return Pair(signed, key)


def signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether the CA signed the certificate."""
    # verify_directly_issued_by is newer than the distributions' cryptography.
    algorithm = certificate.signature_hash_algorithm
    public = authority.public_key()
    if certificate.issuer != authority.subject or algorithm is None:
        return False
    try:
        if isinstance(public, rsa.RSAPublicKey):
            public.verify(certificate.signature, certificate.tbs_certificate_bytes, padding.PKCS1v15(), algorithm)
        elif isinstance(public, ec.EllipticCurvePublicKey):
            public.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(algorithm))
        else:
            return False
    except InvalidSignature:
        return False
    return True


def profile_of(certificate: x509.Certificate) -> str | None:
    """The profile that a client certificate carries; None when it has none."""
    return _extension_text(certificate, PROFILE_OID)


def system_login_of(certificate: x509.Certificate) -> str | None:
    """The system login that a client certificate carries; None when it has none."""
    return _extension_text(certificate, SYSTEM_LOGIN_OID)


def common_name_of(certificate: x509.Certificate) -> str:
    """The certificate's common name, empty without one."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def load_certificate(path: Path) -> x509.Certificate:
    """The PEM certificate in `path`."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise PkiError(f"cannot read the certificate {path}: {_reason(error)}") from error


def load_key(path: Path) -> PrivateKey:
    """The unencrypted PEM private key in `path`."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise PkiError(f"cannot read the private key {path}: {_reason(error)}") from error
    if not isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)):
        raise PkiError(f"the private key {path} is neither RSA nor EC")
    return key


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """The certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key: PrivateKey) -> bytes:
    """The unencrypted key as PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, never readable by others in between."""
    _write(path, content, 0o600)


def _write(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as handle:
        os.fchmod(handle.fileno(), mode)
        handle.write(content)
    os.replace(temporary, path)


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else "it is not PEM"


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _key_identifier(issuer_key: PrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())


def _ca_extensions(key: PrivateKey, issuer_key: PrivateKey | None) -> list[tuple[x509.ExtensionType, bool]]:
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=True, path_length=None), True),
        (usage, True),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
    ]
    if issuer_key is not None:
        extensions.append((_key_identifier(issuer_key), False))
    return extensions


def _sign(
    subject: x509.Name,
    public_key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey,
    *,
    issuer: x509.Name,
    issuer_key: PrivateKey,
    days: int,
    extensions: list[tuple[x509.ExtensionType, bool]],
    serial: int | None = None,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(_START)
        .not_valid_after(now + datetime.timedelta(days=days))
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, hashes.SHA256())


def _der_string(text: str) -> bytes:
    content = text.encode()
    if len(content) > 127:
        raise PkiError(f"{text[:20]!r}... is too long for a certificate's extension")
    return bytes((_UTF8_STRING, len(content))) + content


def _extension_text(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str | None:
    try:
        value = certificate.extensions.get_extension_for_oid(oid).value
    except x509.ExtensionNotFound:
        return None
    raw = value.value if isinstance(value, x509.UnrecognizedExtension) else b""
    if len(raw) < 2 or raw[0] != _UTF8_STRING or raw[1] != len(raw) - 2:
        return None
    return raw[2:].decode("utf-8", "replace")
