"""Sending what no client library would send: bodies that lie, half-sent requests, raw gRPC frames."""

import socket
import struct
import threading
import time

import h2.config
import h2.connection
import h2.events

from server import Answer

CHUNK = 1 << 20


def connect(address, timeout=60):
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=timeout)


def read_answer(connection) -> Answer | None:
    """The one answer on a connection; none where it was closed without one."""
    data = b""
    try:
        while b"\r\n\r\n" not in data:
            got = connection.recv(65536)
            if not got:
                return None
            data += got
        head, body = data.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.strip().title(): value.strip() for name, value in (line.split(":", 1) for line in lines[1:])}
        while len(body) < int(headers.get("Content-Length", 0)):
            got = connection.recv(65536)
            if not got:
                break
            body += got
        return Answer(int(lines[0].split()[1]), headers, body)
    except OSError:
        return None


def post(server, path, body, headers, chunked=False, timeout=60) -> Answer | None:
    """Posts a body and reads the answer while it is still sent: a refusal may come before the end."""
    connection = connect(server.ready["http"], timeout)
    answers = []
    reader = threading.Thread(target=lambda: answers.append(read_answer(connection)))
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    head = [f"POST {path} HTTP/1.1", f"Host: {server.ready['http']}", length, *(f"{name}: {value}" for name, value in headers.items())]
    try:
        connection.sendall("\r\n".join(head).encode() + b"\r\n\r\n")
        reader.start()
        for at in range(0, len(body), CHUNK):
            part = body[at:at + CHUNK]
            connection.sendall(f"{len(part):x}\r\n".encode() + part + b"\r\n" if chunked else part)
            if answers:
                break
        if chunked and not answers:
            connection.sendall(b"0\r\n\r\n")
    except OSError:
        pass  # closed while we sent: the answer, if there is one, says why
    reader.join(timeout)
    connection.close()
    return answers[0] if answers else None


class GrpcAnswer:
    def __init__(self, status, message):
        self.status, self.message = status, message

    def __repr__(self):
        return f"<grpc {self.status} {self.message!r}>"


CODES = ["OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
         "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE",
         "DATA_LOSS", "UNAUTHENTICATED"]
EXPORT = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"


def frame(message: bytes, compressed=False, length=None) -> bytes:
    """A gRPC message with its prefix, which may lie."""
    return struct.pack(">BI", compressed, len(message) if length is None else length) + message


def grpc(server, body: bytes, headers=None, path=EXPORT, end=True, timeout=30) -> GrpcAnswer | None:
    """Sends bytes as the body of a gRPC call; none where no status came."""
    connection = connect(server.ready["otlp_grpc"], timeout)
    h2c = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
    h2c.initiate_connection()
    fields = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "candor", "content-type": "application/grpc", "te": "trailers", **(headers or {})}
    h2c.send_headers(1, list(fields.items()))
    found, left, ended = {}, body, False
    deadline = time.monotonic() + timeout
    try:
        while time.monotonic() < deadline:
            while not ended and (left or end):
                room = min(h2c.local_flow_control_window(1), h2c.max_outbound_frame_size, len(left))
                if left and room <= 0:
                    break
                last = end and room == len(left)
                h2c.send_data(1, left[:room], end_stream=last)
                left = left[room:]
                ended = last
                connection.sendall(h2c.data_to_send())
                if not left and not end:
                    break
            connection.sendall(h2c.data_to_send())
            data = connection.recv(65536)
            if not data:
                break
            for event in h2c.receive_data(data):
                if isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
                    found |= dict(event.headers)
                elif isinstance(event, h2.events.DataReceived):
                    h2c.acknowledge_received_data(event.flow_controlled_length, 1)
                elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                    ended, left = True, b""
                    if "grpc-status" not in found:
                        return None
                if "grpc-status" in found:
                    return GrpcAnswer(CODES[int(found["grpc-status"])], found.get("grpc-message", ""))
    except OSError:
        pass
    finally:
        connection.close()
    return None
