"""The messages of KServe v2 over gRPC that are needed here, made from their fields' numbers when first asked for.

The fields are those of the published ``inference`` package. They stand here instead of a generated module because
generated code works with few versions of protobuf, and those that bring it hold protobuf below what onnx installs.
"""

from __future__ import annotations

from functools import cache
from typing import Any

__all__ = ["SERVICE", "message"]

SERVICE = "inference.GRPCInferenceService"

_KINDS = {
    "double": 1,
    "float": 2,
    "int64": 3,
    "uint64": 4,
    "int32": 5,
    "bool": 8,
    "string": 9,
    "bytes": 12,
    "uint32": 13,
}
_MESSAGE = 11
_ONE, _MANY = 1, 3

# Message: (name, number, type); "*" before a type: repeated; "#": a map from text to that type.
_FIELDS: dict[str, tuple[tuple[str, int, str], ...]] = {
    "ServerReadyRequest": (),
    "ServerReadyResponse": (("ready", 1, "bool"),),
    "RepositoryIndexRequest": (("repository_name", 1, "string"), ("ready", 2, "bool")),
    "ModelIndex": (("name", 1, "string"), ("version", 2, "string"), ("state", 3, "string"), ("reason", 4, "string")),
    "RepositoryIndexResponse": (("models", 1, "*ModelIndex"),),
    "ModelMetadataRequest": (("name", 1, "string"), ("version", 2, "string")),
    "TensorMetadata": (("name", 1, "string"), ("datatype", 2, "string"), ("shape", 3, "*int64")),
    "ModelMetadataResponse": (
        ("name", 1, "string"),
        ("versions", 2, "*string"),
        ("platform", 3, "string"),
        ("inputs", 4, "*TensorMetadata"),
        ("outputs", 5, "*TensorMetadata"),
    ),
    "InferParameter": (
        ("bool_param", 1, "bool"),
        ("int64_param", 2, "int64"),
        ("string_param", 3, "string"),
        ("double_param", 4, "double"),
        ("uint64_param", 5, "uint64"),
    ),
    "InferTensorContents": (
        ("bool_contents", 1, "*bool"),
        ("int_contents", 2, "*int32"),
        ("int64_contents", 3, "*int64"),
        ("uint_contents", 4, "*uint32"),
        ("uint64_contents", 5, "*uint64"),
        ("fp32_contents", 6, "*float"),
        ("fp64_contents", 7, "*double"),
        ("bytes_contents", 8, "*bytes"),
    ),
    "InferTensor": (  # of the request and of the response alike
        ("name", 1, "string"),
        ("datatype", 2, "string"),
        ("shape", 3, "*int64"),
        ("parameters", 4, "#InferParameter"),
        ("contents", 5, "InferTensorContents"),
    ),
    "InferRequestedOutput": (("name", 1, "string"), ("parameters", 2, "#InferParameter")),
    "ModelInferRequest": (
        ("model_name", 1, "string"),
        ("model_version", 2, "string"),
        ("id", 3, "string"),
        ("parameters", 4, "#InferParameter"),
        ("inputs", 5, "*InferTensor"),
        ("outputs", 6, "*InferRequestedOutput"),
        ("raw_input_contents", 7, "*bytes"),
    ),
    "ModelInferResponse": (
        ("model_name", 1, "string"),
        ("model_version", 2, "string"),
        ("id", 3, "string"),
        ("parameters", 4, "#InferParameter"),
        ("outputs", 5, "*InferTensor"),
        ("raw_output_contents", 6, "*bytes"),
    ),
}


@cache
def message(name: str) -> Any:
    """The class of a message; both sides of a loopback test may use it."""
    from google.protobuf import message_factory

    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"inference.{name}"))


@cache
def _pool() -> Any:
    """A pool of their own, so that they live beside any other copy of the package."""
    from google.protobuf import descriptor_pb2, descriptor_pool

    file = descriptor_pb2.FileDescriptorProto(name="m4i_fast/kserve.proto", package="inference", syntax="proto3")
    for name, fields in _FIELDS.items():
        described = file.message_type.add(name=name)
        one_of = name == "InferParameter"
        if one_of:
            described.oneof_decl.add(name="parameter_choice")
        for field, number, kind in fields:
            row = described.field.add(name=field, number=number, label=_MANY if kind[0] in "*#" else _ONE)
            bare = kind.lstrip("*#")
            row.type = _KINDS.get(bare, _MESSAGE)
            if one_of:
                row.oneof_index = 0
            if kind[0] == "#":
                entry = "".join(part.capitalize() for part in field.split("_")) + "Entry"
                pair = described.nested_type.add(name=entry)
                pair.options.map_entry = True
                pair.field.add(name="key", number=1, type=_KINDS["string"], label=_ONE)
                pair.field.add(name="value", number=2, type=_MESSAGE, type_name=f".inference.{bare}", label=_ONE)
                row.type_name = f".inference.{name}.{entry}"
            elif row.type == _MESSAGE:
                row.type_name = f".inference.{bare}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool
