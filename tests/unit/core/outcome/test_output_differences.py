"""What a test prints, as far as it is compared between versions."""

import pytest

from tf_tester.core.outcome.output_differences import differing_output
from tf_tester.core.outcome.report import RunReport
from tf_tester.model.cell import Cell
from tf_tester.model.lock import Resolution
from tf_tester.model.outcome import CellResult, Outcome, TestRow


def differs(*printed: str) -> list[tuple[str, str]]:
    """Return the lines that differ between cells which print these texts, and the usual ones."""
    cells = [Cell.of("toy", f"{number}.0", "3.11", Resolution.ERA) for number in range(len(printed))]
    results = {
        cell.name: CellResult(cell.name, Outcome.PASS, tests=(TestRow("t", Outcome.PASS, stdout=text),))
        for cell, text in zip(cells, printed, strict=True)
    }
    return [(one.line, one.usual) for one in differing_output(RunReport(cells=tuple(cells), results=results))]


KERAS_2 = (
    "Epoch 1/1\n1/5 [=====>........................] - ETA: 0s - loss: 0.71\n"
    "3/5 [=================>............] - ETA: 0s - loss: 0.70\n"
    "5/5 [==============================] - 0s 2ms/step - loss: 0.6931\n"
)
KERAS_2_QUICK = "Epoch 1/1\n5/5 [==============================] - 1s 12ms/step - loss: 0.6931\n"
KERAS_3 = (
    "Epoch 1/1\n"
    "\x1b[1m1/5\x1b[0m \x1b[32m━━━━\x1b[0m\x1b[37m━━━━━━━━━━━━━━━━\x1b[0m \x1b[1m0s\x1b[0m 9ms/step - loss: 0.7\n"
    "\x1b[1m5/5\x1b[0m \x1b[32m━━━━━━━━━━━━━━━━━━━━\x1b[0m\x1b[37m\x1b[0m \x1b[1m0s\x1b[0m 2ms/step - loss: 0.6931\n"
)
TQDM = "\r  0%|          | 0/5 [00:00<?, ?it/s]\r 40%|████      | 2/5 [00:00<00:00, 19.9it/s]\rdone\n"
TQDM_QUICK = "\r100%|██████████| 5/5 [00:00<00:00, 5000.00it/s]\ndone\n"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (KERAS_2, KERAS_2_QUICK),
        (KERAS_2, KERAS_3),
        (KERAS_2.replace("\n", "\x08\x08\x08\r"), KERAS_2_QUICK.replace("Epoch 1/1\n", "")),
        (TQDM, TQDM_QUICK),
        ("100/100 [==============================] - 0s 0us/step\nok\n", "ok\r\n"),
        ("   ━━━━━━━━━━ 1.3/1.3 MB 2.3 MB/s eta 0:00:00\nok\n", "ok\n"),
    ],
)
def test_progress_bars_are_no_difference(one: str, other: str) -> None:
    assert differs(one, other) == []


def test_what_a_bar_says_besides_is_compared() -> None:
    [(line, usual)] = differs(KERAS_2, KERAS_2.replace("- loss", "- accuracy"))
    assert "accuracy" in line + usual


@pytest.mark.parametrize("line", ["[--------]", "[1.0, 2.0] a", "x [========] y"])
def test_what_counts_nothing_is_no_bar(line: str) -> None:
    assert differs(f"{line}\n", "other\n") != []
