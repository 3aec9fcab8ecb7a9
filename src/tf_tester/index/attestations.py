"""Attestations of files (PEP 740): who built a file, signed where it was built, beside the index's word for its hash.

What one proves: some workflow of the named repository signed this file name and this SHA-256. It does not prove that
the repository is the project's: the index says so, and an index that lies can name its own. So the publisher of a
project is remembered at first sight; another one later is told. Verified by `pypi-attestations`, PyPA's own, which
needs 46 MB and is therefore an extra: `pip install 'tf-tester[attestations]'`.
"""

import importlib.util
import logging
from collections.abc import Callable

from tf_tester.errors import ConfigError, DownloadFailed, Unverified
from tf_tester.model.artifact import Artifact
from tf_tester.model.events import TransferTrouble
from tf_tester.model.source import AUTHORITY
from tf_tester.ports.memory import Memos
from tf_tester.ports.tell import Tell

EXTRA = "pip install 'tf-tester[attestations]'"


Verify = Callable[[bytes, str, str], str]
"""Who has signed: of the provenance object, the file name and its SHA-256. Raises `Unverified`."""


class Attestations:
    """Looks at a file's attestations before the file is brought."""

    def __init__(
        self,
        get: Callable[[str], bytes],
        publishers: Memos[str],
        tell: Tell,
        *,
        required: bool,
        verify: Verify | None = None,
    ) -> None:
        """Prepare checks. `get`: a small file by its address; raises `DownloadFailed`. `publishers`: by project.

        Raises `ConfigError` where they are required and nothing is there that could verify them.
        """
        self._get = get
        self._publishers = publishers
        self._tell = tell
        self._required = required
        self._verify = verify or (verified_by if is_installed() else None)
        if required and self._verify is None:
            raise ConfigError("Attestations can't be verified here.", hint=f"Install what it takes: {EXTRA}")

    def check(self, artifact: Artifact) -> str:
        """Return who has signed a file; empty where it isn't known.

        Raises `DownloadFailed` where it isn't what was signed.
        """
        if artifact.provenance is None or self._verify is None or artifact.sha256 is None:
            if self._required:
                raise DownloadFailed(
                    f"{artifact.filename} has no attestation, and --attestations require asks for one",
                    hint="Most projects have none yet; use --attestations check.",
                )
            return ""
        try:
            signer = self._verify(self._get(artifact.provenance), artifact.filename, artifact.sha256)
        except DownloadFailed as error:
            if self._required:
                raise
            self._say(artifact, f"its attestation can't be had: {error.message}")
            return ""
        except Unverified as error:
            raise DownloadFailed(
                f"{artifact.filename} is not what its attestation says",
                hint="Ask the project; with --attestations off it is taken for its hash alone.",
                detail=str(error),
            ) from error
        before = self._publishers.recall(artifact.project)
        if before and before != signer:
            self._say(artifact, f"signed by {signer}; earlier files of {artifact.project} by {before}")
        self._publishers.remember(artifact.project, signer)
        return signer

    def _say(self, artifact: Artifact, reason: str) -> None:
        self._tell(TransferTrouble(artifact.filename, AUTHORITY, reason))


def is_installed() -> bool:
    return importlib.util.find_spec("pypi_attestations") is not None


def verified_by(provenance: bytes, filename: str, sha256: str) -> str:
    """Return the publisher, of the first attestation that fits; all that are there must. Raises `Unverified`.

    Without a network: by the roots of trust that come with sigstore.
    """
    from pydantic import ValidationError
    from pypi_attestations import AttestationError, Distribution, Provenance
    from sigstore.errors import Error

    logging.getLogger("sigstore").setLevel(logging.ERROR)  # it warns of each look without a network
    try:
        found = Provenance.model_validate_json(provenance)
        distribution = Distribution(name=filename, digest=sha256)
        signers = []
        for bundle in found.attestation_bundles:
            for attestation in bundle.attestations:
                attestation.verify(bundle.publisher, distribution, offline=True)
                signers.append(_publisher(bundle.publisher))
    except (AttestationError, ValidationError, Error, ValueError, OSError) as error:
        raise Unverified(f"{type(error).__name__}: {error}") from error
    if not signers:
        raise Unverified("it holds no attestation")
    return signers[0]


def _publisher(publisher: object) -> str:
    """Return a publisher in words, such as `GitHub owner/repository`."""
    names = ("repository", "email", "vcs_origin")
    where = next((value for name in names if (value := getattr(publisher, name, None))), "")
    return f"{getattr(publisher, 'kind', '')} {where}".strip()
