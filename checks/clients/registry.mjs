// KafkaJS's client of a schema registry: registers, encodes and decodes with each kind of schema.
//
//   node registry.mjs URL USERNAME PASSWORD
//
// Prints the kinds that came through.
import { deepStrictEqual } from "node:assert";
import { SchemaRegistry, SchemaType } from "@kafkajs/confluent-schema-registry";

const [host, username, password] = process.argv.slice(2);
const make = () => new SchemaRegistry({ host, auth: { username, password } });

const cases = [
  [SchemaType.AVRO, '{"type":"record","name":"Row","namespace":"js","fields":[{"name":"text","type":"string"},{"name":"count","type":"int"}]}'],
  [SchemaType.JSON, '{"title":"Row","type":"object","properties":{"text":{"type":"string"},"count":{"type":"integer"}}}'],
  [SchemaType.PROTOBUF, 'syntax = "proto3"; package js; message Row { string text = 1; int32 count = 2; }'],
];
for (const [type, schema] of cases) {
  const registry = make();
  const { id } = await registry.register({ type, schema }, { subject: `js-${type}-value` });
  const value = { text: "hello", count: 3 };
  const encoded = await registry.encode(id, value);
  // Another client knows nothing yet.
  const decoded = await make().decode(encoded);
  deepStrictEqual({ ...decoded }, value);
  deepStrictEqual(await make().getLatestSchemaId(`js-${type}-value`), id);
  console.log(type);
}
