"""Secrets of ten kinds in each of 29 places of an event, through every protocol: none is readable anywhere afterwards, and
the harmless canary beside each is found by the same search. Beside it, what Sentry's Relay leaves readable of the same
events."""

import base64
import collections
import concurrent.futures
import contextlib
import itertools
import json
import random
import time
import urllib.parse

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

import matrix
import matrix_places as places
import matrix_relay
from server import Server, envelope, fresh_name, kafka_settings
from test_leaks import everything

PROJECT, TOPIC = "matrix", "matrix.events"
# Values of this topic are stored as they were sent: what the search has to find.
OPAQUE_TOPIC, CONTROL = "matrix.opaque", "opaque topic"
TABLES = ("logs", "errors", "spans")
# The tables and topics that take each protocol's records.
TAKES = {"Sentry": ("errors",), "OTLP logs": ("logs",), "OTLP traces": ("spans",), "Logflare": ("logs",), "HTTP": ("logs",), "Kafka": ()}
BATCH = 60
WAIT_S = 30
PAGE_ROWS = 1000
# How the table shows a cell.
CLEAN, READABLE, REFUSED, IMPOSSIBLE = ".", "X", "r", " "


class Cell:
    """One secret at one place of one protocol, and the canary beside it."""

    def __init__(self, protocol, place, kind, number, secret):
        self.protocol, self.place, self.kind, self.number = protocol, place, kind, number
        self.plant = places.Plant(secret, f"{matrix.CANARY_MARK}{number:05}z")
        self.refused = False

    def __repr__(self):
        return f"{self.protocol}: {self.place}: {matrix.KINDS[self.kind][0]}"


class Cells:
    """All cells. Those of one family of kinds have no secret in common."""

    def __init__(self):
        self.all, self.numbers, self.of_family = [], itertools.count(1), collections.defaultdict(lambda: itertools.count(1))

    def of(self, protocol, at_places, make):
        """The cells of a protocol that its places can hold, each with what `make` builds of its place and plant."""
        found = []
        for place in at_places:
            for kind, (_, secret) in matrix.KINDS.items():
                family = matrix.CARDS if kind in matrix.CARDS else kind
                cell = Cell(protocol, place, kind, next(self.numbers), secret(next(self.of_family[family])))
                built = make(place, cell.plant)
                if built is not None:
                    self.all.append(cell)
                    found.append((cell, built))
        return found


class Sent:
    """Everything that was sent: by cell its bytes, the events, and what was answered."""

    def __init__(self):
        self.bytes, self.events, self.answers = {}, {}, bytearray()


def send_over_http(server, project, cells, sent):
    token = {"Authorization": f"Bearer {project['ingest_token']}"}
    key = {"X-Sentry-Auth": f"Sentry sentry_key={project['dsn'].split('//')[1].split('@')[0]}, sentry_version=7"}

    def post(path, body, kind="application/json", headers=token):
        answer = server.request("POST", path, body, {**headers, "Content-Type": kind})
        assert answer.status in (200, 202) and b"rejected" not in answer.body, (path, answer)
        sent.answers += str(answer.headers).encode() + answer.body

    def send(records, send_chunk):
        for at in range(0, len(records), BATCH):
            send_chunk([record for _, record in records[at:at + BATCH]])

    sent.events = {cell: {"platform": "python", **members} for cell, members in cells.of("Sentry", places.EVENT, places.event)}
    envelopes = {cell: envelope([("event", event)]) for cell, event in sent.events.items()}
    sent.bytes |= envelopes
    # One event a request.
    with concurrent.futures.ThreadPoolExecutor(8) as senders:
        list(senders.map(lambda body: post(f"/api/{project['number']}/envelope/", body, "application/x-sentry-envelope", key), envelopes.values()))
    for signal, build in (("logs", places.otlp_logs), ("traces", places.otlp_traces)):
        records = cells.of(f"OTLP {signal} JSON", places.RECORD, places.record)
        send(records, lambda chunk: post(f"/v1/{signal}", json.dumps(build(chunk)).encode()))
        sent.bytes |= {cell: json.dumps(build([record])).encode() for cell, record in records}
        records = cells.of(f"OTLP {signal} protobuf", places.RECORD, places.record)
        send(records, lambda chunk: post(f"/v1/{signal}", places.protobuf(build(chunk)).SerializeToString(), "application/x-protobuf"))
        # As text: numbers are no digits in it.
        sent.bytes |= {cell: str(places.protobuf(build([record]))).encode() for cell, record in records}
    records = cells.of("Logflare", places.RECORD, lambda *at: as_shipped(places.logflare, *at))
    send(records, lambda chunk: post("/api/logs?source_name=matrix", json.dumps({"batch": chunk}).encode()))
    sent.bytes |= {cell: json.dumps(record).encode() for cell, record in records}
    records = cells.of("HTTP", places.RECORD, lambda *at: as_shipped(places.better_stack, *at))
    send(records, lambda chunk: post("/", json.dumps(chunk).encode()))
    sent.bytes |= {cell: json.dumps(record).encode() for cell, record in records}


