"""Calls Doorward with grpcio and the stubs generated from its protos, on orders from standard input.

An order is a line of JSON: address, key, service, method, request (proto3 JSON). The answer is a line
of JSON: {"response": proto3 JSON, "metadata": the initial metadata} or
{"code", "message", "reason", "domain", "details", "metadata"}.
"""

import json
import sys

import grpc
from google.protobuf import json_format
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from doorward.v1 import authn_pb2, authn_pb2_grpc, keys_pb2, keys_pb2_grpc

SERVICES = {
    "authn": (authn_pb2, authn_pb2_grpc.AuthnServiceStub),
    "keys": (keys_pb2, keys_pb2_grpc.KeysServiceStub),
}
TIMEOUT = 20


def call(order):
    """Makes the call and tells what came of it."""
    messages, stub = SERVICES[order["service"]]
    message = getattr(messages, order["method"] + "Request")
    request = json_format.ParseDict(order.get("request", {}), message())
    metadata = [("authorization", "Bearer " + order["key"])] if order.get("key") else []
    with grpc.insecure_channel(order["address"]) as channel:
        method = getattr(stub(channel), order["method"])
        try:
            response, context = method.with_call(request, metadata=metadata, timeout=TIMEOUT)
        except grpc.RpcError as error:
            return refusal(error)
        return {
            "response": json_format.MessageToDict(response, preserving_proto_field_name=True),
            "metadata": dict(context.initial_metadata()),
        }


def refusal(error):
    """What a program sees of a refused call."""
    answer = {
        "code": error.code().name,
        "message": error.details(),
        "metadata": dict(error.initial_metadata()) | dict(text_of(error.trailing_metadata())),
        "details": [],
    }
    status = rpc_status.from_call(error)
    for detail in status.details if status else []:
        answer["details"].append(detail.type_url.rsplit("/", 1)[-1])
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            answer.update(reason=info.reason, domain=info.domain)
    return answer


def text_of(metadata):
    return [(name, value) for name, value in metadata if isinstance(value, str)]


def main():
    for line in sys.stdin:
        print(json.dumps(call(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
