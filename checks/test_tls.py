"""TLS on the listener: what is printed names the listener itself, and works for who trusts the certificate."""

import json
import os
import re
import shutil
import ssl
import subprocess
import urllib.error
import urllib.request

import pytest

from server import binary, otlp_logs


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
