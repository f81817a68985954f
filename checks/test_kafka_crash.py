"""kill -9 under idempotent and transactional load, and a checker over what clients saw, in the manner of Jepsen's
Kafka workload: nothing acknowledged is lost, nothing is there twice, nothing aborted is read, order holds.

CANDOR_KILLS says how often; CANDOR_MODE=cluster keeps the data in PostgreSQL and S3.
"""

import collections
import os
import random
import threading
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from cluster import free_port
from server import CLUSTERED, kafka_settings

KILLS = int(os.environ.get("CANDOR_KILLS", "3"))
PARTITIONS = 4
# Time for what was under way at the last kill to come to an end, seconds.
SETTLE_S = 60
# How long a transaction may be open, and a record of it wait, milliseconds: longer than a row of kills.
TRANSACTION_MS = 40_000
# Keys of the topic that is compacted, and of how many writes one is a tombstone.
KEYS, TOMBSTONES = 20, 7
# Only what its table has is compacted, and only in journal files that were ended. The table has it after 5 s: half of
# segment.ms, which counts as 10 s at least. A pass comes every 5 s.
COMPACTED = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0", "segment.ms": "1000", "delete.retention.ms": "1000"}
# What is waited for a pass at most, seconds.
COMPACTION_S = 60


class History:
    """What clients did and saw. Times are of one clock."""

    def __init__(self):
        self.lock = threading.Lock()
        # Of idempotent producers: value -> (partition, offset), once acknowledged.
        self.sent, self.acked = set(), {}
        # Transactions: name -> what it sent and how it ended.
        self.transactions = {}
        # Of the compacted topic: key -> number of the last write that was sent; number and offset of the last that was
        # acknowledged; all offsets that were; and how many of them compaction took at most.
        self.wrote, self.kept, self.kept_offsets, self.compacted, self.kept_reads = {}, {}, [], 0, 0
        # Of each session of a reader: [(time, partition, offset, value)], in the order of its polls.
        self.polls = []
        self.errors = collections.Counter()

    def note(self, error):
        with self.lock:
            self.errors[str(error)[:80]] += 1


