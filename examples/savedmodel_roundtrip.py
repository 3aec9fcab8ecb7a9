"""Save a tf.function as a SavedModel, load it again, and hold its numbers against what they must be.

A script: it passes when it ends normally. Try it with
    tf-tester test examples/savedmodel_roundtrip.py --versions 2.4.0,2.8.0,2.12.0,2.16.1
"""

import os
import tempfile

import tensorflow as tf


class Scale(tf.Module):
    def __init__(self):
        super().__init__()
        self.factor = tf.Variable(3.0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def __call__(self, x):
        return self.factor * x + 1.0


folder = os.path.join(tempfile.mkdtemp(), "scale")
tf.saved_model.save(Scale(), folder)
loaded = tf.saved_model.load(folder)
answer = loaded(tf.constant([1.0, 2.0, 4.0])).numpy().tolist()
assert answer == [4.0, 7.0, 13.0], answer
print("SavedModel round trip:", answer)
