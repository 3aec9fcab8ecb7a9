"""A small Keras model must learn a straight line; tests for pytest.

    tf-tester test examples/test_keras_training.py --versions minors --last 4
"""

import numpy as np
import pytest
import tensorflow as tf


@pytest.fixture
def line():
    x = np.linspace(-1, 1, 64, dtype="float32").reshape(-1, 1)
    return x, 2 * x + 1


def test_learns_a_line(line):
    tf.random.set_seed(1)
    model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
    model.compile(optimizer=tf.keras.optimizers.SGD(0.1), loss="mse")
    history = model.fit(*line, epochs=20, batch_size=16, verbose=0)
    assert history.history["loss"][-1] < 0.05


def test_saves_as_hdf5(line, tmp_path):
    model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
    model.build((None, 1))
    model.save(str(tmp_path / "line.h5"))
    loaded = tf.keras.models.load_model(str(tmp_path / "line.h5"))
    assert np.allclose(model.predict(line[0], verbose=0), loaded.predict(line[0], verbose=0))


def test_old_learning_rate_argument():
    """`lr` was renamed; some versions take it, some warn, some refuse."""
    optimizer = tf.keras.optimizers.Adam(lr=0.05)
    assert float(np.asarray(optimizer.learning_rate)) == pytest.approx(0.05)
