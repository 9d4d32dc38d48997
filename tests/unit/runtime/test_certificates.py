"""Certificates of an installation's own."""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from secrets_svc.core.errors import InvalidArgument, SecretsError
from secrets_svc.runtime.certificates import LEAF_LIFETIME, CertificateFiles, own_certificates

HOSTS = ("localhost", "127.0.0.1", "::1")


def leaf_of(files: CertificateFiles) -> x509.Certificate:
    return x509.load_pem_x509_certificate(files.cert.read_bytes())


def ca_of(files: CertificateFiles) -> x509.Certificate:
    assert files.ca is not None
    return x509.load_pem_x509_certificate(files.ca.read_bytes())


def handshake(files: CertificateFiles, host: str, ca: bytes) -> None:
    """Client and server in memory, with the standard library's own checks."""
    trust = ssl.create_default_context(cadata=ca.decode())
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trust.wrap_bio(to_client, to_server, server_hostname=host)
    server = files.context().wrap_bio(to_server, to_client, server_side=True)
    for _ in range(5):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert client.version() in ("TLSv1.2", "TLSv1.3")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "tls"


def test_clients_that_trust_the_ca_connect_by_every_name(folder: Path) -> None:
    files = own_certificates(folder, HOSTS)
    assert files.ca is not None
    for host in HOSTS:
        handshake(files, host, files.ca.read_bytes())
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(files, "example.org", files.ca.read_bytes())


def test_another_installations_ca_is_not_trusted(folder: Path, tmp_path: Path) -> None:
    files = own_certificates(folder, HOSTS)
    other = own_certificates(tmp_path / "other", HOSTS)
    assert other.ca is not None
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(files, "localhost", other.ca.read_bytes())


def test_the_certificate_says_what_it_is(folder: Path) -> None:
    files = own_certificates(folder, HOSTS)
    leaf, ca = leaf_of(files), ca_of(files)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address(each) for each in HOSTS[1:]]
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert ca.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert ca.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    for certificate in (leaf, ca):
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert key.curve.name == "secp256r1"
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == LEAF_LIFETIME


def test_keys_are_private(folder: Path) -> None:
    own_certificates(folder, HOSTS)
    assert folder.stat().st_mode & 0o777 == 0o700
    for key in folder.glob("*.key"):
        assert key.stat().st_mode & 0o777 == 0o600


def test_what_is_good_is_kept(folder: Path) -> None:
    first = leaf_of(own_certificates(folder, HOSTS))
    assert leaf_of(own_certificates(folder, HOSTS)) == first


def test_other_hosts_get_a_new_certificate_of_the_same_ca(folder: Path) -> None:
    before = own_certificates(folder, HOSTS)
    ca, leaf = ca_of(before), leaf_of(before)
    after = own_certificates(folder, (*HOSTS, "secrets.example"))
    assert ca_of(after) == ca
    assert leaf_of(after) != leaf
    assert isinstance(leaf_of(after).public_key(), ec.EllipticCurvePublicKey)
    assert after.ca is not None
    handshake(after, "secrets.example", after.ca.read_bytes())


