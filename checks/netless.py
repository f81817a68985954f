"""Run by test_no_connect.py in a network namespace of its own, where loopback is all there is: a server as it comes,
every signal in, everything read, a stop. Prints what came of it as JSON."""

import json
import sys
import time

from confluent_kafka import Consumer, Producer

from server import Server, post_otlp, post_sentry


def main(trace: str, idle_s: float):
    strace = ["strace", "-f", "-s", "96", "-e", "trace=connect,sendto,sendmsg,sendmmsg,accept4", "-o", trace]
    with Server(None, "--kafka-listen", "127.0.0.1:0", prefix=strace) as server:
        project = server.project("alone")
        assert post_otlp(server, project["ingest_token"], ["one", "two"]).status == 200
        event = {"event_id": "ab" * 16, "platform": "other", "level": "error", "message": "alone"}
        assert post_sentry(server, project, [("event", event)]).status == 200
        kafka = project["kafka"]
        client = {"bootstrap.servers": kafka["bootstrap"], "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN",
                  "sasl.username": kafka["username"], "sasl.password": kafka["password"]}
        producer = Producer(client)
        for number in range(100):
            producer.produce("alone", f"value {number}")
        assert producer.flush(20) == 0
        consumer = Consumer({**client, "group.id": "alone", "auto.offset.reset": "earliest"})
        consumer.subscribe(["alone"])
        records, until = 0, time.monotonic() + 20
        while records < 100 and time.monotonic() < until:
            records += len(consumer.consume(100, 0.5))
        consumer.close()
        found = {"records": records, "logs": server.count("alone", "logs"), "errors": server.count("alone", "errors"),
                 "screen": server.request("GET", "/app/").status}
        # Whatever is done now and then is done meanwhile.
        time.sleep(idle_s)
        server.stop()
    print(json.dumps(found))


main(sys.argv[1], float(sys.argv[2]))
