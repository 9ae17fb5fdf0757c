"""A collector: takes exports over HTTP or gRPC, reads them with the official messages, tells of each in a line.

It says that it is ready, and listens once it is told a line; then it tells its port. An export's line has
what was taken: its signal, the fields that came with it, the message as JSON, and its bytes. PROTOCOL is http or grpc, PORT where to listen (0: anywhere), REFUSE
how many exports are put off first, REJECT how many parts of each are not taken.
"""

import json
import os
import sys
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as traces_grpc

PORT = int(os.environ.get("PORT", "0"))
lock = threading.Lock()
left_to_refuse = int(os.environ.get("REFUSE", "0"))
REJECT = int(os.environ.get("REJECT", "0"))


def tell(line):
    with lock:
        print(json.dumps(line), flush=True)


def refuses():
    global left_to_refuse
    with lock:
        left_to_refuse -= 1
        return left_to_refuse >= 0


def taken(signal, fields, message, raw):
    tell({"signal": signal, "fields": fields, "message": MessageToDict(message), "raw": raw.decode("latin-1")})


def answer(signal):
    if signal == "traces":
        return traces.ExportTraceServiceResponse(partial_success={"rejected_spans": REJECT})
    return metrics.ExportMetricsServiceResponse(partial_success={"rejected_data_points": REJECT})


class Http(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    kinds = {
        "/v1/traces": ("traces", traces.ExportTraceServiceRequest),
        "/v1/metrics": ("metrics", metrics.ExportMetricsServiceRequest),
    }

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["content-length"]))
        if refuses():
            return self.say(503, b"")
        assert self.headers["content-type"] == "application/x-protobuf", self.headers
        signal, kind = self.kinds[self.path]
        fields = {name.lower(): value for name, value in self.headers.items()}
        taken(signal, fields, kind.FromString(raw), raw)
        self.say(200, answer(signal).SerializeToString())

    def say(self, status, body):
        self.send_response(status)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def export(signal, request, context):
    if refuses():
        context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
    fields = {key: value for key, value in context.invocation_metadata()}
    taken(signal, fields, request, request.SerializeToString())
    return answer(signal)


class Traces(traces_grpc.TraceServiceServicer):
    def Export(self, request, context):
        return export("traces", request, context)


class Metrics(metrics_grpc.MetricsServiceServicer):
    def Export(self, request, context):
        return export("metrics", request, context)


tell({"ready": True})
sys.stdin.readline()
if os.environ["PROTOCOL"] == "http":
    server = ThreadingHTTPServer(("127.0.0.1", PORT), Http)
    tell({"port": server.server_port})
    threading.Thread(target=server.serve_forever, daemon=True).start()
else:
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    traces_grpc.add_TraceServiceServicer_to_server(Traces(), server)
    metrics_grpc.add_MetricsServiceServicer_to_server(Metrics(), server)
    port = server.add_insecure_port(f"127.0.0.1:{PORT}")
    server.start()
    tell({"port": port})

# Whoever started it holds the other end.
sys.stdin.read()
