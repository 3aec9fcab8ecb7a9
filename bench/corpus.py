"""Count the wrong inputs of tests/corpus of which comes what is wanted; write their policies into the documentation.

python bench/corpus.py [--write docs/reference/faults.md]
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.corpus.results import ANSWERS, KINDS, results, table

BEGIN, END = "| what is wrong |", "\n\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    good = count = 0
    for kind in (*KINDS.values(), ANSWERS):
        found = list(results(kind))
        right = sum(one.is_as_wanted for one in found)
        print(f"{kind.told:26} {right} of {len(found)}")
        for one in found:
            if not one.is_as_wanted:
                print(f"  {one.group.wrong}: {one.case}: {one.came}")
        good, count = good + right, count + len(found)
    print(f"{'all':26} {good} of {count}")
    if options.write is not None:
        text = options.write.read_text()
        begin = text.index(BEGIN)
        options.write.write_text(text[:begin] + table() + text[text.index(END, begin) + 1 :])
    return 0 if good == count else 1


if __name__ == "__main__":
    sys.exit(main())
