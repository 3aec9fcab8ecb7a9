"""Whether a process may be forked right after the import of a framework: what `forks` in its file rests on.

    python bench/forks.py scikit-learn --versions 1.0.2,1.3.2,1.7.2 [--python 3.11] [--store FOLDER]

In a sandboxed cell of each version a process imports the framework and is forked three times for each task, one fork
after the other; a fork that isn't over after a minute hangs. Each task runs in a process of its own, too: a fork is
right if it comes to the same. Tasks are in `TASKS`; an exit status of 1 means that some fork was not right.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

TIMES = 3
SECONDS = 60

TASKS = {
    "scikit-learn": {
        "imports": "import numpy, scipy, joblib, sklearn, sklearn.linear_model, sklearn.ensemble, sklearn.pipeline",
        "fit": """
from sklearn.linear_model import LogisticRegression
model = LogisticRegression().fit(X, y)
print(numpy.round(model.predict_proba(X[:3]), 6).tolist())
""",
        "threads": """
from sklearn.ensemble import RandomForestClassifier
model = RandomForestClassifier(n_estimators=20, random_state=7, n_jobs=2).fit(X, y)
print(numpy.round(model.predict_proba(X[:3]), 6).tolist())
""",
        "OpenMP": """
from sklearn.experimental import enable_hist_gradient_boosting
from sklearn.ensemble import HistGradientBoostingClassifier
model = HistGradientBoostingClassifier(max_iter=10, random_state=7).fit(X, y)
print(numpy.round(model.predict_proba(X[:3]), 6).tolist())
""",
        "processes": """
from joblib import Parallel, delayed
print(sum(Parallel(n_jobs=2)(delayed(abs)(-number) for number in range(8))))
""",
        "save and load": """
import os, tempfile
from sklearn.svm import SVC
path = os.path.join(tempfile.mkdtemp(), "model")
joblib.dump(SVC(random_state=7).fit(X, y), path)
print(joblib.load(path).predict(X[:9]).tolist())
""",
        "before": "X = numpy.random.RandomState(7).rand(300, 6); y = (X.sum(axis=1) > 3).astype(int)",
    },
    "numpy": {
        "imports": "import numpy, numpy.linalg, numpy.fft",
        "BLAS": "print(float(numpy.round((X @ X.T).sum(), 3)))",
        "LAPACK": "print(numpy.round(numpy.linalg.svd(X[:60, :60], compute_uv=False)[:3], 6).tolist())",
        "threads": """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(4) as pool:
    print(sum(pool.map(lambda _: float(numpy.round((X @ X.T).sum(), 3)), range(8))))
""",
        "processes": """
import multiprocessing
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(numpy.round(pool.map(numpy.linalg.norm, [X, X, X]), 6).tolist())
""",
        "save and load": """
import os, tempfile
path = os.path.join(tempfile.mkdtemp(), "a.npy")
numpy.save(path, X)
print(float(numpy.round(numpy.load(path).sum(), 6)))
""",
        "before": "X = numpy.random.RandomState(7).rand(500, 500)",
    },
    "tensorflow-cpu": {
        "imports": "import numpy, tensorflow as tf",
        "fit": """
tf.random.set_seed(7)
model = tf.keras.Sequential([tf.keras.layers.Dense(4, activation="relu"), tf.keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(X, X.sum(axis=1), epochs=2, verbose=0)
print(model.predict(X[:2], verbose=0).shape)
""",
        "tf.data": """
data = tf.data.Dataset.range(100).map(lambda x: x * 2, num_parallel_calls=4).batch(10).prefetch(2)
print(sum(int(tf.reduce_sum(one)) for one in data))
""",
        "threads": """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(4) as pool:
    print(sum(pool.map(lambda x: float(tf.add(x, 1.0)), [1.0, 2.0, 3.0])))
""",
        "save and load": """
import os, tempfile
path = os.path.join(tempfile.mkdtemp(), "saved")
module = tf.Module()
module.double = tf.function(lambda x: 2 * x, input_signature=[tf.TensorSpec([None], tf.float32)])
tf.saved_model.save(module, path)
print(tf.saved_model.load(path).double(tf.constant([1.0, 2.0])).numpy().tolist())
""",
        "before": "X = numpy.random.RandomState(7).rand(64, 3).astype('float32')",
    },
}
CHECK = """
import json, os, signal, subprocess, sys, tempfile, time
tasks, times, seconds = json.loads({tasks!r}), {times}, {seconds}
if len(sys.argv) > 1:
    exec(tasks["imports"]); exec(tasks["before"]); exec(tasks[sys.argv[1]])
    raise SystemExit

def after_fork(task):
    said = tempfile.TemporaryFile("w+")
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.dup2(said.fileno(), 1)
        try:
            exec(tasks["before"], globals()); exec(tasks[task], globals())
            sys.stdout.flush()
        except BaseException as error:
            os.write(1, repr(error).encode())
        os._exit(0)
    end = time.monotonic() + seconds
    while not os.waitpid(pid, os.WNOHANG)[0]:
        if time.monotonic() > end:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return "hangs"
        time.sleep(0.01)
    said.seek(0)
    return said.read()

names = [name for name in tasks if name not in ("imports", "before")]
own = {{}}
for task in names:
    command = [sys.executable, sys.argv[0], task]
    own[task] = subprocess.run(command, stdout=subprocess.PIPE, universal_newlines=True).stdout
exec(tasks["imports"])
sys.stdout.flush()
found = {{task: [after_fork(task) for _ in range(times)] for task in names}}
for task, answers in found.items():
    print("TASK", json.dumps([task, own[task], answers]))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", choices=TASKS)
    parser.add_argument("--versions", required=True)
    parser.add_argument("--python")
    parser.add_argument("--store", type=Path)
    asked = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        tasks = json.dumps(TASKS[asked.package])
        Path(folder, "check.py").write_text(CHECK.format(tasks=tasks, times=TIMES, seconds=SECONDS), encoding="utf-8")
        words = [
            "test",
            "check.py",
            "--package",
            asked.package,
            "--versions",
            asked.versions,
            "--timeout",
            "1h",
            "--json",
        ]
        words += ["--python", asked.python] if asked.python else []
        words += ["--store", str(asked.store)] if asked.store else []
        done = subprocess.run(
            [sys.executable, "-m", "tf_tester", *words], cwd=folder, stdout=subprocess.PIPE, text=True, check=False
        )
    for event in map(json.loads, done.stdout.splitlines()):
        if event["event"] == "cell-finished":
            wrong += tell(event["result"])
    return 1 if wrong else 0


def tell(result: dict[str, object]) -> int:
    """Print what one version came to; return how many forks were not right."""
    wrong = 0
    tests = result["tests"]
    assert isinstance(tests, list)
    lines = [line for row in tests for line in row["stdout"].splitlines() if line.startswith("TASK ")]
    told = []
    for task, own, answers in (json.loads(line[5:]) for line in lines):
        right = sum(answer == own != "" for answer in answers)
        wrong += len(answers) - right
        odd = next((answer for answer in answers if answer != own), "").strip()[:60]
        told.append(f"{task} {right} of {len(answers)}" + (f" ({odd!r}, not {own.strip()[:60]!r})" if odd else ""))
    wrong += not lines
    print(f"{result['cell']}: {result['outcome']} {result['summary']}; {'; '.join(told)}")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
