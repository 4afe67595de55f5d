"""Delivery over TLS: the certificate must be valid for the name and the time, and by a trusted issuer."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from patience import PATIENCE_S

from volens.service.webhooks import DeliveryError, parse_target, request

NAME = "panel.example"


def certificate(folder: Path, name: str, days: int) -> Path:
    """Return a file with a key and a self-signed certificate, valid from 10 days ago for the given days."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    begin = datetime.now(UTC) - timedelta(days=10)
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    file = folder / "panel.pem"
    file.write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    return file


@contextmanager
def panel(file: Path, names: list[str | None]) -> Iterator[int]:
    """Answer one request over TLS; record the requested server name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    context.sni_callback = lambda _line, name, _context: names.append(name)

    def serve() -> None:
        line, _ = listening.accept()
        with line, suppress(OSError), context.wrap_socket(line, server_side=True) as tls:
            read = b""
            while not read.endswith(b"{}"):
                read += tls.recv(65536)
            tls.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(PATIENCE_S)
        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        thread.join()


def send(port: int, trust: Path | None) -> int:
    target = parse_target(f"https://{NAME}:{port}/in", allow_private=True)
    context = None if trust is None else ssl.create_default_context(cafile=trust)
    return request("POST", target, [ip_address("127.0.0.1")], {}, b"{}", timeout_s=PATIENCE_S, context=context).status


def test_the_server_name_is_sent_although_the_connection_goes_to_an_address(tmp_path: Path) -> None:
    names: list[str | None] = []
    file = certificate(tmp_path, NAME, 20)
    with panel(file, names) as port:
        assert send(port, file) == 204
    assert names == [NAME]


@pytest.mark.parametrize(("name", "days", "trusted"), [("other.example", 20, True), (NAME, 5, True), (NAME, 20, False)])
def test_a_certificate_of_another_name_time_or_issuer_is_refused(
    tmp_path: Path, name: str, days: int, *, trusted: bool
) -> None:
    file = certificate(tmp_path, name, days)
    with panel(file, []) as port, pytest.raises(DeliveryError, match="not trusted"):
        send(port, file if trusted else None)