def age(folder: Path, left: timedelta) -> x509.Certificate:
    """Put a certificate with ``left`` of its life there, of the same CA, key and names."""
    ca_key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
    leaf = x509.load_pem_x509_certificate((folder / "server.pem").read_bytes())
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    builder = x509.CertificateBuilder(extensions=list(leaf.extensions))
    builder = builder.subject_name(leaf.subject).issuer_name(leaf.issuer).public_key(leaf.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    end = datetime.now(UTC) + left
    old = (
        builder.not_valid_before(end - timedelta(days=90)).not_valid_after(end).sign(ca_key, hashes.SHA256())
    )
    (folder / "server.pem").write_bytes(old.public_bytes(serialization.Encoding.PEM))
    return old


@pytest.mark.parametrize(("left", "kept"), [(31, True), (29, False), (0, False), (-1, False)])
def test_it_is_renewed_when_a_third_of_its_life_is_left(folder: Path, left: int, kept: bool) -> None:
    ca = ca_of(own_certificates(folder, HOSTS))
    old = age(folder, timedelta(days=left, minutes=1))
    renewed = own_certificates(folder, HOSTS)
    assert (leaf_of(renewed) == old) is kept
    assert ca_of(renewed) == ca
    assert isinstance(leaf_of(renewed).public_key(), ec.EllipticCurvePublicKey)
    assert leaf_of(renewed).not_valid_after_utc > datetime.now(UTC) + timedelta(days=30)


def test_a_renewed_certificate_is_served_without_a_restart(folder: Path) -> None:
    files = own_certificates(folder, HOSTS)
    context = files.context()
    age(folder, timedelta(days=1))
    own_certificates(folder, HOSTS).load_into(context)
    assert files.ca is not None
    handshake(files, "localhost", files.ca.read_bytes())


def spoil_key(folder: Path) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    pem = other.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.key").write_bytes(pem)


SPOILED: dict[str, Callable[[Path], object]] = {
    "certificate cut off": lambda folder: (folder / "server.pem").write_bytes(b"-----BEGIN CERT"),
    "certificate gone": lambda folder: (folder / "server.pem").unlink(),
    "key gone": lambda folder: (folder / "server.key").unlink(),
    "key cut off": lambda folder: (folder / "server.key").write_bytes(b"-----BEGIN PRIV"),
    "another key": spoil_key,
    "CA gone": lambda folder: (folder / "ca.pem").unlink(),
    "CA's key gone": lambda folder: (folder / "ca.key").unlink(),
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED.keys())
def test_what_a_crash_left_behind_is_made_anew(folder: Path, spoil: Callable[[Path], object]) -> None:
    own_certificates(folder, HOSTS)
    spoil(folder)
    files = own_certificates(folder, HOSTS)
    assert files.ca is not None
    handshake(files, "localhost", files.ca.read_bytes())


@pytest.mark.parametrize("name", ["server.key", "ca.key"])
def test_a_key_that_others_can_read_is_refused(folder: Path, name: str) -> None:
    own_certificates(folder, HOSTS)
    (folder / name).chmod(0o644)
    with pytest.raises(InvalidArgument, match="chmod 600"):
        own_certificates(folder, (*HOSTS, "new.example") if name == "ca.key" else HOSTS)


@pytest.mark.parametrize("content", [b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", None])
def test_a_ca_that_cannot_be_used_is_told_of(folder: Path, content: bytes | None) -> None:
    own_certificates(folder, HOSTS)
    (folder / "ca.key").write_bytes(content or (folder / "server.key").read_bytes())
    (folder / "server.pem").unlink()
    with pytest.raises(SecretsError, match=r"ca\.key"):
        own_certificates(folder, HOSTS)


def test_a_brought_pair_that_does_not_fit_is_refused(folder: Path, tmp_path: Path) -> None:
    mine, other = own_certificates(folder, HOSTS), own_certificates(tmp_path / "other", HOSTS)
    with pytest.raises(InvalidArgument, match="can't be used"):
        CertificateFiles(mine.cert, other.key).context()
    with pytest.raises(InvalidArgument, match="can't be used"):
        CertificateFiles(tmp_path / "absent", other.key).context()


@pytest.mark.parametrize("name", ["ca.pem", "ca.key", "server.pem", "server.key"])
def test_a_folder_in_the_place_of_a_file_is_told_of(folder: Path, name: str) -> None:
    own_certificates(folder, HOSTS)
    (folder / name).unlink()
    (folder / name).mkdir()
    with pytest.raises(SecretsError, match=re.escape(name)):
        own_certificates(folder, (*HOSTS, "new.example"))


def test_a_folder_that_cannot_be_looked_into_is_told_of(folder: Path) -> None:
    own_certificates(folder, HOSTS)
    folder.chmod(0o600)
    program = (
        "import sys; from pathlib import Path\n"
        "from secrets_svc.core.errors import Unavailable\n"
        "from secrets_svc.runtime.certificates import own_certificates\n"
        "try: own_certificates(Path(sys.argv[1]), ('localhost',))\n"
        "except Unavailable as error: print(error)\n"
    )
    done = subprocess.run(
        [*without_root_power(), sys.executable, "-c", program, str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    folder.chmod(0o700)
    assert done.stdout == f"folder {folder} can't be looked into\n", done.stderr


def without_root_power() -> list[str]:
    """In front of a command of root's: files' modes count for it as for everybody, setpriv(1)."""
    if os.geteuid() != 0:
        return []
    powers = "-dac_override,-dac_read_search"
    return ["setpriv", "--bounding-set", powers, "--inh-caps", powers]
