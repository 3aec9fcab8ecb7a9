"""The files that name mirrors: ours, `mirrors.toml` beside this, and the user's."""

from importlib.resources import files
from pathlib import Path

from tf_tester.core.index.mirror_list import MirrorList, mirror_list
from tf_tester.errors import ConfigError
from tf_tester.given_files import read_given

FILE = "mirrors.toml"


def known_mirrors(file: Path | None = None) -> MirrorList:
    """Return what both files say. Raises `ConfigError`.

    `file`: the user's, which needn't be there; None: in the user's configuration folder.
    """
    file = user_file() if file is None else file
    try:
        theirs = read_given(file)
    except (FileNotFoundError, NotADirectoryError):
        theirs = b""
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror}.") from error
    return mirror_list(files("tf_tester.index").joinpath(FILE).read_bytes(), theirs, shown=str(file))


def user_file() -> Path:
    """Return where the user's file is, if there is one."""
    import platformdirs

    return platformdirs.user_config_path("tf-tester", appauthor=False) / FILE
