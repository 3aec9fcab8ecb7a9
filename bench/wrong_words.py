"""Count the wrong command lines that end in an internal error, or never: every wrong word for every option.

Of every command, its arguments included.

    python bench/wrong_words.py [COMMAND …]

About five minutes on two cores.
"""

import socket
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.integration.conftest import User
from tests.simulator import Simulator
from tests.wheels import make_wheel
from tests.wrong_words import Invocation, invocations, prepare

PATIENCE = 60
"""Seconds."""
AT_ONCE = 2


def outcome(one: Invocation, users: "Queue[User]") -> str:
    """What came of it, in a word; with the command's own words where it is ours to mend."""
    user = users.get()
    try:
        process = user.start(*one.words)
        try:
            out, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(PATIENCE)
            return "hangs"
        if "mistake of ours" in err or "Traceback" in err:
            return f"internal error\n{out}{err}"
        return f"exit code {process.wait()}"
    finally:
        users.put(user)


def main() -> int:
    counts: Counter[str] = Counter()
    with TemporaryDirectory() as folder, Simulator() as index, socket.create_server(("127.0.0.1", 0)) as taken:
        for version in ("1.0", "2.0"):
            index.add_wheel(*make_wheel("toy", version), upload_time="2022-01-01T00:00:00Z")
        users: Queue[User] = Queue()
        for number in range(AT_ONCE):
            home = Path(folder, str(number))
            home.mkdir()
            user = User(home, index)
            prepare(user.folder)
            users.put(user)
        every = invocations(busy_port=taken.getsockname()[1])
        tried = [one for one in every if not sys.argv[1:] or " ".join(one.command) in sys.argv[1:]]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for one, came in zip(tried, pool.map(lambda one: outcome(one, users), tried), strict=True):
                counts[came.partition("\n")[0]] += 1
                if not came.startswith("exit code"):
                    print(f"{' '.join(one.command)} {one.parameter}: {one.wrong}: {came}", flush=True)
    for came, count in sorted(counts.items()):
        print(f"{count:6} {came}")
    return 1 if counts["hangs"] or counts["internal error"] else 0


if __name__ == "__main__":
    sys.exit(main())
