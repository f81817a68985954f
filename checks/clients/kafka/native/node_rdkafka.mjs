// node-rdkafka through what every client is asked: administration, produce, groups, transactions. It cannot set
// configurations. Arguments: bootstrap user password topic protocol. Prints one line of JSON.
import Kafka from 'node-rdkafka'

const [bootstrap, username, password, topic, protocol] = process.argv.slice(2)
const COUNT = 300
const IN_TRANSACTION = 20
const WAIT_MS = 30000

const common = { 'bootstrap.servers': bootstrap, 'security.protocol': 'sasl_plaintext', 'sasl.mechanisms': 'SCRAM-SHA-512', 'sasl.username': username, 'sasl.password': password }
const told = {}
const seen = new Set()

/** A method that calls back, as a promise. */
const call = (of, method, ...args) => new Promise((resolve, reject) => of[method](...args, (error, value) => (error ? reject(error) : resolve(value))))

async function until(what, done) {
  const end = Date.now() + WAIT_MS
  while (!(await done())) {
    if (Date.now() > end) throw new Error(`it did not come to pass: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

function connected(client) {
  return new Promise((resolve, reject) => client.connect({}, (error) => (error ? reject(error) : resolve(client))))
}

/** A member of a group that knows what it was given; each message goes to `take`. */
async function join(group, take, more = {}) {
  const session = protocol === 'classic' ? { 'session.timeout.ms': 10000, 'heartbeat.interval.ms': 500 } : {}
  const consumer = new Kafka.KafkaConsumer({ ...common, 'group.id': group, 'group.protocol': protocol, ...session, 'auto.commit.interval.ms': 200, ...more }, { 'auto.offset.reset': 'earliest' })
  await connected(consumer)
  consumer.on('data', take)
  consumer.subscribe([topic])
  consumer.consume()
  return { consumer, has: () => { try { return consumer.assignments().length } catch { return 0 } } }
}

const admin = Kafka.AdminClient.create(common)
await call(admin, 'createTopic', { topic, num_partitions: 2, replication_factor: 1 })
told.twice = await call(admin, 'createTopic', { topic, num_partitions: 2, replication_factor: 1 }).then(() => false, (error) => error.code === Kafka.CODES.ERRORS.ERR_TOPIC_ALREADY_EXISTS)
await call(admin, 'createPartitions', topic, 4)

const producer = await connected(new Kafka.Producer({ ...common, 'enable.idempotence': true, 'compression.type': 'lz4', 'linger.ms': 5 }))
told.partitions = (await call(producer, 'getMetadata', { topic, timeout: WAIT_MS })).topics.find((known) => known.name === topic).partitions.length
for (let n = 0; n < COUNT; n++) producer.produce(topic, null, Buffer.from(`v${n}`), `k${n}`)
await call(producer, 'flush', WAIT_MS)
const ends = async () => (await Promise.all([0, 1, 2, 3].map((part) => call(producer, 'queryWatermarkOffsets', topic, part, WAIT_MS)))).reduce((sum, of) => sum + of.highOffset, 0)
told.produced = await ends()

const first = await join(topic, ({ value }) => seen.add(value.toString()))
await until('the first has all', () => seen.size === COUNT && first.has() === 4)
const committed = async (consumer) => (await call(consumer, 'committed', [0, 1, 2, 3].map((partition) => ({ topic, partition })), WAIT_MS)).reduce((sum, at) => sum + Math.max(0, at.offset ?? 0), 0)
await until('the first has committed', async () => (await committed(first.consumer)) === COUNT)
const second = await join(topic, ({ value }) => seen.add(value.toString()))
await until('both have two', () => first.has() === 2 && second.has() === 2)
told.shared = true
await call(second.consumer, 'disconnect')
await until('the first has all again', () => first.has() === 4)
told.taken_over = true
told.read = seen.size
told.committed_offsets = await committed(first.consumer)
await call(first.consumer, 'disconnect')

const member = await connected(new Kafka.KafkaConsumer({ ...common, 'group.id': `${topic}-txn`, 'enable.auto.commit': false }, {}))
const writer = await connected(new Kafka.Producer({ ...common, 'transactional.id': topic }))
await call(writer, 'initTransactions', WAIT_MS)
for (const what of ['kept', 'dropped', 'kept']) {
  await call(writer, 'beginTransaction')
  for (let n = 0; n < IN_TRANSACTION; n++) writer.produce(topic, null, Buffer.from(what), `t${n}`)
  await call(writer, 'sendOffsetsToTransaction', [{ topic, partition: 0, offset: what === 'kept' ? 7 : 9 }], member, WAIT_MS)
  await call(writer, what === 'kept' ? 'commitTransaction' : 'abortTransaction', WAIT_MS)
}
told.in_transaction = await committed(member)
await call(member, 'disconnect')
await call(writer, 'disconnect')

const counts = { kept: 0, dropped: 0, v: 0 }
const reader = await join(`${topic}-reader`, ({ value }) => { counts[value.toString().replace(/^v.*/, 'v')]++ }, { 'isolation.level': 'read_committed' })
await until('everything is read', () => counts.v === COUNT && counts.kept >= 2 * IN_TRANSACTION)
await call(reader.consumer, 'disconnect')
Object.assign(told, { kept: counts.kept, dropped: counts.dropped, before: counts.v })
await call(admin, 'deleteTopic', topic)
told.deleted = !(await call(producer, 'getMetadata', { timeout: WAIT_MS })).topics.some((known) => known.name === topic)
await call(producer, 'disconnect')
admin.disconnect()
console.log(JSON.stringify(told))
process.exit(0)
