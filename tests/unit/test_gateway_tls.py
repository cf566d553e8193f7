"""Engines behind TLS, as hosted ones are."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.gateways import Fake, Got, Line, ask, chat, run, serving, talk, until

from eke.errors import BadInput
from eke.gateway.engines.address import address


def certified(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's side, and the file of the certificate that it signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an engine")])
    now = datetime.now(UTC)
    built = x509.CertificateBuilder(
        subject_name=name,
        issuer_name=name,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(days=1),
        not_valid_after=now + timedelta(days=1),
    )
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = built.add_extension(names, critical=False).sign(key, hashes.SHA256())
    pem, private = folder / "engine.pem", folder / "engine.key"
    pem.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem, private)
    return context, pem


def test_engines_behind_tls_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls, pem = certified(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))

    async def script(got: Got, to: Line) -> None:
        assert got.headers["host"] == f"127.0.0.1:{fake.port}"
        await talk(tokens=300)(got, to)

    fake = Fake(script, tls=tls)

    async def work() -> None:
        async with serving(fake) as house:
            whole = await ask(house, body=chat())
            assert whole.status == 200 and whole.json()["usage"]["completion_tokens"] == 300
            stream = await ask(house, body=chat(stream=True))
            assert stream.status == 200 and len(stream.events()) > 300
            assert len(fake.lines) <= 3  # kept open

    run(work())


def test_engines_that_nobody_vouches_for_get_nothing(tmp_path: Path) -> None:
    tls, _ = certified(tmp_path)

    async def work() -> None:
        fake = Fake(tls=tls)
        await fake.start()
        async with serving(Fake(), facts={"url": fake.url}, ready=False) as house:
            await until(lambda: "certificate" in house.gateway.engines[0].trouble.lower())
            assert (await ask(house, body=chat())).status == 503
            assert not fake.got
        await fake.stop()

    run(work())


@pytest.mark.parametrize("more", ["", "?api-version=1", "#v1"])
@pytest.mark.parametrize("who", ["me:secret@", ""])
def test_addresses_have_no_more_than_is_sent(who: str, more: str) -> None:
    if not (who or more):
        assert address("https://api.example.com/v1").path == "/v1"
        return
    with pytest.raises(BadInput, match="more than a host and a path") as error:
        address(f"https://{who}api.example.com/v1{more}")
    assert "secret" not in str(error.value)
