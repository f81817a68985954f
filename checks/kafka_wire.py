"""Kafka's protocol with the message definitions of kafka-python: any version of any request, and what came back."""

import socket
import struct

from kafka.protocol import metadata
from kafka.protocol.api_header import ResponseClassRegistry
from kafka.record.default_records import DefaultRecordBatchBuilder

WAIT_S = 15


class Connection:
    """A connection that speaks whatever version it is told to."""

    def __init__(self, address: str):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=WAIT_S)
        self.correlation = 0

    def ask(self, kind, version: int, **fields):
        """The answer to a request; ConnectionError where the broker hangs up instead."""
        self.correlation += 1
        request = filled(kind, kind._struct.fields, fields, version)
        request.with_header(correlation_id=self.correlation, client_id="versions")
        self.socket.sendall(request.encode(version=version, header=True, framed=True))
        frame = self.take(struct.unpack(">i", self.take(4))[0])
        answer = ResponseClassRegistry._response_class_registry[kind.API_KEY].decode(frame, version=version, header=True)
        assert answer.header.correlation_id == self.correlation
        # ApiVersions has the old header in every version (KIP-511).
        header = 5 if kind.flexible_version_q(version) and kind is not metadata.ApiVersionsRequest else 4
        answer._header = None
        read = header + len(answer.encode(version=version))
        assert read == len(frame), f"{len(frame)} bytes came, of which {read} were read"
        return answer

    def take(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            part = self.socket.recv(count - len(found))
            if not part:
                raise ConnectionError("the broker hung up")
            found += part
        return found


def filled(kind, fields, values: dict, version: int | None = None):
    """A message of these values, lists of dicts becoming lists of its parts. What a version lacks is left out by it."""
    made = {}
    for name, value in values.items():
        field = fields[name]
        if field.is_struct_array() and value is not None:
            value = [filled(field.data_class, field.fields, part) for part in value]
        elif field.is_struct() and value is not None:
            value = filled(field.data_class, field.fields, value)
        made[name] = value
    return kind(version=version, **made) if version is not None else kind(**made)


def errors(answer) -> set[int]:
    """All error codes within an answer."""
    found = set()

    def look(value):
        if isinstance(value, dict):
            for name, part in value.items():
                if name.endswith("error_code"):
                    found.add(part)
                look(part)
        elif isinstance(value, list):
            for part in value:
                look(part)

    look(answer.to_dict())
    return found


def batch(count=3, ids=(-1, -1), sequence=-1, transactional=False, value=b"v") -> bytes:
    """A record batch, of the producer with this id and epoch."""
    builder = DefaultRecordBatchBuilder(magic=2, compression_type=0, is_transactional=transactional, producer_id=ids[0], producer_epoch=ids[1], base_sequence=sequence,
                                        batch_size=1 << 20)
    for n in range(count):
        builder.append(n, timestamp=1_700_000_000_000 + n, key=b"k", value=value, headers=[])
    return bytes(builder.build())
