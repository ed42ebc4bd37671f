"""What the doctor found, as text."""

__all__ = ["texts"]


def texts(findings: list[dict[str, str]], level: str) -> str:
    return "\n".join(finding["text"] for finding in findings if finding["level"] == level)
