"""Lines that set a mirror where there is no file to write: images, CI, a shell."""

from enum import StrEnum
from urllib.parse import urlsplit

from tf_tester.errors import UsageError


class Form(StrEnum):
    """Of whose configuration the lines are a part."""

    DOCKERFILE = "dockerfile"
    GITHUB = "github"
    GITLAB = "gitlab"
    ENV = "env"


def lines_for(form: Form, url: str, *, timeout: int, apt: str | None) -> list[str]:
    """Return the lines of a form.

    `apt`: where the mirror has Debian and Ubuntu, each below its own name; None where it isn't known.

    Raises `UsageError` for an address that holds a password: these lines are kept in public places.
    """
    if urlsplit(url).password:
        raise UsageError(
            "The mirror's address holds a password, which would stay in the image or in the repository.",
            hint="Use a secret of your builder, such as `RUN --mount=type=secret`.",
        )
    settings = {
        "PIP_INDEX_URL": url,
        "PIP_DEFAULT_TIMEOUT": str(timeout),
        "UV_DEFAULT_INDEX": url,
        "UV_HTTP_TIMEOUT": str(timeout),
        "PDM_PYPI_URL": url,
    }
    match form:
        case Form.DOCKERFILE:
            return [*_apt(apt), *_arguments(settings)]
        case Form.GITHUB:
            return ["env:", *(f'  {name}: "{value}"' for name, value in settings.items())]
        case Form.GITLAB:
            return ["variables:", *(f'  {name}: "{value}"' for name, value in settings.items())]
        case Form.ENV:
            return [f"export {name}='{value}'" for name, value in settings.items()]


def _arguments(settings: dict[str, str]) -> list[str]:
    """Return arguments of the build: they don't stay in the image, and can be given with --build-arg."""
    return [
        "# For the build alone: what runs in the image later is not bound to the mirror.",
        *(f"ARG {name}={value}" for name, value in settings.items()),
    ]


def _apt(base: str | None) -> list[str]:
    if base is None:
        return []
    # Without TLS, as images have no certificates yet: apt checks signatures.
    base = base.replace("https://", "http://", 1).rstrip("/")
    names = "debian|debian-security|ubuntu|ubuntu-ports"
    return [
        "# Packages of Debian and Ubuntu, whose signatures are checked.",
        "RUN find /etc/apt -name '*.list' -o -name '*.sources' | xargs -r sed -i -E \\",
        f"    's#https?://[^/ ]+/({names})(/| |$)#{base}/\\1\\2#g'",
    ]
