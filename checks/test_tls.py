"""TLS on the listener: what is printed names the listener itself, and works for who trusts the certificate."""

import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import urllib.error
import urllib.request

import confluent_kafka
import kafka
import pytest

from server import binary, otlp_logs

HERE = pathlib.Path(__file__).resolve().parent


@pytest.fixture
def certificate(tmp_path):
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed: 1 case")
    pair = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE",
                    "-out", pair[0], "-keyout", pair[1]], check=True, capture_output=True)
    return pair


def test_what_is_printed_names_the_listener_with_tls(own_server, certificate, tmp_path):
    cert, key = map(str, certificate)
    server = own_server("--tls-cert", cert, "--tls-key", key)
    here = f"https://{server.ready['http']}"
    localhost = f"https://localhost:{server.ready['http'].rsplit(':', 1)[1]}"
    assert server.ready["setup_url"].startswith(f"{localhost}/app/setup?token=")
    trust = ssl.create_default_context(cafile=cert)

    def get(url, headers, body=None):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data=body, headers=headers), context=trust, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    password = tmp_path / "password"
    password.write_text("correct horse battery")
    said = server.cli("setup", "--email", "ada@example.org", "--password-file", str(password)).stdout
    assert f"{localhost}/app/" in said, said
    project = server.project("shop")
    assert project["dsn"].startswith("https://") and project["dsn"].endswith(f"@{server.ready['http']}/{project['number']}")
    sent = {"Authorization": f"Bearer {project['ingest_token']}", "Content-Type": "application/json"}
    assert get(f"{here}/v1/logs", sent, otlp_logs(["over TLS"])) == 200
    assert server.count("shop", "logs") == 1
    mine = lambda **env: subprocess.run([binary(), "project", "list", "--server", localhost, "--token", server.admin_key],  # noqa: E731
                                        capture_output=True, text=True, env={**os.environ, **env})
    assert mine().returncode == 1 and "SSL_CERT_FILE" in mine().stderr
    assert "shop" in mine(SSL_CERT_FILE=cert).stdout
    server.cli("flush")
    door = json.loads(server.cli("lake", "catalog", "--project", "shop", "--out", str(tmp_path / "shop.db"), "--json").stdout)
    path = re.search(r"DATA_PATH '([^']+)'", door["attach"])[1]
    assert path.startswith(f"{here}/lake/"), door["attach"]
    assert here in door["secret"], door["secret"]
    assert get(f"{path}catalog.db", {"Authorization": f"Bearer {door['token']}"}) == 200
    assert get(f"{path}catalog.db", {}) == 401


def over_tls(client, mechanism, bootstrap, user, password, cert):
    """One record to a topic of its own and back by a real client that trusts the certificate."""
    topic = f"tls-{client}-{mechanism.lower()}"
    if client == "confluent":
        config = {"bootstrap.servers": bootstrap, "security.protocol": "SASL_SSL", "ssl.ca.location": cert, "sasl.mechanism": mechanism,
                  "sasl.username": user, "sasl.password": password}
        producer = confluent_kafka.Producer(config)
        producer.produce(topic, b"sealed")
        assert producer.flush(60) == 0
        consumer = confluent_kafka.Consumer({**config, "group.id": topic, "auto.offset.reset": "earliest"})
        consumer.subscribe([topic])
        found = consumer.consume(1, 20)
        consumer.close()
        return [record.value() for record in found]
    if client == "kafka_python":
        config = {"bootstrap_servers": bootstrap, "security_protocol": "SASL_SSL", "ssl_cafile": cert, "sasl_mechanism": mechanism,
                  "sasl_plain_username": user, "sasl_plain_password": password}
        producer = kafka.KafkaProducer(**config)
        producer.send(topic, b"sealed").get(20)
        producer.close()
        consumer = kafka.KafkaConsumer(topic, **config, auto_offset_reset="earliest", consumer_timeout_ms=20_000)
        found = [next(consumer).value]
        consumer.close()
        return found
    done = subprocess.run(["node", str(HERE / "clients/kafka/tls.mjs"), bootstrap, user, password, topic, mechanism.lower(), cert],
                          capture_output=True, text=True, timeout=60, cwd=HERE)
    assert done.returncode == 0, done.stderr[-2000:]
    return [value.encode() for value in json.loads(done.stdout)]


@pytest.mark.local
def test_kafka_clients_over_tls(own_server, certificate, show):
    cert, key = map(str, certificate)
    server = own_server("--kafka-listen", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key)
    kafka_user = server.project("shop")["kafka"]
    address = (kafka_user["bootstrap"], kafka_user["username"], kafka_user["password"])
    clients = ["confluent", "kafka_python"] + (["kafkajs"] if (HERE / "node_modules/kafkajs").exists() else [])
    rounds = [(client, mechanism) for client in clients for mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")]
    with concurrent.futures.ThreadPoolExecutor(len(rounds)) as pool:
        found = list(pool.map(lambda which: over_tls(*which, *address, cert), rounds))
    assert found == [[b"sealed"]] * len(rounds), list(zip(rounds, found))
    # Without TLS the listener says nothing to a client, and to one that trusts nobody nothing either.
    with pytest.raises((OSError, kafka.errors.KafkaError)):
        kafka.KafkaProducer(bootstrap_servers=address[0], bootstrap_timeout_ms=2000)
    with socket.create_connection(address[0].rsplit(":", 1), timeout=10) as plain, pytest.raises(ssl.SSLError):
        ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")
    show(f"kafka over TLS: {', '.join(clients)} by PLAIN and SCRAM: a record in and out")
