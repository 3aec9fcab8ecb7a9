"""What any JAX does: a compiled function, a gradient, numbers that are saved and loaded."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest


def test_a_product_of_matrices():
    product = jax.jit(lambda a, b: a @ b)(jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([[5.0, 6.0], [7.0, 8.0]]))
    assert np.asarray(product).tolist() == [[19.0, 22.0], [43.0, 50.0]]


def test_numbers():
    found = jax.nn.softmax(jnp.array([1.0, 2.0, 3.0]))
    total = sum(math.exp(x) for x in (1, 2, 3))
    assert np.asarray(found).tolist() == pytest.approx([math.exp(x) / total for x in (1, 2, 3)], rel=1e-5)


def test_a_gradient():
    assert float(jax.grad(lambda x: x * x)(3.0)) == 6.0


def test_saved_numbers_are_loaded(tmp_path):
    saved = jnp.arange(6.0).reshape(2, 3)
    np.save(str(tmp_path / "numbers.npy"), np.asarray(saved))
    assert jnp.array_equal(jnp.asarray(np.load(str(tmp_path / "numbers.npy"))), saved)
