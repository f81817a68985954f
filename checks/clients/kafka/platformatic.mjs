// @platformatic/kafka through what every client is asked: administration, produce, groups, transactions.
// Arguments: bootstrap user password topic protocol(classic|consumer). Prints one line of JSON.
import { Admin, Consumer, Producer, stringDeserializers, stringSerializers } from '@platformatic/kafka'

// It needs this of newer versions of Node.
Promise.withResolvers ??= () => {
  let resolve, reject
  const promise = new Promise((yes, no) => { resolve = yes; reject = no })
  return { promise, resolve, reject }
}

const [bootstrap, username, password, topic, groupProtocol] = process.argv.slice(2)
const COUNT = 300
const IN_TRANSACTION = 20
const WAIT_MS = 30000
const TOPIC = 2 // ConfigResourceTypes.TOPIC
const SET = 0 // IncrementalAlterConfigOperationTypes.SET
const READ_COMMITTED = 1
const ALREADY_EXISTS = 36

const base = { clientId: 'checks', bootstrapBrokers: [bootstrap], sasl: { mechanism: 'SCRAM-SHA-256', username, password } }
const told = {}
const seen = new Set()

async function until(what, done) {
  const end = Date.now() + WAIT_MS
  while (!(await done())) {
    if (Date.now() > end) throw new Error(`it did not come to pass: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

function consumer(groupId, more = {}) {
  const ofGroup = groupProtocol === 'consumer' ? {} : { heartbeatInterval: 500, sessionTimeout: 10000 }
  return new Consumer({ ...base, groupId, groupProtocol, deserializers: stringDeserializers, ...ofGroup, ...more })
}

/** A member of a group that knows what it was given. */
async function join(groupId) {
  const member = consumer(groupId)
  const stream = await member.consume({ topics: [topic], mode: 'committed', fallbackMode: 'earliest', autocommit: 100 })
  stream.on('data', (message) => seen.add(message.value))
  return { member, stream, has: () => member.assignments?.find((of) => of.topic === topic)?.partitions.length ?? 0 }
}

async function leave(one) {
  await one.stream.close()
  await one.member.close(true)
}

const admin = new Admin(base)
await admin.createTopics({ topics: [topic], partitions: 2, replicas: 1 })
told.twice = await admin.createTopics({ topics: [topic], partitions: 2, replicas: 1 }).then(() => false, (error) => Boolean(error.findBy?.('apiCode', ALREADY_EXISTS)))
await admin.createPartitions({ topics: [{ name: topic, count: 4, assignments: null }] })
told.partitions = (await admin.metadata({ topics: [topic], forceUpdate: true })).topics.get(topic).partitions.length
await admin.incrementalAlterConfigs({ resources: [{ resourceType: TOPIC, resourceName: topic, configs: [{ name: 'retention.ms', configOperation: SET, value: '3600000' }] }] })
const [described] = await admin.describeConfigs({ resources: [{ resourceType: TOPIC, resourceName: topic, configurationKeys: ['retention.ms'] }] })
told.retention = described.configs[0].value

const producer = new Producer({ ...base, idempotent: true, serializers: stringSerializers, compression: 'gzip' })
const sent = await producer.send({ messages: Array.from({ length: COUNT }, (_, n) => ({ topic, key: `k${n}`, value: `v${n}` })) })
await producer.close()
const probe = consumer(`${topic}-probe`)
const ends = await probe.listOffsets({ topics: [topic] })
told.produced = sent.offsets.length === 4 ? Number(ends.get(topic).reduce((sum, end) => sum + end, 0n)) : 0
await probe.close(true)

const committed = async (group) => {
  const [found] = await admin.listConsumerGroupOffsets({ groups: [group] })
  return found.topics.flatMap((of) => of.partitions).reduce((sum, at) => sum + Number(at.committedOffset), 0)
}
const first = await join(topic)
await until('the first has all', () => seen.size === COUNT && first.has() === 4)
await until('the first has committed', async () => (await committed(topic)) === COUNT)
const second = await join(topic)
await until('both have two', () => first.has() === 2 && second.has() === 2)
told.shared = true
await leave(second)
await until('the first has all again', () => first.has() === 4)
told.taken_over = true
told.read = seen.size
told.committed_offsets = await committed(topic)
await leave(first)
await admin.deleteGroups({ groups: [topic] })

const writer = new Producer({ ...base, idempotent: true, transactionalId: topic, serializers: stringSerializers })
for (const what of ['kept', 'dropped', 'kept']) {
  const transaction = await writer.beginTransaction()
  await transaction.send({ messages: Array.from({ length: IN_TRANSACTION }, (_, n) => ({ topic, key: `t${n}`, value: what })) })
  await (what === 'kept' ? transaction.commit() : transaction.abort())
}
await writer.close()

const counts = { kept: 0, dropped: 0, v: 0 }
const reader = consumer(`${topic}-reader`)
const stream = await reader.consume({ topics: [topic], mode: 'earliest', isolationLevel: READ_COMMITTED, autocommit: false })
stream.on('data', ({ value }) => { counts[value.replace(/^v.*/, 'v')]++ })
await until('everything is read', () => counts.v === COUNT && counts.kept >= 2 * IN_TRANSACTION)
await leave({ stream, member: reader })
Object.assign(told, { kept: counts.kept, dropped: counts.dropped, before: counts.v })
await admin.deleteTopics({ topics: [topic] })
told.deleted = !(await admin.listTopics()).includes(topic)
await admin.close()
console.log(JSON.stringify(told))
