"""Beside TensorFlow, what protoc before 3.19 made of `message M { int32 x = 1; }`."""

import tensorflow as tf
from google.protobuf import descriptor as _descriptor

FILE = _descriptor.FileDescriptor(
    name="a.proto",
    package="",
    syntax="proto3",
    serialized_options=None,
    create_key=_descriptor._internal_create_key,
    serialized_pb=b'\n\x07a.proto"\x0e\n\x01M\x12\t\n\x01x\x18\x01 \x01(\x05b\x06proto3',
)
FIELD = _descriptor.FieldDescriptor(
    name="x",
    full_name="M.x",
    index=0,
    number=1,
    type=5,
    cpp_type=1,
    label=1,
    has_default_value=False,
    default_value=0,
    message_type=None,
    enum_type=None,
    containing_type=None,
    is_extension=False,
    extension_scope=None,
    serialized_options=None,
    file=FILE,
    create_key=_descriptor._internal_create_key,
)
MESSAGE = _descriptor.Descriptor(
    name="M",
    full_name="M",
    filename=None,
    file=FILE,
    containing_type=None,
    fields=[FIELD],
    extensions=[],
    nested_types=[],
    enum_types=[],
    serialized_options=None,
    is_extendable=False,
    syntax="proto3",
    extension_ranges=[],
    oneofs=[],
    serialized_start=11,
    serialized_end=25,
    create_key=_descriptor._internal_create_key,
)

assert tf.__version__
