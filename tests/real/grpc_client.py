"""Asks the health service at HOST:PORT: unary answers, an error in trailers, and the first message of a stream."""
import json
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

channel = grpc.insecure_channel(sys.argv[1])
stub = health_pb2_grpc.HealthStub(channel)
for service in ["", "bank", "shop"]:
    answer, call = stub.Check.with_call(health_pb2.HealthCheckRequest(service=service), timeout=10)
    print(json.dumps(["check", service, answer.status, call.code().name]))
try:
    stub.Check(health_pb2.HealthCheckRequest(service="none such"), timeout=10)
except grpc.RpcError as error:
    print(json.dumps(["check", "none such", error.code().name, error.details()]))
stream = stub.Watch(health_pb2.HealthCheckRequest(service="bank"), timeout=10)
print(json.dumps(["watch", next(stream).status]))
stream.cancel()
