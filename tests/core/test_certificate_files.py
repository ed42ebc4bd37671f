"""What the setting of the client's certificates may say."""

from pathlib import Path

import pytest

from webrtc_events.core.client_certificates import CertificateFiles, parse_client_certificates


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    (tmp_path / "key.pem").touch()
    file = tmp_path / "a.pem"
    file.touch()
    return file


def test_a_certificate_may_be_for_all_hosts_for_one_and_for_a_domain(pem: Path) -> None:
    key = pem.parent / "key.pem"
    raw = f"{pem}, Bank.Example={pem}:{key},*.clinic.example={pem}, [::1]={pem}"
    assert parse_client_certificates(raw) == (
        CertificateFiles("", pem, pem),
        CertificateFiles("bank.example", pem, key),
        CertificateFiles("*.clinic.example", pem, pem),
        CertificateFiles("::1", pem, pem),
    )


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        ("{pem}:{pem}x", "there is no such file"),
        ("nowhere.pem", "there is no such file"),
        ("a b={pem}", "no host"),
        ("*={pem}", "no host"),
        ("https://sink.example={pem}", "no host"),
        ("{pem},{pem}", "two certificates for all hosts"),
        ("a.example={pem},A.example.={pem}", "twice"),
        ("a.example=", "must be host=certificate:key"),
        ("a.example=:{pem}", "must be host=certificate:key"),
    ],
)
def test_what_is_wrong_is_named(raw: str, fault: str, pem: Path) -> None:
    with pytest.raises(ValueError, match=fault):
        parse_client_certificates(raw.format(pem=pem))