def as_shipped(shipper, place, plant):
    record = places.record(place, plant)
    return record and shipper(record)


def send_over_kafka(project, cells, sent):
    config = kafka_settings(project)
    admin = AdminClient(config)
    created = admin.create_topics([NewTopic(TOPIC, 4), NewTopic(OPAQUE_TOPIC, 1, config={"candor.values": "opaque"})])
    for made in created.values():
        made.result(WAIT_S)
    records = [(TOPIC, cell, (None, json.dumps(event), None)) for cell, event in cells.of("Kafka JSON", places.EVENT, places.event)]
    own = lambda place, plant: places.KAFKA[place](plant)
    records += [(TOPIC, cell, record) for cell, record in cells.of("Kafka", places.KAFKA, own)]
    records += [(OPAQUE_TOPIC, cell, record) for cell, record in cells.of(CONTROL, ["text", "key", "header"], own)]
    producer = Producer({**config, "linger.ms": 5})
    failed = {}

    def send(some):
        for topic, cell, (key, value, headers) in some:
            parts = [part.encode() for part in (key, value) if part is not None]
            sent.bytes[cell] = b"\n".join([*parts, *(part for name, value in headers or [] for part in (name.encode(), value))])
            producer.produce(topic, value, key=key, headers=headers, on_delivery=lambda error, _, cell=cell: error and failed.update({cell: error}))
        assert producer.flush(WAIT_S) == 0

    # Numbers that a rule strikes are refused, and their batch with them: these come alone.
    is_number = lambda record: record[1].plant.secret.is_number or record[1].place == places.NUMBER
    send(record for record in records if not is_number(record))
    for record in filter(is_number, records):
        send([record])
    for cell, error in failed.items():
        assert error.name() == "INVALID_RECORD", (cell, error)
        sent.answers += str(error).encode()
        cell.refused = True


def read_topics(project, topics) -> dict[str, bytes]:
    """Everything that a Kafka client reads of topics: keys, values, headers."""
    consumer = Consumer({**kafka_settings(project), "group.id": fresh_name(), "auto.offset.reset": "earliest", "enable.partition.eof": True})
    found, ended = collections.defaultdict(bytearray), set()
    partitions = {(topic, n) for topic in topics for n in consumer.list_topics(topic, timeout=WAIT_S).topics[topic].partitions}
    consumer.subscribe(topics)
    until = time.monotonic() + WAIT_S
    while ended < partitions:
        assert time.monotonic() < until, f"not read to the end: {partitions - ended}"
        for message in consumer.consume(500, timeout=0.5):
            if message.error():
                ended.add((message.topic(), message.partition()))
                continue
            headers = [part for name, value in message.headers() or [] for part in (name.encode(), value or b"")]
            found[f"topic {message.topic()}"] += b"\n".join([message.key() or b"", message.value() or b"", *headers, b""])
    consumer.close()
    return {name: bytes(data) for name, data in found.items()}


def read_tables(server, topics) -> dict[str, bytes]:
    found = {}
    for table in (*TABLES, *(f'stream."{topic}"' for topic in topics)):
        done = server.cli("query", "--project", PROJECT, "--format", "ndjson", f"SELECT * FROM {table}")
        found[f"table {table}"] = (done.stdout + done.stderr).encode()
    return found


def search(server, table, **how) -> bytes:
    answer = server.api("GET", "/api/v1/search?" + urllib.parse.urlencode({"project": PROJECT, "table": table, "limit": PAGE_ROWS, **how}))
    assert answer.status == 200, answer
    return answer.body


def read_searches(server) -> dict[str, bytes]:
    """Every page of every table's search, with its counts and commonest values, the issues, and the counters."""
    found = {}
    for table in TABLES:
        pages, cursor = [], ""
        while cursor is not None:
            pages.append(search(server, table, cursor=cursor))
            cursor = json.loads(pages[-1])["cursor"]
        found[f"search {table}"] = b"\n".join(pages)
    found["issues"] = server.api("GET", f"/api/v1/issues?project={PROJECT}&limit=1000").body
    found["metrics"] = server.request("GET", "/metrics").body
    return found


def rows_found(server, text) -> int:
    """Rows that the search language finds by a text, in all tables."""
    return sum(json.loads(search(server, table, q=f'"{text}"', limit=1))["total"] for table in TABLES)


