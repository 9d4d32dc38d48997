"""Certificates of an installation's own: a CA and a server certificate, both ECDSA P-256."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from secrets_svc.core.errors import InvalidArgument, Unavailable
from secrets_svc.core.private_files import private_folder, write_private
from secrets_svc.runtime.files import read_private

CA_LIFETIME = timedelta(days=3650)
LEAF_LIFETIME = timedelta(days=90)
#: A leaf is replaced when this much of its life is left.
RENEW_BEFORE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """PEM files; ``ca`` is what clients trust, absent where the operator brings the certificate."""

    cert: Path
    key: Path
    ca: Path | None = None

    def context(self) -> ssl.SSLContext:
        """A server context, TLS 1.2 or later."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.load_into(context)
        return context

    def load_into(self, context: ssl.SSLContext) -> None:
        """(Re)load into ``context``: connections from then on get the new certificate."""
        try:
            context.load_cert_chain(self.cert, self.key)
        except (OSError, ssl.SSLError):
            raise InvalidArgument(f"certificate {self.cert} and key {self.key} can't be used") from None


def own_certificates(folder: Path, hosts: tuple[str, ...]) -> CertificateFiles:
    """The installation's own CA and server certificate for ``hosts``, made or renewed as need be.

    :param folder: made 0700. :param hosts: DNS names and IP addresses.
    :raises InvalidArgument: a key is open to others, or the CA can't be used.
    :raises Unavailable: the folder can't be used.
    """
    private_folder(folder)
    files = CertificateFiles(folder / "server.pem", folder / "server.key", folder / "ca.pem")
    ca_key_file, ca_file = folder / "ca.key", folder / "ca.pem"
    if not _are_there(ca_key_file, ca_file):
        ca_key, ca = _make_ca()
        write_private(ca_key_file, _pem(ca_key))
        write_private(ca_file, ca.public_bytes(serialization.Encoding.PEM))
    if not _is_good(files, ca_file, hosts):
        ca_key, ca = _load_ca(ca_key_file, ca_file)
        key, leaf = _make_leaf(ca_key, ca, hosts)
        write_private(files.key, _pem(key))
        write_private(files.cert, leaf.public_bytes(serialization.Encoding.PEM))
    read_private(files.key, "the webhook's key")
    return files


def _are_there(*files: Path) -> bool:
    try:
        return all(file.exists() for file in files)
    except OSError as error:
        raise Unavailable(f"folder {files[0].parent} can't be looked into") from error


def _is_good(files: CertificateFiles, ca_file: Path, hosts: tuple[str, ...]) -> bool:
    if not _are_there(files.cert, files.key):
        return False
    try:
        leaf = x509.load_pem_x509_certificate(files.cert.read_bytes())
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        key = serialization.load_pem_private_key(files.key.read_bytes(), None)
        leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(ca_file.read_bytes()))
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound, OSError):
        return False
    fits = key.public_key() == leaf.public_key()
    return fits and set(names) == set(_names(hosts)) and leaf.not_valid_after_utc - _now() > RENEW_BEFORE


def _load_ca(key_file: Path, cert_file: Path) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    unusable = InvalidArgument(
        f"{key_file} and {cert_file} are no usable CA: remove both, and let clients trust the new one"
    )
    try:
        key = serialization.load_pem_private_key(read_private(key_file, "the CA's key"), None)
        ca = x509.load_pem_x509_certificate(cert_file.read_bytes())
    except (ValueError, TypeError, OSError):
        raise unusable from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != ca.public_key():
        raise unusable
    return key, ca


def _make_ca() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "secrets-svc CA")])
    builder = _builder(name, name, key.public_key(), CA_LIFETIME)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(ca=True), critical=True)
    subject_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return key, builder.add_extension(subject_id, critical=False).sign(key, hashes.SHA256())


def _make_leaf(
    ca_key: ec.EllipticCurvePrivateKey, ca: x509.Certificate, hosts: tuple[str, ...]
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "secrets-svc")])
    builder = _builder(name, ca.subject, key.public_key(), LEAF_LIFETIME)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(ca=False), critical=True)
    server = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    builder = builder.add_extension(server, critical=False)
    builder = builder.add_extension(x509.SubjectAlternativeName(_names(hosts)), critical=False)
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    return key, builder.add_extension(issuer_id, critical=False).sign(ca_key, hashes.SHA256())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, lifetime: timedelta
) -> x509.CertificateBuilder:
    start = _now() - timedelta(minutes=10)  # clocks differ
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(start).not_valid_after(start + lifetime)


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _names(hosts: tuple[str, ...]) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = []
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    return names


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _now() -> datetime:
    return datetime.now(UTC)
