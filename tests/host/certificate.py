"""A self-signed certificate, made by openssl for the tests that need one."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

NAME = "viperip.test"


@dataclass
class Certificate:
    """A key and its certificate, for NAME and localhost: PEM as servers want it, DER for tls."""

    key: Path
    pem: Path
    key_der: Path
    der: Path


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Made once: EC, as small boards have it."""
    folder = tmp_path_factory.mktemp("certificate")
    one = Certificate(
        folder / "key.pem", folder / "cert.pem", folder / "key.der", folder / "cert.der"
    )
    subject: list[object] = [
        "-subj",
        f"/CN={NAME}",
        "-addext",
        f"subjectAltName=DNS:{NAME},DNS:localhost",
    ]
    commands: list[list[object]] = [
        ["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", one.key],
        ["req", "-new", "-x509", "-key", one.key, "-out", one.pem, "-days", "30", *subject],
        ["x509", "-in", one.pem, "-outform", "DER", "-out", one.der],
        ["ec", "-in", one.key, "-outform", "DER", "-out", one.key_der],
    ]
    for words in commands:
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, timeout=30)
    return one
