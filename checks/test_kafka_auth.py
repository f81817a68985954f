"""Who may log in, and where: nobody in the clear off loopback, and users of an identity provider by their tokens."""

import base64
import http.server
import json
import pathlib
import socket
import struct
import subprocess
import threading
import time

import kafka
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, AdminClient, ConfigResource, ResourcePatternType, ResourceType
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from kafka.net.sasl.oauth import AbstractTokenProvider

from server import Server

pytestmark = pytest.mark.local

HERE = pathlib.Path(__file__).resolve().parent
WAIT_S = 20
ISSUER, AUDIENCE = "https://id.example.org/", "kafka"
UNSUPPORTED_MECHANISM = 33


# --- off loopback ----------------------------------------------------------------------------------------------

def elsewhere() -> str:
    """An address of this machine that is not loopback. Nothing is sent."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("203.0.113.1", 9))
            address = probe.getsockname()[0]
    except OSError:
        address = "127.0.0.1"
    if address.startswith("127."):
        pytest.skip("this machine has loopback alone: 1 case")
    return address


def mechanisms(host: str, port: str, asked: str, version=1):
    """What SaslHandshake answers: the error and the mechanisms."""
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        body = struct.pack(">hhih", 17, version, 1, -1) + struct.pack(">h", len(asked)) + asked.encode()
        connection.sendall(struct.pack(">i", len(body)) + body)
        with connection.makefile("rb") as stream:
            frame = stream.read(struct.unpack(">i", stream.read(4))[0])
    error, count = struct.unpack(">hi", frame[4:10])
    names, at = [], 10
    for _ in range(count):
        length = struct.unpack(">h", frame[at:at + 2])[0]
        names.append(frame[at + 2:at + 2 + length].decode())
        at += 2 + length
    return error, names


def first_error(config: dict) -> str:
    """What a client is told that cannot log in."""
    said = []
    client = AdminClient({**config, "error_cb": lambda error: said.append(error)})
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until and not any(error.code() == KafkaError._AUTHENTICATION for error in said):
        client.poll(0.1)
    return next(error.str() for error in said if error.code() == KafkaError._AUTHENTICATION)


def test_in_the_clear_nobody_logs_in_off_loopback(own_server):
    there = elsewhere()
    server = own_server("--kafka-listen", "0.0.0.0:0")
    user = server.project("shop")["kafka"]
    port = server.ready["kafka"].rsplit(":", 1)[1]
    every = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
    for mechanism in every:
        assert mechanisms("127.0.0.1", port, mechanism) == (0, every)
        for version in (0, 1):
            assert mechanisms(there, port, mechanism, version) == (UNSUPPORTED_MECHANISM, ["USE_SASL_SSL"])
    config = {"bootstrap.servers": f"{there}:{port}", "security.protocol": "SASL_PLAINTEXT", "sasl.username": user["username"], "sasl.password": user["password"]}
    for mechanism in ("PLAIN", "SCRAM-SHA-512"):
        assert "USE_SASL_SSL" in first_error({**config, "sasl.mechanism": mechanism})
    assert "--tls-cert" in server.log_text() and "--trusted-proxy" in server.log_text()
    # Where TLS ends before us, and it was said so, they may.
    behind = own_server("--kafka-listen", "0.0.0.0:0", "--trusted-proxy", f"{there}/32")
    assert mechanisms(there, behind.ready["kafka"].rsplit(":", 1)[1], "PLAIN") == (0, every)
    assert "cannot log in without TLS" not in behind.log_text()


# --- tokens ----------------------------------------------------------------------------------------------------

def text64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number64(number: int, length: int = 0) -> str:
    return text64(number.to_bytes(length or (number.bit_length() + 7) // 8, "big"))


class Issuer:
    """An identity provider: keys, and tokens signed with them."""

    def __init__(self):
        self.rsa, self.ec = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())
        self.kid = "first"

    def jwks(self) -> str:
        public, point = self.rsa.public_key().public_numbers(), self.ec.public_key().public_numbers()
        return json.dumps({"keys": [
            {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": f"{self.kid}-rsa", "n": number64(public.n), "e": number64(public.e)},
            {"kty": "EC", "use": "sig", "crv": "P-256", "kid": f"{self.kid}-ec", "x": number64(point.x, 32), "y": number64(point.y, 32)}]})

    def token(self, algorithm="RS256", header=None, **claims) -> str:
        now = time.time()
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "project": "shop", "iat": now, "exp": now + 300, **claims}
        head = {"typ": "JWT", "alg": algorithm, "kid": f"{self.kid}-{'rsa' if algorithm == 'RS256' else 'ec'}", **(header or {})}
        signed = ".".join(text64(json.dumps(part).encode()) for part in (head, claims))
        if algorithm == "RS256":
            signature = self.rsa.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        elif algorithm == "ES256":
            r, s = utils.decode_dss_signature(self.ec.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
            signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        else:
            signature = b""
        return f"{signed}.{text64(signature)}"


@pytest.fixture(scope="module")
def issuer():
    return Issuer()


@pytest.fixture(scope="module")
def server(issuer, tmp_path_factory):
    keys = tmp_path_factory.mktemp("keys") / "jwks.json"
    keys.write_text(issuer.jwks())
    with Server(None, "--kafka-listen", "127.0.0.1:0", "--kafka-oauth-issuer", ISSUER, "--kafka-oauth-jwks", str(keys), "--kafka-oauth-audience", AUDIENCE,
                "--kafka-oauth-project-claim", "project", "--kafka-set", "connections.max.reauth.ms=600000") as running:
        yield running


@pytest.fixture(scope="module")
def shop(server):
    """A project whose rules let ada send to and read from one topic."""
    user = server.project("shop")["kafka"]
    owner = AdminClient({"bootstrap.servers": user["bootstrap"], "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN",
                         "sasl.username": user["username"], "sasl.password": user["password"]})
    rules = [AclBinding(kind, name, ResourcePatternType.LITERAL, "User:ada", "*", operation, AclPermissionType.ALLOW)
             for kind, name, operation in [(ResourceType.TOPIC, "orders", AclOperation.ALL), (ResourceType.GROUP, "readers", AclOperation.READ)]]
    for done in owner.create_acls(rules).values():
        done.result(WAIT_S)
    return user["bootstrap"], owner


def by_token(bootstrap, token, lifetime_s=300, **more) -> dict:
    asked = []

    def give(_):
        asked.append(time.monotonic())
        return token() if callable(token) else token, time.time() + lifetime_s

    return {"bootstrap.servers": bootstrap, "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "OAUTHBEARER", "oauth_cb": give, **more}


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_token_opens_its_project_as_its_user(shop, issuer, algorithm, show):
    bootstrap, _ = shop
    config = by_token(bootstrap, issuer.token(algorithm))
    errors = []
    producer = Producer({**config, "error_cb": errors.append})
    producer.poll(0)
    producer.produce("orders", algorithm.encode())
    assert producer.flush(WAIT_S) == 0, errors
    consumer = Consumer({**config, "group.id": "readers", "auto.offset.reset": "earliest"})
    consumer.subscribe(["orders"])
    found, until = [], time.monotonic() + WAIT_S
    while algorithm.encode() not in found and time.monotonic() < until:
        found += [record.value() for record in consumer.consume(10, 0.5)]
    consumer.close()
    assert algorithm.encode() in found
    # What no rule allows is refused to the user that the token names.
    outcome = []
    try:
        producer.produce("secrets", b"x", on_delivery=lambda error, _: outcome.append(error.code()))
        producer.flush(WAIT_S)
    except KafkaException as refused:
        # It may have been told already when it asked for the topic.
        outcome.append(refused.args[0].code())
    assert outcome == [KafkaError.TOPIC_AUTHORIZATION_FAILED]
    show(f"kafka: a token signed with {algorithm} opened a project for confluent-kafka")


class Provider(AbstractTokenProvider):
    """Gives kafka-python a token."""

    def __init__(self, token):
        self.given = token

    def token(self):
        return self.given


def test_other_clients_log_in_by_token(shop, issuer, show):
    bootstrap, _ = shop
    producer = kafka.KafkaProducer(bootstrap_servers=bootstrap, security_protocol="SASL_PLAINTEXT", sasl_mechanism="OAUTHBEARER",
                                   sasl_oauth_token_provider=Provider(issuer.token()))
    offset = producer.send("orders", b"kafka-python").get(WAIT_S).offset
    producer.close()
    clients = ["kafka-python"]
    if (HERE / "node_modules/kafkajs").exists():
        done = subprocess.run(["node", str(HERE / "clients/kafka/oauth.mjs"), bootstrap, issuer.token("ES256"), "orders"], capture_output=True, text=True, timeout=60, cwd=HERE)
        assert done.returncode == 0, done.stderr[-2000:]
        assert int(json.loads(done.stdout)) >= 0
        clients.append("kafkajs")
    assert offset >= 0
    show(f"kafka: {' and '.join(clients)} logged in by a token")


def test_other_tokens_open_nothing(shop, issuer):
    bootstrap, _ = shop
    stranger = Issuer()
    unsigned = ".".join(text64(json.dumps(part).encode()) for part in (
        {"alg": "none"}, {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "project": "shop", "iat": time.time(), "exp": time.time() + 300})) + "."
    for token, why in [
        (unsigned, "not signed with RS256"), (stranger.token(), "signature is wrong"), (issuer.token(iss="https://other.example.org/"), "another issuer"),
        (issuer.token(aud="web"), "another audience"), (issuer.token(exp=time.time() - 60), "has expired"), (issuer.token(project="none"), "names no project"),
        (issuer.token(header={"alg": "HS256"}), "not signed with RS256"), (issuer.token(nbf=time.time() + 120), "not valid yet"),
    ]:
        # What a client is told is whole, in its own error.
        assert why in log_in_error(bootstrap, token), why
    # librdkafka makes an unsigned token itself where it is told to.
    config = {"bootstrap.servers": bootstrap, "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "OAUTHBEARER", "enable.sasl.oauthbearer.unsecure.jwt": True,
              "sasl.oauthbearer.config": "principal=ada"}
    assert "not signed with RS256" in first_error(config)


def log_in_error(bootstrap, token) -> str:
    """The error of a log in with this token, by hand: a client would look at some tokens itself."""
    host, port = bootstrap.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as connection, connection.makefile("rb") as stream:
        def ask(api, version, body):
            frame = struct.pack(">hhih", api, version, 1, -1) + body
            connection.sendall(struct.pack(">i", len(frame)) + frame)
            return stream.read(struct.unpack(">i", stream.read(4))[0])[4:]

        assert ask(17, 1, struct.pack(">h", 11) + b"OAUTHBEARER")[:2] == b"\0\0"
        message = f"n,,\x01auth=Bearer {token}\x01\x01".encode()
        answer = ask(36, 1, struct.pack(">i", len(message)) + message)
        error, length = struct.unpack(">hh", answer[:4])
        assert error == 58, answer
        return answer[4:4 + length].decode()


def test_a_session_ends_with_its_token_unless_it_is_renewed(shop, issuer):
    bootstrap, owner = shop
    host, port = bootstrap.rsplit(":", 1)
    node = str(next(iter(owner.list_topics(timeout=WAIT_S).brokers)))
    told = owner.describe_configs([ConfigResource(ConfigResource.Type.BROKER, node)])
    told = next(iter(told.values())).result(WAIT_S)
    assert told["connections.max.reauth.ms"].value == "600000" and "OAUTHBEARER" in told["sasl.enabled.mechanisms"].value
    # A token that has run out is good for the difference of two clocks, 30 s: this one for three seconds more.
    tokens = []

    def short():
        tokens.append(issuer.token(exp=time.time() - 27))
        return tokens[-1]

    errors = []
    producer = Producer(by_token(bootstrap, short, lifetime_s=3, error_cb=errors.append))
    until, sent = time.monotonic() + 8, 0
    while time.monotonic() < until:
        producer.produce("orders", b"again")
        sent += 1
        producer.poll(0.2)
    assert producer.flush(WAIT_S) == 0, errors
    assert len(tokens) > 2, "it logs in again and again"
    # A connection that does not is closed at its next request.
    with socket.create_connection((host, int(port)), timeout=10) as connection, connection.makefile("rb") as stream:
        def ask(api, version, body):
            frame = struct.pack(">hhih", api, version, 1, -1) + body
            connection.sendall(struct.pack(">i", len(frame)) + frame)
            length = stream.read(4)
            return length and stream.read(struct.unpack(">i", length)[0])[4:]

        ask(17, 1, struct.pack(">h", 11) + b"OAUTHBEARER")
        message = f"n,,\x01auth=Bearer {issuer.token(exp=time.time() - 28)}\x01\x01".encode()
        answer = ask(36, 1, struct.pack(">i", len(message)) + message)
        assert answer[:2] == b"\0\0" and 0 < struct.unpack(">q", answer[-8:])[0] <= 2000, answer
        assert ask(3, 1, struct.pack(">i", 0))
        time.sleep(2.5)
        assert ask(3, 1, struct.pack(">i", 0)) == b""


class Keys(http.server.BaseHTTPRequestHandler):
    """Serves a key set, and counts who asks."""

    def do_GET(self):
        self.server.asked += 1
        body = self.server.document.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_keys_come_from_a_url_and_new_ones_when_they_are_needed(own_server):
    first, second = Issuer(), Issuer()
    second.kid = "second"
    provider = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    provider.asked, provider.document = 0, first.jwks()
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    try:
        server = own_server("--kafka-listen", "127.0.0.1:0", "--kafka-oauth-issuer", ISSUER, "--kafka-oauth-audience", AUDIENCE, "--kafka-oauth-project", "shop",
                            "--kafka-oauth-user-claim", "login", "--kafka-oauth-jwks", f"http://127.0.0.1:{provider.server_address[1]}/keys")
        user = server.project("shop")["kafka"]
        assert provider.asked == 1
        # The principal of the project's own user: whoever is called so may do what that one may.
        topics = AdminClient(by_token(user["bootstrap"], first.token(login=user["username"])))
        topics.poll(0.1)
        assert topics.list_topics(timeout=WAIT_S).brokers
        time.sleep(5)
        provider.document = second.jwks()
        topics = AdminClient(by_token(user["bootstrap"], second.token("ES256", login="ada")))
        topics.poll(0.1)
        assert topics.list_topics(timeout=WAIT_S).brokers
        assert provider.asked == 2
        assert "key set" in log_in_error(user["bootstrap"], first.token(login="ada")), "the first key was taken back"
    finally:
        provider.shutdown()


def test_keys_that_cannot_be_read_are_said_at_the_start(tmp_path):
    wrong = tmp_path / "keys.json"
    wrong.write_text('{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}')
    flags = ["--kafka-listen", "127.0.0.1:0", "--kafka-oauth-issuer", ISSUER, "--kafka-oauth-audience", AUDIENCE, "--kafka-oauth-project", "shop", "--kafka-oauth-jwks"]
    for path, why in [(wrong, "no public key that signs"), (tmp_path / "absent.json", "cannot read it")]:
        server = Server(None, *flags, str(path))
        try:
            with pytest.raises(AssertionError, match=why):
                server.start()
        finally:
            server.cleanup()
