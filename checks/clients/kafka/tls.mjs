// kafkajs over TLS: one record to a topic and back.
// Arguments: bootstrap user password topic mechanism certificate. Prints the values read as one line of JSON.
import { readFileSync } from 'node:fs'
import { Kafka, logLevel } from 'kafkajs'

const [bootstrap, username, password, topic, mechanism, certificate] = process.argv.slice(2)
const WAIT_MS = 20000

const kafka = new Kafka({
  brokers: [bootstrap],
  clientId: 'checks',
  logLevel: logLevel.NOTHING,
  ssl: { ca: [readFileSync(certificate)] },
  sasl: { mechanism, username, password }
})
const producer = kafka.producer()
await producer.connect()
await producer.send({ topic, messages: [{ value: 'sealed' }] })
await producer.disconnect()
const consumer = kafka.consumer({ groupId: topic })
await consumer.connect()
await consumer.subscribe({ topics: [topic], fromBeginning: true })
const values = []
await new Promise((resolve, reject) => {
  setTimeout(() => reject(new Error('no record came')), WAIT_MS).unref()
  consumer.run({ eachMessage: async ({ message }) => { values.push(message.value.toString()); resolve() } }).catch(reject)
})
await consumer.disconnect()
console.log(JSON.stringify(values))
process.exit(0)
