"""What any ONNX Runtime does: loads a model and computes. The model, y = x + x, is written by hand as protobuf."""

import numpy as np
import onnxruntime


def field(number, content):
    return bytes([number << 3 | 2, len(content)]) + content


def integer(number, value):
    return bytes([number << 3, value])


def tensor(name):
    """Return a float tensor of two elements as `ValueInfoProto`."""
    shape = field(1, integer(1, 2))
    return field(1, name) + field(2, field(1, integer(1, 1) + field(2, shape)))


def model():
    """Return `ModelProto`: IR version 3, opset 7 (the oldest that ONNX Runtime documents)."""
    node = field(1, b"x") + field(1, b"x") + field(2, b"y") + field(4, b"Add")
    graph = field(1, node) + field(2, b"g") + field(11, tensor(b"x")) + field(12, tensor(b"y"))
    return integer(1, 3) + field(7, graph) + field(8, field(1, b"") + integer(2, 7))


def test_numbers():
    session = onnxruntime.InferenceSession(model(), providers=["CPUExecutionProvider"])
    found = session.run(None, {"x": np.array([1.5, -2.0], dtype=np.float32)})[0]
    assert found.tolist() == [3.0, -4.0]


def test_a_model_is_loaded(tmp_path):
    place = tmp_path / "model.onnx"
    place.write_bytes(model())
    session = onnxruntime.InferenceSession(str(place), providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_inputs()] == ["x"]
