"""A certificate authority that lives as long as a cluster."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_AGO = datetime.timedelta(minutes=5)
_VALID = datetime.timedelta(days=30)


@dataclass(frozen=True)
class Pair:
    """Files of a certificate and its key, in PEM."""

    certificate: Path
    key: Path

    @classmethod
    def named(cls, folder: Path, name: str) -> Pair:
        """Where the pair of that name lies."""
        return cls(folder / f"{name}.crt", folder / f"{name}.key")


class Authority:
    """Issues certificates into a folder. All keys are P-256, which takes no time."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        """Take up the authority of that name, or make it."""
        self.folder = folder
        self.own = Pair.named(folder, name)
        if self.own.key.exists():
            key = load_pem_private_key(self.own.key.read_bytes(), None)
            assert isinstance(key, EllipticCurvePrivateKey)
            self._key = key
            self._name = x509.load_pem_x509_certificate(self.own.certificate.read_bytes()).subject
            return
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._key = generate_private_key(SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"secrets-svc kube {name}")])
        identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        builder = (
            self._builder(self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(identifier, critical=False)
        )
        self._write(self.own, builder, self._key)

    def issue(
        self, name: str, subject: str, *, groups: Sequence[str] = (), hosts: Sequence[str] = ()
    ) -> Pair:
        """A certificate for clients, and for servers at ``hosts`` (names and addresses).

        :param name: of the files.
        :param subject: the common name: for Kubernetes, the user.
        :param groups: the organizations: for Kubernetes, the user's groups.
        """
        key = generate_private_key(SECP256R1())
        parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        usage = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            self._builder(x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, subject)]), key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
            .add_extension(issuer, critical=False)
        )
        if hosts:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False
            )
        return self._write(Pair.named(self.folder, name), builder, key)

    def signing_pair(self, name: str) -> None:
        """A private key ``NAME.key`` and its public half ``NAME.pub``, for tokens: no certificate."""
        key = generate_private_key(SECP256R1())
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (self.folder / f"{name}.pub").write_bytes(public)
        _write_key(self.folder / f"{name}.key", key)

    def _builder(self, subject: x509.Name, key: EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        begins = datetime.datetime.now(datetime.UTC) - _AGO
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(begins + _VALID)
        )

    def _write(self, pair: Pair, builder: x509.CertificateBuilder, key: EllipticCurvePrivateKey) -> Pair:
        certificate = builder.sign(self._key, SHA256())
        pair.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
        _write_key(pair.key, key)
        return pair


def _write_key(path: Path, key: EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
