"""Which grace gives old releases dependencies with which they can be imported.

    python bench/era.py locks FOLDER      # locks by rule; resolving only
    python bench/era.py differ FOLDER     # where the rules disagree, and what of it is a new major release
    python bench/era.py import FOLDER     # import the package with each lock in which the rules disagree so

The rules: 14 days for everything (`all`: a second more than the default, so that it is for major releases too), 2 days
for everything (`2d`), and the default (`majors`: 14 days, new major releases 2). The releases: tensorflow-cpu from 2.3
to 2.11, and two each of 60 other projects; the list was fixed before the first run. Real wheels, from whatever index
pip is set to; `--store` keeps what they bring. A project or rule can be named: `--only numba`, `--rule all`. Where a
folder has the locks of a project already, they stay.
"""

import argparse
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

RULES = {"all": "1209601s", "majors": "14d", "2d": "2d"}
TENSORFLOW = "tensorflow-cpu >=2.3,<2.12"
OTHERS = """
    pandas 1.2.0,1.5.3 | scikit-learn 0.24.2,1.2.2 | scipy 1.6.3,1.10.1 | matplotlib 3.4.3,3.7.1
    torch 1.10.2,2.0.1 | transformers 4.11.3,4.26.1 | datasets 1.18.4,2.9.0 | keras 2.8.0,2.11.0
    xgboost 1.5.2,1.7.5 | lightgbm 3.3.2,3.3.5 | statsmodels 0.13.2,0.14.0 | seaborn 0.11.2,0.12.2
    bokeh 2.4.3,3.1.0 | plotly 5.5.0,5.14.1 | dask 2022.2.0,2023.3.0 | distributed 2022.2.0,2023.3.0
    xarray 0.20.2,2023.1.0 | numba 0.55.1,0.56.4 | spacy 3.2.1,3.5.1 | gensim 4.1.2,4.3.1 | nltk 3.7,3.8.1
    flask 2.0.3,2.2.3 | django 3.2.12,4.1.7 | fastapi 0.70.1,0.95.0 | starlette 0.17.1,0.26.1
    pydantic 1.9.0,1.10.7 | sqlalchemy 1.4.31,2.0.7 | requests 2.27.1,2.28.2 | httpx 0.22.0,0.23.3
    aiohttp 3.8.1,3.8.4 | celery 5.2.3,5.2.7 | black 22.1.0,23.3.0 | pytest 6.2.5,7.2.2 | sphinx 4.4.0,6.1.3
    jupyterlab 3.2.9,3.6.3 | notebook 6.4.8,6.5.3 | ipython 7.31.1,8.11.0 | nbconvert 6.4.2,7.2.10
    jinja2 3.0.3,3.1.2 | streamlit 1.5.1,1.20.0 | gradio 2.7.5,3.23.0 | mlflow 1.23.1,2.2.2 | ray 1.10.0,2.3.1
    pyarrow 7.0.0,11.0.0 | scikit-image 0.19.2,0.20.0 | networkx 2.6.3,3.0 | geopandas 0.10.2,0.12.2
    rasterio 1.2.10,1.3.6 | librosa 0.9.1,0.10.0 | torchvision 0.11.3,0.15.1 | tensorboard 2.8.0,2.12.0
    tensorflow-datasets 4.5.2,4.8.3 | tensorflow-probability 0.16.0,0.19.0 | onnx 1.11.0,1.13.1
    onnxruntime 1.10.0,1.14.1 | optuna 2.10.0,3.1.0 | wandb 0.12.10,0.14.0 | pytorch-lightning 1.5.10,2.0.0
    tornado 6.1,6.2 | cryptography 36.0.1,40.0.1
"""
IMPORTED = {
    "tensorflow-cpu": "tensorflow",
    "scikit-learn": "sklearn",
    "scikit-image": "skimage",
    "ipython": "IPython",
}


def projects() -> Iterator[tuple[str, str]]:
    """Yield names and versions as `--versions` takes them, TensorFlow first."""
    for text in [TENSORFLOW, *re.split(r"[|\n]", OTHERS.strip())]:
        name, versions = text.split()
        yield name, versions


def ours(*words: str, store: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tf_tester", *words, "--store", store]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "TF_TESTER_COLOR": "never"})


def make_locks(folder: Path, store: str, only: str, rules: list[str]) -> None:
    for name, versions in projects():
        for rule in rules:
            target = folder / rule / name
            if (only and name != only) or target.is_dir():
                continue
            words = ("--package", name, "--versions", versions, "--grace", RULES[rule], "--dest", str(target))
            done = ours("lock", *words, store=store)
            told = [line for line in done.stderr.splitlines() if not line.startswith("downloaded")]
            print(name, rule, done.returncode, *told, flush=True)


def pins_in(file: Path) -> dict[str, str]:
    return {one["name"]: one["version"] for one in tomllib.loads(file.read_text("utf-8"))["packages"]}


def differences(folder: Path, rule: str) -> Iterator[tuple[Path, dict[str, tuple[str, str]]]]:
    """Yield the locks of the rule `all`, each with what another rule has otherwise: (its version, that of `all`)."""
    for file in sorted((folder / "all").glob("*/*.toml")):
        other = folder / rule / file.parent.name / file.name
        if other.is_file():
            late, early = pins_in(file), pins_in(other)
            names = sorted(late.keys() | early.keys())
            differing = {one: (early.get(one, "-"), late.get(one, "-")) for one in names}
            yield file, {one: pair for one, pair in differing.items() if pair[0] != pair[1]}


def tell_differences(folder: Path) -> None:
    for rule in ("majors", "2d"):
        found = list(differences(folder, rule))
        print(f"\n{rule}: {sum(bool(one) for _, one in found)} of {len(found)} locks differ from those of `all`")
        for file, pairs in found:
            if pairs and rule == "majors":
                print(f"  {_cell(file)}: " + ", ".join(f"{name} {a} ({b})" for name, (a, b) in pairs.items()))


def import_all(folder: Path, store: str, only: str) -> None:
    """Import with both locks wherever the default is another one than 14 days for everything."""
    for file, pairs in differences(folder, "majors"):
        name = file.parent.name
        if not pairs or (only and name != only):
            continue
        module = IMPORTED.get(name, name.replace("-", "_"))
        for rule in ("all", "majors"):
            lock = folder / rule / name / file.name
            command = ("--", "python", "-c", f"import {module}")
            done = ours("test", "--locked", str(lock), "--package", name, *command, store=store)
            why = next((line.strip() for line in done.stdout.splitlines() if "Error" in line), "")
            print(f"{_cell(file)}  {rule}: {'imports' if done.returncode == 0 else 'fails'}  {why}", flush=True)


def _cell(file: Path) -> str:
    return file.name.removeprefix("pylock.").removesuffix(".toml")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("locks", "differ", "import"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--store", default="bench-store")
    parser.add_argument("--only", default="")
    parser.add_argument("--rule", choices=tuple(RULES), action="append")
    options = parser.parse_args()
    match options.what:
        case "locks":
            make_locks(options.folder, options.store, options.only, options.rule or list(RULES))
        case "differ":
            tell_differences(options.folder)
        case _:
            import_all(options.folder, options.store, options.only)


if __name__ == "__main__":
    main()
