"""Every version of every request is answered, as a client with Kafka's own message definitions reads it."""

import struct
import time
import uuid

import pytest
from kafka.protocol import admin, consumer, metadata, producer

from kafka_wire import WAIT_S, Connection, batch, errors
from server import Server

pytestmark = [pytest.mark.local, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

# Kafka's error codes.
FINE, MEMBER_ID_REQUIRED, ELECTION_NOT_NEEDED, NO_REASSIGNMENT, UNSUPPORTED_VERSION = 0, 79, 84, 85, 35


@pytest.fixture(scope="module")
def broker():
    with Server(None, "--kafka-listen", "127.0.0.1:0", "--kafka-anonymous", "versions") as server:
        server.project("versions")
        yield server.ready["kafka"]


class Scene:
    """A topic with records, and what else requests speak of."""

    def __init__(self, broker: str):
        self.broker, self.topic = broker, f"v-{uuid.uuid4().hex[:8]}"
        self.connection = Connection(broker)
        answer = self.connection.ask(admin.CreateTopicsRequest, 5, topics=[{"name": self.topic, "num_partitions": 1, "replication_factor": 1, "assignments": [], "configs": []}],
                                     timeout_ms=5000, validate_only=False)
        assert errors(answer) == {FINE}
        described = self.connection.ask(metadata.MetadataRequest, 12, topics=[{"topic_id": uuid.UUID(int=0), "name": self.topic}], allow_auto_topic_creation=False)
        self.id, self.node = described.topics[0].topic_id, described.brokers[0].node_id
        assert errors(self.produce(3)) == {FINE}

    def produce(self, version):
        part = [{"index": 0, "records": batch()}]
        return self.connection.ask(producer.ProduceRequest, version, transactional_id=None, acks=-1, timeout_ms=5000,
                                   topic_data=[{"name": self.topic, "topic_id": self.id, "partition_data": part}])

    def member(self) -> dict:
        """A member of a group of one, with its assignment."""
        group = f"g-{uuid.uuid4().hex[:8]}"
        joined = self.connection.ask(consumer.JoinGroupRequest, 2, group_id=group, session_timeout_ms=30000, rebalance_timeout_ms=30000, member_id="",
                                     protocol_type="consumer", protocols=[{"name": "range", "metadata": b"m"}])
        of = {"group_id": group, "generation_id": joined.generation_id, "member_id": joined.member_id}
        synced = self.connection.ask(consumer.SyncGroupRequest, 2, **of, assignments=[{"member_id": joined.member_id, "assignment": b"a"}])
        assert synced.assignment == b"a"
        return of

    def transaction(self) -> dict:
        """A producer with a transactional id, fresh."""
        name = f"x-{uuid.uuid4().hex[:8]}"
        until = time.monotonic() + WAIT_S
        while True:
            made = self.connection.ask(producer.InitProducerIdRequest, 4, transactional_id=name, transaction_timeout_ms=60000, producer_id=-1, producer_epoch=-1)
            if made.error_code == FINE:
                return {"transactional_id": name, "producer_id": made.producer_id, "producer_epoch": made.producer_epoch}
            assert time.monotonic() < until, made

    def in_transaction(self) -> dict:
        of = self.transaction()
        added = self.connection.ask(producer.AddPartitionsToTxnRequest, 3, v3_and_below_transactional_id=of["transactional_id"], v3_and_below_producer_id=of["producer_id"],
                                    v3_and_below_producer_epoch=of["producer_epoch"], v3_and_below_topics=[{"name": self.topic, "partitions": [0]}])
        assert errors(added) == {FINE}
        return of


def offsets(scene, group, version, **more):
    part = {"partition_index": 0, "committed_offset": 2, "committed_leader_epoch": 0, "committed_metadata": "note"}
    of = {"group_id": group["group_id"], "generation_id_or_member_epoch": group.get("generation_id", -1), "member_id": group.get("member_id", "")}
    return scene.connection.ask(consumer.OffsetCommitRequest, version, **of, topics=[{"name": scene.topic, "topic_id": scene.id, "partitions": [part]}], **more)


def leave(scene, v):
    of = scene.member()
    answer = scene.connection.ask(consumer.LeaveGroupRequest, v, group_id=of["group_id"], member_id=of["member_id"], members=[{"member_id": of["member_id"], "reason": "over"}])
    return answer


def read_offsets(scene, v):
    group = {"group_id": f"g-{uuid.uuid4().hex[:8]}"}
    assert errors(offsets(scene, group, 5)) == {FINE}
    topic = {"name": scene.topic, "partition_indexes": [0]}
    answer = scene.connection.ask(consumer.OffsetFetchRequest, v, **group, topics=[topic], groups=[{**group, "member_epoch": -1, "topics": [{**topic, "topic_id": scene.id}]}])
    told = (answer.groups[0] if v >= 8 else answer).topics[0]
    assert (told.topic_id if v >= 10 else told.name) == (scene.id if v >= 10 else scene.topic), told
    assert (told.partitions[0].committed_offset, told.partitions[0].metadata) == (2, "note"), told
    return answer


def empty_group(scene):
    group = {"group_id": f"g-{uuid.uuid4().hex[:8]}"}
    assert errors(offsets(scene, group, 5)) == {FINE}
    return group["group_id"]


def fetch(scene, v):
    part = {"partition": 0, "current_leader_epoch": 0, "fetch_offset": 0, "last_fetched_epoch": -1, "log_start_offset": -1, "partition_max_bytes": 1 << 20}
    answer = scene.connection.ask(consumer.FetchRequest, v, replica_id=-1, max_wait_ms=100, min_bytes=1, max_bytes=1 << 20, isolation_level=0, session_id=0, session_epoch=-1,
                                  topics=[{"topic": scene.topic, "topic_id": scene.id, "partitions": [part]}], forgotten_topics_data=[], rack_id="")
    assert bytes(answer.responses[0].partitions[0].records)[8:] and answer.responses[0].partitions[0].high_watermark == 3
    return answer


def list_offsets(scene, v):
    part = {"partition_index": 0, "current_leader_epoch": 0, "timestamp": 1_700_000_000_001, "max_num_offsets": 1}
    answer = scene.connection.ask(consumer.ListOffsetsRequest, v, replica_id=-1, isolation_level=1, topics=[{"name": scene.topic, "partitions": [part]}], timeout_ms=1000)
    assert answer.topics[0].partitions[0].offset == 1
    return answer


def end(scene, v):
    return scene.connection.ask(producer.EndTxnRequest, v, **scene.in_transaction(), committed=True)


def add_partitions(scene, v):
    of = scene.transaction()
    topics = [{"name": scene.topic, "partitions": [0]}]
    old = {f"v3_and_below_{name}": value for name, value in of.items()}
    return scene.connection.ask(producer.AddPartitionsToTxnRequest, v, **old, v3_and_below_topics=topics, transactions=[{**of, "verify_only": False, "topics": topics}])


def commit_in_transaction(scene, v):
    of = {**scene.transaction(), "group_id": f"g-{uuid.uuid4().hex[:8]}"}
    assert errors(scene.connection.ask(producer.AddOffsetsToTxnRequest, 3, **of)) == {FINE}
    part = {"partition_index": 0, "committed_offset": 2, "committed_leader_epoch": 0, "committed_metadata": ""}
    return scene.connection.ask(producer.TxnOffsetCommitRequest, v, **of, generation_id=-1, member_id="", topics=[{"name": scene.topic, "partitions": [part]}])


def join(scene, v):
    return scene.connection.ask(consumer.JoinGroupRequest, v, group_id=f"g-{uuid.uuid4().hex[:8]}", session_timeout_ms=30000, rebalance_timeout_ms=30000, member_id="",
                                protocol_type="consumer", protocols=[{"name": "range", "metadata": b"m"}], reason="new")


def sync(scene, v):
    return scene.connection.ask(consumer.SyncGroupRequest, v, **scene.member(), protocol_type="consumer", protocol_name="range", assignments=[])


def acls(scene, v, kind, **more):
    rule = {"resource_type": 2, "resource_name": scene.topic, "resource_pattern_type": 3, "principal": "User:streams", "host": "*", "operation": 3, "permission_type": 3}
    if kind is admin.CreateAclsRequest:
        return scene.connection.ask(kind, v, creations=[rule])
    find = {"resource_type_filter": 2, "resource_name_filter": scene.topic, "pattern_type_filter": 3, "principal_filter": None, "host_filter": None, "operation": 1, "permission_type": 1}
    return scene.connection.ask(kind, v, **(find if kind is admin.DescribeAclsRequest else {"filters": [find]}))


def config(scene, v, kind):
    change = {"name": "retention.ms", "value": "60000", **({} if kind is admin.AlterConfigsRequest else {"config_operation": 0})}
    return scene.connection.ask(kind, v, resources=[{"resource_type": 2, "resource_name": scene.topic, "configs": [change]}], validate_only=False)


def one_topic(scene, name, parts="partitions", **more):
    return [{name: scene.topic, parts: [0], **more}]


CASES = {
    producer.ProduceRequest: (lambda s, v: s.produce(v), None),
    consumer.FetchRequest: (fetch, None),
    consumer.ListOffsetsRequest: (list_offsets, None),
    metadata.MetadataRequest: (lambda s, v: s.connection.ask(metadata.MetadataRequest, v, topics=[{"topic_id": uuid.UUID(int=0), "name": s.topic}], allow_auto_topic_creation=True,
                                                             include_cluster_authorized_operations=True, include_topic_authorized_operations=True), None),
    consumer.OffsetCommitRequest: (lambda s, v: offsets(s, s.member(), v, retention_time_ms=-1), None),
    consumer.OffsetFetchRequest: (read_offsets, None),
    metadata.FindCoordinatorRequest: (lambda s, v: s.connection.ask(metadata.FindCoordinatorRequest, v, key="g", key_type=0, coordinator_keys=["g", "h"]), None),
    consumer.JoinGroupRequest: (join, lambda v: {FINE} if v < 4 else {MEMBER_ID_REQUIRED}),
    consumer.HeartbeatRequest: (lambda s, v: s.connection.ask(consumer.HeartbeatRequest, v, **s.member()), None),
    consumer.LeaveGroupRequest: (leave, None),
    consumer.SyncGroupRequest: (sync, None),
    admin.DescribeGroupsRequest: (lambda s, v: s.connection.ask(admin.DescribeGroupsRequest, v, groups=[s.member()["group_id"]], include_authorized_operations=True), None),
    admin.ListGroupsRequest: (lambda s, v: s.connection.ask(admin.ListGroupsRequest, v, states_filter=["Stable"], types_filter=["classic"]), None),
    admin.CreateTopicsRequest: (lambda s, v: s.connection.ask(admin.CreateTopicsRequest, v, topics=[
        {"name": f"new-{uuid.uuid4().hex[:8]}", "num_partitions": 2, "replication_factor": 1, "assignments": [], "configs": [{"name": "cleanup.policy", "value": "compact"}]}],
        timeout_ms=5000, validate_only=False), None),
    admin.DeleteTopicsRequest: (lambda s, v: s.connection.ask(admin.DeleteTopicsRequest, v, topics=[{"name": s.topic, "topic_id": uuid.UUID(int=0)}], topic_names=[s.topic],
                                                              timeout_ms=5000), None),
    admin.DeleteRecordsRequest: (lambda s, v: s.connection.ask(admin.DeleteRecordsRequest, v, topics=[{"name": s.topic, "partitions": [{"partition_index": 0, "offset": 1}]}],
                                                               timeout_ms=5000), None),
    producer.InitProducerIdRequest: (lambda s, v: s.connection.ask(producer.InitProducerIdRequest, v, transactional_id=None, transaction_timeout_ms=60000, producer_id=-1,
                                                                   producer_epoch=-1), None),
    consumer.OffsetForLeaderEpochRequest: (lambda s, v: s.connection.ask(consumer.OffsetForLeaderEpochRequest, v, replica_id=-1, topics=[
        {"topic": s.topic, "partitions": [{"partition": 0, "current_leader_epoch": 0, "leader_epoch": 0}]}]), None),
    producer.AddPartitionsToTxnRequest: (add_partitions, None),
    producer.AddOffsetsToTxnRequest: (lambda s, v: s.connection.ask(producer.AddOffsetsToTxnRequest, v, **s.transaction(), group_id="g"), None),
    producer.EndTxnRequest: (end, None),
    producer.WriteTxnMarkersRequest: (lambda s, v: s.connection.ask(producer.WriteTxnMarkersRequest, v, markers=[
        {"producer_id": 7_000_000, "producer_epoch": 0, "transaction_result": False, "topics": [{"name": s.topic, "partition_indexes": [0]}], "coordinator_epoch": 0}]), None),
    producer.TxnOffsetCommitRequest: (commit_in_transaction, None),
    admin.DescribeAclsRequest: (lambda s, v: acls(s, v, admin.DescribeAclsRequest), None),
    admin.CreateAclsRequest: (lambda s, v: acls(s, v, admin.CreateAclsRequest), None),
    admin.DeleteAclsRequest: (lambda s, v: acls(s, v, admin.DeleteAclsRequest), None),
    admin.DescribeConfigsRequest: (lambda s, v: s.connection.ask(admin.DescribeConfigsRequest, v, resources=[
        {"resource_type": 2, "resource_name": s.topic, "configuration_keys": None}], include_synonyms=True, include_documentation=True), None),
    admin.AlterConfigsRequest: (lambda s, v: config(s, v, admin.AlterConfigsRequest), None),
    admin.IncrementalAlterConfigsRequest: (lambda s, v: config(s, v, admin.IncrementalAlterConfigsRequest), None),
    admin.DescribeLogDirsRequest: (lambda s, v: s.connection.ask(admin.DescribeLogDirsRequest, v, topics=one_topic(s, "topic")), None),
    admin.CreatePartitionsRequest: (lambda s, v: s.connection.ask(admin.CreatePartitionsRequest, v, topics=[{"name": s.topic, "count": 3, "assignments": None}], timeout_ms=5000,
                                                                  validate_only=False), None),
    admin.DeleteGroupsRequest: (lambda s, v: s.connection.ask(admin.DeleteGroupsRequest, v, groups_names=[empty_group(s)]), None),
    admin.ElectLeadersRequest: (lambda s, v: s.connection.ask(admin.ElectLeadersRequest, v, election_type=0, topic_partitions=one_topic(s, "topic"), timeout_ms=5000),
                                lambda v: {FINE, ELECTION_NOT_NEEDED} if v else {ELECTION_NOT_NEEDED}),
    admin.AlterPartitionReassignmentsRequest: (lambda s, v: s.connection.ask(admin.AlterPartitionReassignmentsRequest, v, timeout_ms=5000, topics=[
        {"name": s.topic, "partitions": [{"partition_index": 0, "replicas": None}]}]), lambda v: {FINE, NO_REASSIGNMENT}),
    admin.ListPartitionReassignmentsRequest: (lambda s, v: s.connection.ask(admin.ListPartitionReassignmentsRequest, v, timeout_ms=5000,
                                                                            topics=one_topic(s, "name", "partition_indexes")), None),
    consumer.OffsetDeleteRequest: (lambda s, v: s.connection.ask(consumer.OffsetDeleteRequest, v, group_id=empty_group(s), topics=[
        {"name": s.topic, "partitions": [{"partition_index": 0}]}]), None),
    admin.DescribeClientQuotasRequest: (lambda s, v: s.connection.ask(admin.DescribeClientQuotasRequest, v, components=[{"entity_type": "user", "match_type": 2, "match": None}],
                                                                      strict=False), None),
    admin.AlterClientQuotasRequest: (lambda s, v: s.connection.ask(admin.AlterClientQuotasRequest, v, entries=[
        {"entity": [{"entity_type": "user", "entity_name": "streams"}], "ops": [{"key": "producer_byte_rate", "value": 1e9, "remove": False}]}], validate_only=False), None),
    admin.DescribeUserScramCredentialsRequest: (lambda s, v: s.connection.ask(admin.DescribeUserScramCredentialsRequest, v, users=[{"name": "versions"}]), None),
    admin.AlterUserScramCredentialsRequest: (lambda s, v: s.connection.ask(admin.AlterUserScramCredentialsRequest, v, deletions=[], upsertions=[
        {"name": "somebody", "mechanism": 1, "iterations": 4096, "salt": b"s" * 16, "salted_password": b"p" * 32}]), None),
    metadata.ApiVersionsRequest: (lambda s, v: s.connection.ask(metadata.ApiVersionsRequest, v, client_software_name="checks", client_software_version="1"), None),
    admin.DescribeClusterRequest: (lambda s, v: s.connection.ask(admin.DescribeClusterRequest, v, include_cluster_authorized_operations=True, endpoint_type=1), None),
    admin.DescribeProducersRequest: (lambda s, v: s.connection.ask(admin.DescribeProducersRequest, v, topics=one_topic(s, "name", "partition_indexes")), None),
    admin.DescribeTransactionsRequest: (lambda s, v: s.connection.ask(admin.DescribeTransactionsRequest, v, transactional_ids=[s.in_transaction()["transactional_id"]]), None),
    admin.ListTransactionsRequest: (lambda s, v: s.connection.ask(admin.ListTransactionsRequest, v, state_filters=[], producer_id_filters=[], duration_filter=-1,
                                                                  transactional_id_pattern=None), None),
    admin.ListConfigResourcesRequest: (lambda s, v: s.connection.ask(admin.ListConfigResourcesRequest, v, resource_types=[2]), None),
    admin.DescribeTopicPartitionsRequest: (lambda s, v: s.connection.ask(admin.DescribeTopicPartitionsRequest, v, topics=[{"name": s.topic}], response_partition_limit=10,
                                                                         cursor=None), None),
}

# Of these kafka-python has no definitions, or they come before a log in.
NOT_HERE = {"SaslHandshake", "SaslAuthenticate", "ConsumerGroupHeartbeat", "ConsumerGroupDescribe", "GetTelemetrySubscriptions", "PushTelemetry",
            "ShareGroupHeartbeat", "ShareGroupDescribe", "ShareFetch", "ShareAcknowledge", "DescribeShareGroupOffsets",
            "AlterShareGroupOffsets", "DeleteShareGroupOffsets"}


def test_every_version_of_every_request(broker, show):
    first = Connection(broker).ask(metadata.ApiVersionsRequest, 4, client_software_name="checks", client_software_version="1")
    served = {of.api_key: (of.min_version, of.max_version) for of in first.api_keys}
    asked, wrong = 0, []
    for kind, (ask, expected) in CASES.items():
        low, high = served.pop(kind.API_KEY)
        # Produce is only said to begin at 0 (KAFKA-18659): it is served from 3 on, as in Kafka.
        low = 3 if kind is producer.ProduceRequest else low
        for version in range(low, min(high, kind.max_version) + 1):
            asked += 1
            allowed = expected(version) if expected else {FINE}
            try:
                found = errors(ask(Scene(broker), version))
                if not found <= allowed:
                    wrong.append(f"{kind.name} {version}: errors {found}")
            except Exception as error:
                wrong.append(f"{kind.name} {version}: {error!r}")
    show(f"kafka: {asked} versions of {len(CASES)} requests answered as Kafka's definitions say, {len(wrong)} otherwise; {len(served)} served APIs are not known to kafka-python")
    assert not wrong, "\n".join(wrong)
    assert len(served) <= len(NOT_HERE), served


def test_a_version_yet_to_come_is_told_what_there_is(broker):
    connection = Connection(broker)
    connection.socket.sendall(struct.pack(">ihhih", 11, 18, 99, 7, -1) + b"\0")
    frame = connection.take(struct.unpack(">i", connection.take(4))[0])
    correlation, code = struct.unpack(">ih", frame[:6])
    assert (correlation, code) == (7, UNSUPPORTED_VERSION)


def test_what_topic_ids_name_no_topic(broker):
    scene, nowhere, unknown = Scene(broker), uuid.uuid4(), 100
    group = {"group_id": empty_group(scene)}
    part = {"partition_index": 0, "committed_offset": 7, "committed_leader_epoch": -1, "committed_metadata": None}
    committed = scene.connection.ask(consumer.OffsetCommitRequest, 10, **group, generation_id_or_member_epoch=-1, member_id="",
                                     topics=[{"topic_id": of, "partitions": [part]} for of in (nowhere, scene.id)])
    assert {topic.topic_id: topic.partitions[0].error_code for topic in committed.topics} == {nowhere: unknown, scene.id: FINE}
    topics = [{"topic_id": of, "partition_indexes": [0]} for of in (nowhere, scene.id)]
    asked = [{**group, "member_epoch": -1, "topics": topics}, {"group_id": "another", "member_epoch": -1, "topics": None}]
    some, none = scene.connection.ask(consumer.OffsetFetchRequest, 10, groups=asked).groups
    told = {topic.topic_id: (topic.partitions[0].error_code, topic.partitions[0].committed_offset) for topic in some.topics}
    assert told == {nowhere: (unknown, -1), scene.id: (FINE, 7)} and none.topics == []
    every = scene.connection.ask(consumer.OffsetFetchRequest, 10, groups=[{**group, "member_epoch": -1, "topics": None}]).groups[0]
    assert [(topic.topic_id, topic.partitions[0].committed_offset) for topic in every.topics] == [(scene.id, 7)]


def test_what_only_tiered_storage_would_have(broker):
    scene = Scene(broker)
    part = {"partition_index": 0, "current_leader_epoch": 0, "timestamp": -6}
    answer = scene.connection.ask(consumer.ListOffsetsRequest, 11, replica_id=-1, isolation_level=0, topics=[{"name": scene.topic, "partitions": [part]}], timeout_ms=1000)
    told = answer.topics[0].partitions[0]
    assert (told.error_code, told.offset, told.timestamp) == (FINE, -1, -1)
