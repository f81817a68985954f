// kafkajs with a token: one record. Arguments: bootstrap token topic. Prints the record's offset as one line of JSON.
import { Kafka, logLevel } from 'kafkajs'

const [bootstrap, token, topic] = process.argv.slice(2)
const sasl = { mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value: token }) }
const kafka = new Kafka({ brokers: [bootstrap], clientId: 'checks', logLevel: logLevel.NOTHING, sasl })
const producer = kafka.producer()
await producer.connect()
const [sent] = await producer.send({ topic, messages: [{ value: 'kafkajs' }] })
await producer.disconnect()
console.log(JSON.stringify(sent.baseOffset))
