"""What any NumPy does: a product, sums, numbers that are saved and loaded."""

import numpy as np
import pytest


def test_a_product_of_matrices():
    product = np.array([[1.0, 2.0], [3.0, 4.0]]).dot(np.array([[5.0, 6.0], [7.0, 8.0]]))
    assert product.tolist() == [[19.0, 22.0], [43.0, 50.0]]


def test_numbers():
    assert np.linalg.solve([[2.0, 0.0], [0.0, 4.0]], [2.0, 2.0]).tolist() == [1.0, 0.5]
    assert np.fft.fft([1.0, 0.0, 0.0, 0.0]).real.tolist() == pytest.approx([1.0] * 4)
    assert np.std([1.0, 2.0, 3.0, 4.0]) == pytest.approx(1.118033988749895)


def test_saved_numbers_are_loaded(tmp_path):
    saved = np.arange(6.0).reshape(2, 3)
    np.savez(str(tmp_path / "numbers.npz"), saved=saved)
    assert np.array_equal(np.load(str(tmp_path / "numbers.npz"))["saved"], saved)
