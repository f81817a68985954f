"""aiokafka through what every client is asked: administration, produce, groups, transactions.

Arguments: bootstrap user password topic. Prints one line of JSON.
"""

import asyncio
import json
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

COUNT, IN_TRANSACTION, WAIT_S = 300, 20, 30
bootstrap, user, password, topic = sys.argv[1:5]
base = dict(bootstrap_servers=bootstrap, security_protocol="SASL_PLAINTEXT", sasl_mechanism="SCRAM-SHA-512", sasl_plain_username=user, sasl_plain_password=password)
seen = set()


async def until(what, done):
    for _ in range(WAIT_S * 50):
        if await done():
            return
        await asyncio.sleep(0.02)
    raise TimeoutError(f"it did not come to pass: {what}")


class Member(ConsumerRebalanceListener):
    """Reads in a group and knows what it was given."""

    @classmethod
    async def join(cls, group):
        one = cls()
        one.has = 0
        one.consumer = AIOKafkaConsumer(**base, group_id=group, auto_offset_reset="earliest", auto_commit_interval_ms=100, heartbeat_interval_ms=300)
        one.consumer.subscribe([topic], listener=one)
        await one.consumer.start()
        one.task = asyncio.create_task(one.read())
        return one

    async def read(self):
        async for message in self.consumer:
            seen.add(message.value)

    async def on_partitions_assigned(self, assigned):
        self.has = len(assigned)

    async def on_partitions_revoked(self, revoked):
        pass

    async def leave(self):
        self.task.cancel()
        await self.consumer.stop()


async def main():
    told = {}
    admin = AIOKafkaAdminClient(**base)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 2, 1)])
    again = await admin.create_topics([NewTopic(topic, 2, 1)])
    told["twice"] = again.topic_errors[0][1] == 36
    await admin.create_partitions({topic: NewPartitions(4)})
    told["partitions"] = len((await admin.describe_topics([topic]))[0]["partitions"])
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs={"retention.ms": "3600000"})])
    described = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs={"retention.ms": None})])
    told["retention"] = described[0].resources[0][4][0][1]

    async with AIOKafkaProducer(**base, enable_idempotence=True, compression_type="gzip") as producer:
        sent = [await producer.send(topic, f"v{n}".encode(), key=f"k{n}".encode()) for n in range(COUNT)]
        places = [await one for one in sent]
    told["produced"] = len({(at.partition, at.offset) for at in places})

    async def committed(group):
        return sum(at.offset for at in (await admin.list_consumer_group_offsets(group)).values())

    async def yes(found):
        return found

    first = await Member.join(topic)
    await until("the first has all", lambda: yes(len(seen) == COUNT and first.has == 4))
    await first.consumer.commit()
    second = await Member.join(topic)
    await until("both have two", lambda: yes(first.has == 2 and second.has == 2))
    told["shared"] = True
    await second.leave()
    await until("the first has all again", lambda: yes(first.has == 4))
    told["taken_over"] = True
    told["read"] = len(seen)
    await first.leave()
    told["committed_offsets"] = await committed(topic)

    group = f"{topic}-txn"
    async with AIOKafkaProducer(**base, transactional_id=topic) as writer:
        for what in ("kept", "dropped", "kept"):
            await writer.begin_transaction()
            for n in range(IN_TRANSACTION):
                await writer.send(topic, what.encode(), key=f"t{n}".encode())
            await writer.send_offsets_to_transaction({TopicPartition(topic, 0): 7 if what == "kept" else 9}, group)
            if what == "kept":
                await writer.commit_transaction()
            else:
                await writer.flush()
                await writer.abort_transaction()
    told["in_transaction"] = await committed(group)

    counts = {"kept": 0, "dropped": 0, "v": 0}
    async with AIOKafkaConsumer(topic, **base, auto_offset_reset="earliest", isolation_level="read_committed") as reader:
        async def everything():
            for messages in (await reader.getmany(timeout_ms=100)).values():
                for message in messages:
                    kind = message.value.decode()
                    counts["v" if kind.startswith("v") else kind] += 1
            return counts["v"] == COUNT and counts["kept"] >= 2 * IN_TRANSACTION

        await until("everything is read", everything)
    told.update(kept=counts["kept"], dropped=counts["dropped"], before=counts["v"])
    await admin.delete_topics([topic])
    told["deleted"] = topic not in await admin.list_topics()
    await admin.close()
    print(json.dumps(told))


asyncio.run(main())
