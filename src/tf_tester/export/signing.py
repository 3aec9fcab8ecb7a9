"""Ed25519 (RFC 8032) keys in PEM files, as OpenSSL makes them:

openssl genpkey -algorithm ed25519 -out key.pem
openssl pkey -in key.pem -pubout -out public.pem
openssl pkeyutl -verify -rawin -in manifest.json -sigfile manifest.json.sig -pubin -inkey public.pem
"""

from pathlib import Path

from tf_tester.errors import ConfigError, UsageError
from tf_tester.given_files import read_given


class Ed25519Key:
    """`ports.publish.Signer`; of a public key it can only verify."""

    def __init__(self, file: Path, *, to_sign: bool = False) -> None:
        """Read a key.

        Raises `ConfigError` where the file holds no such key, `UsageError` where the library is not installed.
        """
        try:
            from cryptography.exceptions import UnsupportedAlgorithm
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
            from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
        except ImportError as error:
            raise UsageError(
                "Signing needs a library that is not installed.",
                hint="Install it with `pip install 'tf-tester[sign]'`.",
            ) from error
        try:
            content = read_given(file)
        except OSError as error:
            raise ConfigError(
                f"The key {file} can't be read: {error.strerror}.",
                hint=f"Make one with `openssl genpkey -algorithm ed25519 -out {file.name}`.",
            ) from error
        try:
            key = load_pem_public_key(content) if b"PUBLIC KEY" in content else load_pem_private_key(content, None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise ConfigError(f"{file} is not a key in PEM without a password: {error}.") from error
        if not isinstance(key, Ed25519PrivateKey | Ed25519PublicKey):
            raise ConfigError(
                f"{file} is another kind of key.", hint="Make one with `openssl genpkey -algorithm ed25519`."
            )
        if to_sign and isinstance(key, Ed25519PublicKey):
            raise ConfigError(f"{file} is a public key, with which nothing can be signed.", hint="Give the other one.")
        self._private = key if isinstance(key, Ed25519PrivateKey) else None
        self._public = key.public_key() if isinstance(key, Ed25519PrivateKey) else key

    def sign(self, content: bytes) -> bytes:
        """Return the 64 bytes of a signature; only with a key that was asked for `to_sign`."""
        assert self._private is not None
        return self._private.sign(content)

    def verifies(self, content: bytes, signature: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature

        try:
            self._public.verify(signature, content)
        except InvalidSignature:
            return False
        return True