class Stored:
    """What was sent, and everything that may be read afterwards."""

    def __init__(self, cells, sent, found, asked):
        self.all, self.sent, self.found, self.asked = cells.all, sent, found, asked
        self.cells = [cell for cell in cells.all if cell.protocol != CONTROL]
        self.controls = [cell for cell in cells.all if cell.protocol == CONTROL]
        self.canaries = {name: matrix.canaries(data) for name, data in found.items()}
        # Where each cell's secret stands, and where one stands that is no cell's whole one.
        self.readable, self.pieces = collections.defaultdict(set), set()
        owners = matrix.Owners(cells.all)
        for name, data in found.items():
            for kind, at in matrix.hits(data):
                cell = owners.of(data, at)
                if cell is None:
                    self.pieces.add((kind, name, bytes(data[max(0, at - 60):at + 60])))
                else:
                    self.readable[cell].add(name)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    cells, sent = Cells(), Sent()
    with Server(None, "--kafka-listen", "127.0.0.1:0") as server:
        project = server.project(PROJECT)
        send_over_http(server, project, cells, sent)
        send_over_kafka(project, cells, sent)
        found = read_searches(server)
        asked = {mark: rows_found(server, mark) for marks in matrix.MARKS.values() for mark in marks}
        found |= {f"running: {name}": data for name, data in everything(server, tmp_path_factory.mktemp("decrypted")).items()}
        flushed = server.cli("flush")
        found |= read_topics(project, [TOPIC, OPAQUE_TOPIC, *(f"candor.{table}" for table in TABLES)])
        found |= read_tables(server, [TOPIC, OPAQUE_TOPIC])
        found |= {"answers": bytes(sent.answers), "flush": (flushed.stdout + flushed.stderr).encode(), "ready file": json.dumps(server.ready).encode()}
        server.stop()
        found |= everything(server, tmp_path_factory.mktemp("decrypted"))
        yield Stored(cells, sent, found, asked)


def test_the_search_finds_every_form():
    """Each secret in each encoding, by encoders of their own, within other text and at every alignment."""
    chance = random.Random(7)
    noise = lambda count: "".join(chance.choices("abcdefghijklmnop ", k=count))
    for kind, (name, make) in matrix.KINDS.items():
        for number in (1, 77, 2999):
            for before in range(3):
                secret = noise(9 + before) + " " + make(number).text + " " + noise(10)
                raw = secret.encode()
                encoded = [
                    raw, urllib.parse.quote(secret).encode(), urllib.parse.quote_plus(secret).encode(), base64.b64encode(raw), base64.urlsafe_b64encode(raw), raw.hex().encode(),
                    raw.hex().upper().encode(), secret.encode("utf-16-le"), secret.encode("utf-16-be"), json.dumps(json.dumps(secret)).encode(),
                    "".join(f"\\u{ord(letter):04X}" for letter in secret).encode(), "".join(f"%{byte:02X}" for byte in raw).encode(), secret.lower().encode(),
                    base64.b64encode(secret.encode("utf-16-le")), base64.b64encode(secret.encode("utf-16")),
                ]
                for form in encoded:
                    assert any(matrix.hits(form)), (name, form)
        assert not any(matrix.hits(noise(100_000).encode()))


def test_every_secret_is_seen_in_what_was_sent(stored):
    """Without which all else says nothing."""
    unseen = [cell for cell in stored.all if not any(matrix.hits(stored.sent.bytes[cell]))]
    assert not unseen, unseen
    lost = [cell for cell in stored.all if cell.number not in matrix.canaries(stored.sent.bytes[cell])]
    assert not lost, lost


def test_what_is_stored_as_it_was_sent_is_found(stored):
    """Where nothing is opened the search finds all of it, in the topic, its table and its files."""
    assert len(stored.controls) >= 27
    for cell in stored.controls:
        names = stored.readable[cell]
        assert {f"topic {OPAQUE_TOPIC}", f'table stream."{OPAQUE_TOPIC}"'} <= names, (cell, names)
        assert any("decrypted" in name and "parquet" in name for name in names), (cell, names)
        assert any("decrypted" in name and "/log/" in name for name in names), (cell, names)


def test_no_secret_is_readable_anywhere(stored, show):
    leaks = {cell: names for cell, names in stored.readable.items() if cell.protocol != CONTROL}
    table(stored, leaks, show)
    size = sum(map(len, stored.found.values()))
    show(f"matrix: {len(stored.cells)} cells, {len(leaks)} readable; {size / 1e6:.1f} MB in {len(stored.found)} files, dumps and answers searched")
    assert not leaks, "\n".join(f"{cell} in {sorted(names)[:3]}" for cell, names in sorted(leaks.items(), key=lambda leak: leak[0].number)[:40])
    # What stands there of a control is whole.
    assert not stored.pieces, sorted(stored.pieces)[:10]


