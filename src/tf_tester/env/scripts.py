"""The programs that wheels bring, with first lines that name their environment's Python."""

import os
import shlex
import sys
from pathlib import Path

from tf_tester.model.host.layer import EntryPoint


def entry_script(entry: EntryPoint, python: Path) -> tuple[str, bytes]:
    """Return file name and content of the program that an entry point asks for."""
    from installer.scripts import Script

    script = Script(entry.name, entry.module, entry.attribute, "gui" if entry.gui else "console")
    kind = "posix" if sys.platform != "win32" else ("win-amd64" if sys.maxsize > 2**32 else "win-ia32")
    return script.generate(str(python), kind)  # type: ignore[arg-type]


def rewritten(script: Path, python: Path) -> bytes | None:
    """Return a wheel's script whose `#!python` names the environment's; None where it has no such line.

    Source: binary distribution format, «Recommended installer features», rewriting.
    """
    with script.open("rb") as stream:
        if stream.read(8) != b"#!python":
            return None
        _, end, rest = (b"#!python" + stream.read()).partition(b"\n")
    path = str(python)
    if len(path) > 120 or any(character.isspace() for character in path):
        # The kernel splits and cuts that line; a shell doesn't. To Python the three lines are a text.
        return f"#!/bin/sh\n'''exec' {shlex.quote(path)} \"$0\" \"$@\"\n' '''".encode() + end + rest
    return b"#!" + os.fsencode(path) + end + rest


def write_new(path: Path, content: bytes, *, executable: bool) -> None:
    """Write a file that is not there yet, whatever the umask says. Raises `FileExistsError`."""
    with path.open("xb") as stream:
        stream.write(content)
    path.chmod(0o755 if executable else 0o644)
