"""What any TensorFlow does: a product, a gradient, a save and a load. From 1.13 on."""

import math

import pytest
import tensorflow as tf

IS_FIRST = tf.__version__.startswith("1.")


def value_of(build):
    """Return what a tensor is worth, in either major version."""
    if not IS_FIRST:
        return build().numpy()
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        return session.run(build())


def test_a_product_of_matrices():
    product = value_of(lambda: tf.matmul([[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]))
    assert product.tolist() == [[19.0, 22.0], [43.0, 50.0]]


def test_numbers():
    found = value_of(lambda: tf.nn.softmax(tf.constant([1.0, 2.0, 3.0])))
    total = sum(math.exp(x) for x in (1, 2, 3))
    assert found.tolist() == pytest.approx([math.exp(x) / total for x in (1, 2, 3)], rel=1e-5)


def test_a_gradient():
    if IS_FIRST:
        pytest.skip("TensorFlow 1 has sessions")
    x = tf.Variable(3.0)
    with tf.GradientTape() as tape:
        y = x * x
    assert float(tape.gradient(y, x)) == 6.0


def test_a_saved_model_is_loaded(tmp_path):
    if IS_FIRST:
        pytest.skip("TensorFlow 1 has sessions")
    module = tf.Module()
    module.double = tf.function(lambda x: 2.0 * x, input_signature=[tf.TensorSpec([None], tf.float32)])
    tf.saved_model.save(module, str(tmp_path / "model"))
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    assert loaded.double(tf.constant([1.0, 2.5])).numpy().tolist() == [2.0, 5.0]
