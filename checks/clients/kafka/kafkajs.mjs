// kafkajs through what every client is asked: administration, produce, groups, transactions.
// Arguments: bootstrap user password topic. Prints one line of JSON.
import { CompressionTypes, Kafka, logLevel } from 'kafkajs'

const [bootstrap, username, password, topic] = process.argv.slice(2)
const COUNT = 300
const IN_TRANSACTION = 20
const WAIT_MS = 30000

const kafka = new Kafka({ brokers: [bootstrap], clientId: 'checks', logLevel: logLevel.NOTHING, sasl: { mechanism: 'scram-sha-256', username, password } })
const told = {}
const seen = new Set()

async function until(what, done) {
  const end = Date.now() + WAIT_MS
  while (!(await done())) {
    if (Date.now() > end) throw new Error(`it did not come to pass: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** A member of a group that knows what it was given. */
async function join(groupId) {
  const consumer = kafka.consumer({ groupId, heartbeatInterval: 500, sessionTimeout: 10000 })
  const one = { consumer, has: 0 }
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => { one.has = payload.memberAssignment[topic]?.length ?? 0 })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({ autoCommit: true, autoCommitInterval: 200, eachMessage: async ({ message }) => { seen.add(message.value.toString()) } })
  return one
}

const admin = kafka.admin()
await admin.connect()
await admin.createTopics({ topics: [{ topic, numPartitions: 2 }] })
told.twice = (await admin.createTopics({ topics: [{ topic, numPartitions: 2 }] })) === false
await admin.createPartitions({ topicPartitions: [{ topic, count: 4 }] })
told.partitions = (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length
await admin.alterConfigs({ resources: [{ type: 2, name: topic, configEntries: [{ name: 'retention.ms', value: '3600000' }] }] })
const configs = await admin.describeConfigs({ resources: [{ type: 2, name: topic, configNames: ['retention.ms'] }] })
told.retention = configs.resources[0].configEntries[0].configValue

const producer = kafka.producer({ idempotent: true })
await producer.connect()
const messages = Array.from({ length: COUNT }, (_, n) => ({ key: `k${n}`, value: `v${n}` }))
await producer.send({ topic, messages, compression: CompressionTypes.GZIP })
await producer.disconnect()
told.produced = (await admin.fetchTopicOffsets(topic)).reduce((sum, of) => sum + Number(of.high), 0)

const first = await join(topic)
await until('the first has all', () => seen.size === COUNT && first.has === 4)
const committed = async (groupId) =>
  (await admin.fetchOffsets({ groupId, topics: [topic] }))[0].partitions.reduce((sum, at) => sum + Math.max(0, Number(at.offset)), 0)
await until('the first has committed', async () => (await committed(topic)) === COUNT)
const second = await join(topic)
await until('both have two', () => first.has === 2 && second.has === 2)
told.shared = true
await second.consumer.disconnect()
await until('the first has all again', () => first.has === 4)
told.taken_over = true
told.read = seen.size
await first.consumer.disconnect()
told.committed_offsets = await committed(topic)
await admin.deleteGroups([topic])

const group = `${topic}-txn`
const writer = kafka.producer({ transactionalId: topic, maxInFlightRequests: 1, idempotent: true })
await writer.connect()
for (const what of ['kept', 'dropped', 'kept']) {
  const transaction = await writer.transaction()
  await transaction.send({ topic, messages: Array.from({ length: IN_TRANSACTION }, (_, n) => ({ key: `t${n}`, value: what })) })
  await transaction.sendOffsets({ consumerGroupId: group, topics: [{ topic, partitions: [{ partition: 0, offset: what === 'kept' ? '7' : '9' }] }] })
  await (what === 'kept' ? transaction.commit() : transaction.abort())
}
await writer.disconnect()
told.in_transaction = await committed(group)

// It reads as read_committed unless told otherwise.
const counts = { kept: 0, dropped: 0, v: 0 }
const reader = kafka.consumer({ groupId: `${topic}-reader` })
await reader.connect()
await reader.subscribe({ topics: [topic], fromBeginning: true })
await reader.run({ eachMessage: async ({ message }) => { counts[message.value.toString().replace(/^v.*/, 'v')]++ } })
await until('everything is read', () => counts.v === COUNT && counts.kept >= 2 * IN_TRANSACTION)
await reader.disconnect()
Object.assign(told, { kept: counts.kept, dropped: counts.dropped, before: counts.v })
await admin.deleteTopics({ topics: [topic] })
told.deleted = !(await admin.listTopics()).includes(topic)
await admin.disconnect()
console.log(JSON.stringify(told))
