"""What is known of frameworks: data, one file each."""

from importlib.resources import files
from typing import Any

from tf_tester.core.settings import memory_size
from tf_tester.model.framework import Framework


def framework_of(package: str) -> Framework:
    """What is known of a package's framework; sensible defaults where nothing is."""
    import tomllib

    for file in sorted(files("tf_tester.frameworks").iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".toml") or file.name == "sdists.toml":
            continue
        text = file.read_text("utf-8")
        if f'"{package}"' not in text:
            continue
        table: dict[str, Any] = tomllib.loads(text)
        if package in table["packages"]:
            return Framework(
                title=table["title"],
                packages=tuple(table["packages"]),
                import_names=tuple(table.get("import_names", ())),
                internal=tuple(table.get("internal", ())),
                hands_on=tuple(table.get("hands_on", ())),
                lts=tuple(table.get("lts", ())),
                memory=memory_size(table["memory"]),
            )
    return Framework(title=package, packages=(package,))


def known_sdists() -> frozenset[str]:
    """Names whose source distributions may be built without asking."""
    import tomllib

    return frozenset(tomllib.loads(files("tf_tester.frameworks").joinpath("sdists.toml").read_text("utf-8"))["names"])
