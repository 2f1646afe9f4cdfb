"""What must not travel with the code: large files, and files that look like secrets."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

from fchains.packaging.places import Place, fault

LARGEST_FILE = 10 * 1024 * 1024
_SECRETS = (
    *(".env", ".env.*", "*.env", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.kdbx"),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", ".netrc", ".pypirc", ".npmrc", ".git-credentials"),
    *("credentials.json", "service-account*.json", "service_account*.json"),
)
_HARMLESS = ("*.example", "*.sample", "*.template", "*.pub")


def looks_secret(name: str) -> bool:
    """Whether a file's name is one that keys and passwords usually have."""
    lowered = name.rpartition("/")[2].lower()
    return any(fnmatchcase(lowered, pattern) for pattern in _SECRETS) and not any(
        fnmatchcase(lowered, pattern) for pattern in _HARMLESS
    )


def check_shippable(file: Path, name: str) -> None:
    """Refuse a file that does not belong into a bundle.

    Raises:
        DefinitionError: the file is larger than 10 MiB, or looks like a secret.
    """
    if looks_secret(name):
        raise fault(
            Place(str(file), 1),
            "",
            f"{name} looks like a secret, and would travel with the code",
            'pass it with @chainlet(secrets=["NAME"]) and read it with secret("NAME"), and take the file'
            " out of [tool.fchains] include; if it is none, give it another name",
        )
    size = file.stat().st_size
    if size > LARGEST_FILE:
        raise fault(
            Place(str(file), 1),
            "",
            f"{name} has {size / 2**20:.1f} MiB; files that travel with the code have at most"
            f" {LARGEST_FILE // 2**20} MiB",
            "put it into the image with Image.add_local_file(), or onto a Volume, and take it out of"
            " [tool.fchains] include",
        )