class Load:
    """Clients that go on until told to stop, whatever becomes of the server."""

    def __init__(self, settings: dict, topic: str):
        # With one broker every kill is the loss of all, after which librdkafka 2.16 would start over (KIP-899): a request
        # for a coordinator then stays with a broker that it is letting go of, for good.
        self.settings = {**settings, "metadata.recovery.strategy": "none", "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200, "socket.timeout.ms": 10_000, "log_level": 0}
        self.topic, self.history = topic, History()
        self.stop, self.stop_readers = threading.Event(), threading.Event()
        self.failed = []

    def run(self, work, *arguments) -> threading.Thread:
        def guarded():
            try:
                work(*arguments)
            except BaseException as error:  # A thread's end would pass unseen.
                self.failed.append(f"{work.__name__}{arguments}: {error!r}")

        thread = threading.Thread(target=guarded, daemon=True)
        thread.start()
        return thread

    def idempotent(self, worker: int):
        """Sends numbers to each partition, up to 5 batches at once."""
        producer = Producer({**self.settings, "enable.idempotence": True, "linger.ms": 2, "message.timeout.ms": 120_000})
        n = 0

        def told(error, message):
            if error:
                self.history.note(error)
                return
            with self.history.lock:
                self.history.acked[message.value()] = (message.partition(), message.offset())

        while not self.stop.is_set():
            for _ in range(10):
                value = f"i{worker}/{n}".encode()
                self.history.sent.add(value)
                producer.produce(self.topic, value, partition=n % PARTITIONS, on_delivery=told)
                n += 1
            producer.poll(0)
            time.sleep(0.03)
        assert producer.flush(SETTLE_S) == 0, "not everything was acknowledged in the end"

    def keyed(self, topic: str):
        """Overwrites keys, and deletes some. Each write's number is in a header, for a tombstone has no value."""
        producer = Producer({**self.settings, "enable.idempotence": True, "linger.ms": 2, "message.timeout.ms": 120_000})
        n = 0

        def told(key, number):
            def done(error, message):
                if error:
                    self.history.note(error)
                    return
                with self.history.lock:
                    self.history.kept[key] = max((number, message.offset()), self.history.kept.get(key, (-1, -1)))
                    self.history.kept_offsets.append(message.offset())

            return done

        while not self.stop_readers.is_set():
            for _ in range(10):
                key, value = f"k{n % KEYS}".encode(), None if n % TOMBSTONES == 0 else f"value {n}".encode()
                with self.history.lock:
                    self.history.wrote[key] = n
                producer.produce(topic, value, key, partition=0, headers={"n": str(n)}, on_delivery=told(key, n))
                n += 1
            producer.poll(0)
            time.sleep(0.03)
        assert producer.flush(SETTLE_S) == 0, "not everything was acknowledged in the end"

    def keyed_reader(self, topic: str, wrong: list):
        """Reads the compacted topic again and again, and checks it each time."""
        while not self.stop_readers.is_set():
            with self.history.lock:
                kept, offsets = dict(self.history.kept), list(self.history.kept_offsets)
            start, records = read_keyed(self, topic)
            with self.history.lock:
                wrote = dict(self.history.wrote)
            wrong += check_keyed(start, records, kept, wrote)
            there = {offset for offset, *_ in records}
            self.history.compacted = max(self.history.compacted, sum(1 for offset in offsets if offset >= start and offset not in there))
            self.history.kept_reads += 1
            time.sleep(0.5)

    def transactional_producer(self, name: str) -> Producer:
        """One that is ready: whatever its predecessor left open is over."""
        while True:
            producer = Producer({**self.settings, "transactional.id": name, "transaction.timeout.ms": TRANSACTION_MS, "linger.ms": 2})
            try:
                retried(producer.init_transactions, 30)
                return producer
            except KafkaException as error:
                self.history.note(error)

    def transactional(self, worker: int):
        """Transactions over several partitions, three of ten of which are aborted."""
        chance = random.Random(worker)
        producer = self.transactional_producer(f"x{worker}")
        n = 0
        while not self.stop.is_set():
            name, n = f"x{worker}/{n}", n + 1
            wants = chance.random() < 0.7
            it = {"values": [], "state": "open", "asked": None}
            with self.history.lock:
                self.history.transactions[name] = it
            if not self.transact(producer, it, wants, lambda: self.fill(producer, chance, name, it)):
                producer = self.transactional_producer(f"x{worker}")

    def fill(self, producer, chance, name, it):
        for i in range(chance.randint(1, 8)):
            value = f"{name}/{i}".encode()
            it["values"].append(value)
            producer.produce(self.topic, value, partition=chance.randrange(PARTITIONS))
        if chance.random() < 0.5:
            producer.flush(5)
        time.sleep(chance.uniform(0, 0.02))

    def transact(self, producer, it, wants, act) -> bool:
        """A transaction, and how it ended; false where the producer is of no more use."""
        try:
            producer.begin_transaction()
            act()
            if wants:
                it["asked"] = time.monotonic()
                try:
                    retried(producer.commit_transaction, SETTLE_S)
                    it["state"] = "committed"
                    return True
                except KafkaException as error:
                    self.history.note(error)
                    if not error.args[0].txn_requires_abort():
                        it["state"] = "unknown"
                        return False
            retried(producer.abort_transaction, SETTLE_S)
            it["state"] = "aborted"
            return True
        except (KafkaException, BufferError) as error:
            self.history.note(error)
            # Who never asked to commit has aborted: the next producer of its name sees to it.
            it["state"] = "unknown" if it["asked"] else "aborted"
            return False

    def reader(self, isolation: str):
        """Reads all partitions from the beginning, again and again, and notes what it polls."""
        while not self.stop_readers.is_set():
            session = []
            with self.history.lock:
                self.history.polls.append((isolation, session))
            consumer = self.consumer(f"reader-{isolation}", isolation)
            consumer.assign([TopicPartition(self.topic, partition, 0) for partition in range(PARTITIONS)])
            until = time.monotonic() + random.uniform(3, 8)
            while time.monotonic() < until and not self.stop_readers.is_set():
                for message in consumer.consume(500, timeout=0.1):
                    if message.error():
                        self.history.note(message.error())
                    else:
                        session.append((time.monotonic(), message.partition(), message.offset(), message.value()))
            consumer.close()

    def consumer(self, group: str, isolation: str, **more) -> Consumer:
        return Consumer({**self.settings, "group.id": group, "isolation.level": isolation, "auto.offset.reset": "earliest", "enable.auto.commit": False,
                         "fetch.wait.max.ms": 50, **more})

    def copier(self, protocol: str, to: str):
        """Copies the topic, exactly once: what it read is committed with what it writes."""
        name = f"copier-{protocol}"
        more = {"group.protocol": protocol} if protocol == "consumer" else {"session.timeout.ms": 6000}
        consumer = producer = None
        while not self.stop_readers.is_set():
            if consumer is None:
                producer = self.transactional_producer(name)
                consumer = self.consumer(name, "read_committed", **more)
                consumer.subscribe([self.topic])
            messages = [message for message in consumer.consume(200, timeout=0.1) if not message.error()]
            if not messages:
                continue

            def copy():
                for message in messages:
                    producer.produce(to, f"{message.partition()}@{message.offset()}".encode(), partition=message.partition())
                at = {}
                for message in messages:
                    at[message.partition()] = TopicPartition(self.topic, message.partition(), message.offset() + 1)
                retried(lambda timeout: producer.send_offsets_to_transaction(list(at.values()), consumer.consumer_group_metadata(), timeout), 10)

            it = {"values": [], "state": "open", "asked": None}
            done = self.transact(producer, it, True, copy)
            if not done or it["state"] != "committed":
                # From where the group stands, which says what was copied.
                consumer.close()
                consumer = None
        if consumer:
            consumer.close()


def retried(step, within: float):
    """A step of a transaction, again while the client says that it may be."""
    until = time.monotonic() + within
    while True:
        try:
            return step(10)
        except KafkaException as error:
            if not error.args[0].retriable() or time.monotonic() > until:
                raise
            time.sleep(0.01)


def read_all(load: Load, topic: str, isolation: str) -> dict[int, list[tuple[int, bytes]]]:
    """All records of a topic as it lies there in the end."""
    consumer = load.consumer("checker", isolation, **{"enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    found, ended, until = {partition: [] for partition in range(PARTITIONS)}, set(), time.monotonic() + SETTLE_S
    while len(ended) < PARTITIONS:
        assert time.monotonic() < until, f"{topic} could not be read to its end"
        for message in consumer.consume(1000, timeout=0.5):
            if message.error():
                assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                ended.add(message.partition())
            else:
                found[message.partition()].append((message.offset(), message.value()))
    consumer.close()
    return found


def read_keyed(load: Load, topic: str) -> tuple[int, list[tuple[int, bytes, int, bytes | None]]]:
    """Offset, key, number and value of all that lies in the compacted topic's partition, and where that begins."""
    consumer = load.consumer("checker", "read_committed", **{"enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, 0, 0)])
    found, until = [], time.monotonic() + SETTLE_S
    try:
        while time.monotonic() < until:
            for message in consumer.consume(1000, timeout=0.5):
                if message.error():
                    if message.error().code() == KafkaError._PARTITION_EOF:
                        # What retention took while it was read is not missed.
                        return consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=30)[0], found
                    continue
                found.append((message.offset(), message.key(), int(dict(message.headers())["n"]), message.value()))
    finally:
        consumer.close()
    raise AssertionError(f"{topic} could not be read to its end")


def check_keyed(start: int, records: list, kept: dict, wrote: dict) -> list[str]:
    """What is wrong with a compacted topic: `kept` was acknowledged before it was read, `wrote` is all that was sent, and
    what was before `start` is retention's."""
    wrong, last = [], {}
    for before, after in zip(records, records[1:]):
        if after[0] <= before[0]:
            wrong.append(f"offset {after[0]} comes after {before[0]}")
    for offset, key, n, value in records:
        if n <= last.get(key, -1):
            wrong.append(f"{key} of {n} at {offset} comes after {last[key]}")
        if value != (None if n % TOMBSTONES == 0 else f"value {n}".encode()):
            wrong.append(f"{key} of {n} at {offset} is {value}")
        last[key] = n
    for key, (n, offset) in kept.items():
        # A tombstone goes with its time, and takes with it what was before it.
        is_deleted = key not in last and any(later % TOMBSTONES == 0 for later in range(n, wrote[key] + 1, KEYS))
        if last.get(key, -1) < n and not is_deleted and offset >= start:
            wrong.append(f"{key} was acknowledged with {n}, and has {last.get(key)}")
    return wrong


def check(history: History, committed: dict, everything: dict) -> dict[str, list]:
    """All anomalies, by their kind."""
    wrong = collections.defaultdict(list)
    place_of, owner = collections.defaultdict(list), {}
    for partition, records in committed.items():
        for offset, value in records:
            place_of[value].append((partition, offset))
    for name, it in history.transactions.items():
        owner.update((value, name) for value in it["values"])
    in_log = {(partition, offset): value for partition, records in everything.items() for offset, value in records}

    wrong["lost"] += [value for value, place in history.acked.items() if place not in place_of[value]]
    wrong["doubled"] += [value for value, places in place_of.items() if len(places) > 1]
    wrong["unsent"] += [value for value in place_of if value not in history.sent and value not in owner]
    for name, it in history.transactions.items():
        there = sum(1 for value in it["values"] if place_of[value])
        if it["state"] == "committed" and there < len(it["values"]):
            wrong["lost"].append(f"{there} of {len(it['values'])} of {name}")
        elif it["state"] in ("aborted", "open") and there:
            wrong["aborted read"].append(name)
        elif it["state"] == "unknown" and 0 < there < len(it["values"]):
            wrong["torn transaction"].append(f"{there} of {len(it['values'])} of {name}")
    # Each writer's numbers rise in each partition.
    for partition, records in everything.items():
        last = {}
        for offset, value in records:
            writer, *numbers = value.decode().split("/")
            numbers = [int(number) for number in numbers]
            if writer in last and numbers <= last[writer]:
                wrong["reordered"].append(f"{value} at {partition}@{offset} after {last[writer]}")
            last[writer] = numbers
    offsets = {partition: [offset for offset, _ in records] for partition, records in committed.items()}
    for isolation, session in history.polls:
        at, seen = {}, collections.defaultdict(set)
        for when, partition, offset, value in session:
            if offset <= at.get(partition, -1):
                wrong["nonmonotonic poll"].append(f"{partition}@{offset} after {at[partition]}")
            at[partition] = offset
            seen[partition].add(offset)
            if in_log.get((partition, offset)) != value:
                wrong["inconsistent offset"].append(f"{partition}@{offset}: {value} was read, {in_log.get((partition, offset))} is there")
            it = history.transactions.get(owner.get(value))
            if it and isolation == "read_committed":
                if it["state"] in ("aborted", "open"):
                    wrong["aborted read"].append(value)
                elif it["asked"] is None or when < it["asked"]:
                    wrong["read before its commit"].append(value)
        for partition, upto in at.items():
            skipped = [offset for offset in offsets[partition] if offset < upto and offset not in seen[partition]]
            wrong["skipped in a poll"] += [f"{partition}@{offset} by a {isolation} reader" for offset in skipped[:3]]
    return {kind: found for kind, found in wrong.items() if found}


def test_the_checker_notices_what_is_wrong():
    def history(**parts):
        made = History()
        made.sent, made.acked = {b"i0/0", b"i0/4"}, {b"i0/0": (0, 0), b"i0/4": (0, 1)}
        made.transactions = {"x0/0": {"values": [b"x0/0/0", b"x0/0/1"], "state": "committed", "asked": 5.0},
                             "x0/1": {"values": [b"x0/1/0"], "state": "aborted", "asked": None}}
        made.__dict__.update(parts)
        return made

    fine = [(0, b"i0/0"), (1, b"i0/4"), (2, b"x0/0/0"), (3, b"x0/0/1")]

    def kinds(made, records, everything=None):
        return set(check(made, {0: records}, {0: everything or records}))

    good = ("read_committed", [(6.0, 0, offset, value) for offset, value in fine])
    assert kinds(history(polls=[good]), fine) == set()
    assert kinds(history(), fine[:1] + fine[2:]) == {"lost"}
    assert kinds(history(), fine[:3]) == {"lost"}
    assert "doubled" in kinds(history(), fine + [(4, b"i0/4")])
    assert kinds(history(), fine + [(4, b"x0/1/0")]) == {"aborted read"}
    assert kinds(history(), fine + [(4, b"z")]) == {"unsent"}
    assert "reordered" in kinds(history(acked={}), [(0, b"i0/4"), (1, b"i0/0"), *fine[2:]])
    unknown = {"x0/0": {"values": [b"x0/0/0", b"x0/0/1"], "state": "unknown", "asked": 5.0}}
    assert kinds(history(transactions=unknown), fine[:3]) == {"torn transaction"}
    assert kinds(history(polls=[("read_committed", [(4.0, 0, 2, b"x0/0/0")])]), fine) == {"read before its commit", "skipped in a poll"}
    assert kinds(history(polls=[("read_committed", good[1] + good[1][:1])]), fine) == {"nonmonotonic poll"}
    assert kinds(history(polls=[("read_committed", [(6.0, 0, 0, b"i0/8")])]), fine) == {"inconsistent offset"}
    assert kinds(history(polls=[("read_uncommitted", [good[1][0], good[1][2]])]), fine) == {"skipped in a poll"}


def test_the_checker_of_keys_notices_what_is_wrong():
    fine = [(0, b"k0", 0, None), (41, b"k1", 41, b"value 41"), (45, b"k5", 45, b"value 45")]
    kept, wrote = {b"k0": (0, 0), b"k1": (41, 41), b"k5": (45, 45)}, {b"k0": 0, b"k1": 41, b"k5": 45}
    assert check_keyed(0, fine, kept, wrote) == []
    assert check_keyed(0, fine[1:], kept, wrote) == [], "a tombstone may go"
    assert check_keyed(42, fine[2:], kept, wrote) == [], "retention may take something"
    assert len(check_keyed(0, fine[:2], kept, wrote)) == 1
    assert len(check_keyed(0, [(0, b"k0", 0, b"value 0"), *fine[1:]], kept, wrote)) == 1
    assert len(check_keyed(0, fine, {b"k0": (60, 60)}, {b"k0": 60})) == 1
    assert len(check_keyed(0, [*fine, (46, b"k5", 25, b"value 25")], {}, {})) == 1
    assert len(check_keyed(0, [fine[1], fine[0], fine[2]], kept, wrote)) == 1


def test_kill_nine_under_transactions(own_server, show):
    port = free_port()
    server = own_server("--kafka-listen", f"127.0.0.1:{port}")
    settings = kafka_settings(server.project("crash"))
    load = Load(settings, "work")
    topics = ["work", "copy-classic", "copy-consumer"]
    admin = AdminClient(settings)
    for made in admin.create_topics([NewTopic(topic, PARTITIONS) for topic in topics]).values():
        made.result(30)
    admin.create_topics([NewTopic("kept", 1, config=COMPACTED)])["kept"].result(30)
    wrong_keys = []
    writers = [load.run(load.idempotent, n) for n in range(2)] + [load.run(load.transactional, n) for n in range(3)]
    keepers = [load.run(load.keyed, "kept"), load.run(load.keyed_reader, "kept", wrong_keys)]
    readers = [load.run(load.reader, isolation) for isolation in ("read_committed", "read_uncommitted")]
    copiers = [load.run(load.copier, protocol, f"copy-{protocol}") for protocol in ("classic", "consumer")]
    began = time.monotonic()
    for _ in range(KILLS):
        time.sleep(random.uniform(0.5, 2))
        server.kill()
        server.start()
    time.sleep(2)
    load.stop.set()
    for writer in writers:
        writer.join(2 * SETTLE_S)
    # The copiers come to the end, which no open transaction holds back for longer than its time.
    committed = read_all(load, "work", "read_committed")
    everything = read_all(load, "work", "read_uncommitted")
    wanted = {f"{partition}@{offset}".encode() for partition, records in committed.items() for offset, _ in records}
    copies = {topic: [] for topic in topics[1:]}
    for topic in copies:
        until = time.monotonic() + SETTLE_S
        while len(copies[topic]) < len(wanted) and time.monotonic() < until:
            before, copies[topic] = copies[topic], [value for records in read_all(load, topic, "read_committed").values() for _, value in records]
            if len(copies[topic]) > len(before):
                until = time.monotonic() + SETTLE_S
            time.sleep(0.2)
    # A cluster compacts every half hour.
    until = time.monotonic() + COMPACTION_S
    while not (CLUSTERED or load.history.compacted) and time.monotonic() < until:
        time.sleep(0.5)
    load.stop_readers.set()
    for thread in readers + copiers + keepers:
        thread.join(SETTLE_S)
    history = load.history
    wrong = check(history, committed, everything)
    if wrong_keys:
        wrong["otherwise in kept"] = wrong_keys
    for topic, values in copies.items():
        if len(values) != len(set(values)):
            wrong[f"doubled in {topic}"] = [value for value, count in collections.Counter(values).items() if count > 1][:5]
        if set(values) != wanted:
            wrong[f"otherwise in {topic}"] = [f"{len(wanted - set(values))} lack, {len(set(values) - wanted)} are too many", *sorted(wanted ^ set(values))[:5]]
    states = collections.Counter(it["state"] for it in history.transactions.values())
    show(f"kafka: kill -9 {KILLS} times within {time.monotonic() - began:.0f} s, {'PostgreSQL and S3' if CLUSTERED else 'a data dir'}: "
         f"{len(history.acked)} idempotent records acknowledged, {states['committed']} transactions committed, {states['aborted']} aborted, {states['unknown']} unknown, "
         f"{sum(len(session) for _, session in history.polls)} records polled in {len(history.polls)} sessions, {len(wanted)} copied exactly once by each of {len(copies)}, "
         f"{len(history.kept_offsets)} keyed records acknowledged, {history.compacted} seen compacted away in {history.kept_reads} reads; "
         f"anomalies: {({kind: len(found) for kind, found in wrong.items()}) or 'none'}")
    assert not load.failed, (load.failed, history.errors)
    assert not wrong, ({kind: found[:5] for kind, found in wrong.items()}, history.errors)
    assert history.kept_reads > 1 and (CLUSTERED or history.compacted > 100), (history.kept_reads, history.compacted)
    assert len(history.acked) > 100 and states["committed"] > 10 and states["aborted"] > 3