def test_every_canary_is_found_where_its_secret_is_not(stored):
    """On disk, in the table, in the search and in the topic of its protocol. None is dropped but by a refusal."""
    on_disk = set().union(*(numbers for name, numbers in stored.canaries.items() if "decrypted" in name and "parquet" in name))
    log = set().union(*(numbers for name, numbers in stored.canaries.items() if "decrypted" in name and "/log/" in name))
    for cell in stored.all:
        tables = next(tables for protocol, tables in TAKES.items() if cell.protocol.startswith(protocol)) if cell.protocol != CONTROL else ()
        topic = OPAQUE_TOPIC if cell.protocol == CONTROL else TOPIC
        names = [*(f"{kind} {table}" for table in tables for kind in ("table", "search")), *(f"topic candor.{table}" for table in tables)] or [f'table stream."{topic}"', f"topic {topic}"]
        for where, numbers in (("files", on_disk), ("log", log), *((name, stored.canaries[name]) for name in names)):
            assert (cell.number in numbers) != cell.refused, (cell, where)


def test_numbers_are_refused_in_streams_alone(stored):
    """A number cannot become a text for those who read a topic, so its record is not taken; signals take it, without."""
    refused = {cell for cell in stored.all if cell.refused}
    in_json = {cell for cell in stored.cells if cell.protocol == "Kafka JSON" or "JSON" in cell.place and cell.protocol == "Kafka"}
    assert refused == {cell for cell in in_json if json_number(stored.sent.bytes[cell], cell)}
    assert len(refused) == 26, refused


def json_number(sent: bytes, cell) -> bool:
    """True where the card stands in what was sent as a number, not within a text."""
    def numbers(value):
        if isinstance(value, dict):
            value = list(value.values())
        return any(map(numbers, value)) if isinstance(value, list) else isinstance(value, int) and str(value) == cell.plant.secret.digits
    for line in sent.splitlines():
        with contextlib.suppress(ValueError):
            if line.startswith((b"{", b"[")) and numbers(json.loads(line)):
                return True
    return False


def test_the_search_language_finds_canaries_and_no_secret(stored, show):
    canary_rows = stored.asked.pop(matrix.CANARY_MARK)
    assert not any(stored.asked.values()), stored.asked
    assert canary_rows > 0
    show(f"matrix: searched for: {canary_rows} rows with a canary, {sum(stored.asked.values())} with a mark of {len(stored.asked)}")


def table(stored, leaks, show):
    """Every cell: place by place, a column a protocol, a letter a kind; beside it Relay's of the same events."""
    columns = list(dict.fromkeys(cell.protocol for cell in stored.cells if cell.protocol != "Kafka"))
    shown = collections.defaultdict(lambda: IMPOSSIBLE)
    for cell in stored.cells:
        shown[cell.protocol, cell.place, cell.kind] = REFUSED if cell.refused else READABLE if cell in leaks else CLEAN
    relay = {}
    if not matrix_relay.missing():
        for name, readable in matrix_relay.readable(stored.sent.events).items():
            relay[name] = len(readable)
            shown.update({(name, cell.place, cell.kind): READABLE if cell in readable else CLEAN for cell in stored.sent.events})
    show("matrix: " + ", ".join(f"{letter} {name}" for letter, (name, _) in matrix.KINDS.items()))
    show(f"matrix: {CLEAN} not readable, {READABLE} readable, {REFUSED} refused, blank: the place cannot hold it")
    widths = {column: max(len(matrix.KINDS), len(column)) for column in (*columns, *relay)}
    line = lambda first, of: show(f"{first:20} " + "  ".join(f"{of(column):{width}}" for column, width in widths.items()))
    line("", lambda column: column)
    line("", lambda column: "".join(matrix.KINDS))
    row = lambda column, place: "".join(shown[column, place, kind] for kind in matrix.KINDS)
    for place in places.EVENT:
        line(place, lambda column: row(column, place))
    for place in places.KAFKA:
        show(f"{'Kafka, ' + place:36} " + row("Kafka", place))


def test_relay_on_the_same_events(stored, show):
    if lacks := matrix_relay.missing():
        pytest.skip(f"{lacks}: {2 * len(stored.sent.events)} cases")
    for name, readable in matrix_relay.readable(stored.sent.events).items():
        cards = {cell.place for cell in readable if cell.kind == "c"}
        ours = {cell for cell in stored.readable if cell in stored.sent.events}
        show(f"matrix: {name}: {len(readable)} of {len(stored.sent.events)} readable, the plain card in {len(cards)} of {len(places.EVENT)} places; Candor: {len(ours)}")
        assert len(readable) > len(ours)
