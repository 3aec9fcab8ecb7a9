"""Compile the sources that each job on standard input names, read-only; runs in the tested interpreter.

A job is ``[folder, seen_at, sources]`` as ``marshal`` writes it, format 2, which every Python reads. Its file names are
those of the place where the sources will be seen; elsewhere the import system corrects them (`_fix_co_filename`). A job
is answered with a line when its last source is done.

Python 3.6 syntax, stdlib only, and of that what Python has at its start anyway: `json` and `py_compile` would be more
than half of what a small wheel takes. Unchecked-hash bytecode, so that no file times matter (PEP 552); Python 3.6 has
only the timestamped kind, for which all sources carry one fixed time.
"""

import sys

del sys.path[0]  # the folder of this file: nothing is imported from there

import _imp  # noqa: E402
import importlib._bootstrap_external as external  # noqa: E402
import marshal  # noqa: E402
import os  # noqa: E402
import warnings  # noqa: E402

UNCHECKED_HASH = 1
LARGEST_SOURCE = 8 << 20
MOST_MEMORY = 2 << 30
"""Bytes: a wheel of a few kilobytes can have a source that takes all there is. What is beyond gets no bytecode."""


def main():
    warnings.simplefilter("ignore")
    limit_memory()
    while True:
        try:
            folder, seen_at, sources = marshal.load(sys.stdin.buffer)
        except EOFError:
            return
        for source in sources:
            try:
                compile_one(folder, seen_at, source)
            except Exception:
                # Files for another Python are normal in a wheel: importing them says so, if anybody does.
                continue
        sys.stdout.write("done\n")
        sys.stdout.flush()


def limit_memory():
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    except (ImportError, OSError, ValueError):
        pass  # not every system has it, or it is lower already


def compile_one(folder, seen_at, source):
    path = os.path.join(folder, source)
    if os.stat(path).st_size > LARGEST_SOURCE:
        return
    with open(path, "rb") as file:
        text = file.read()
    code = compile(text, os.path.join(seen_at, source), "exec", dont_inherit=True)
    place, name = os.path.split(path)
    os.makedirs(os.path.join(place, "__pycache__"), exist_ok=True)
    target = os.path.join(place, "__pycache__", "%s.%s.pyc" % (name[:-3], sys.implementation.cache_tag))
    written = "%s.%d" % (target, os.getpid())
    with open(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb") as file:
        file.write(external.MAGIC_NUMBER + header(path, text) + marshal.dumps(code))
    os.chmod(written, 0o644)
    os.replace(written, target)


def header(path, text):
    if sys.version_info < (3, 7):
        return little(int(os.stat(path).st_mtime)) + little(len(text))
    return little(UNCHECKED_HASH) + _imp.source_hash(int.from_bytes(external.MAGIC_NUMBER, "little"), text)


def little(number):
    return (number & 0xFFFFFFFF).to_bytes(4, "little")


main()
