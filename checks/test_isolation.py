"""A key of one project neither writes to nor reads another by any route; ingest keys cannot read at all."""

import json

from server import envelope, otlp_logs, post_otlp, post_sentry


def credentials(project):
    key = project["dsn"].split("//")[1].split("@")[0]
    return {
        "ingest bearer": {"Authorization": f"Bearer {project['ingest_token']}"},
        "ingest x-api-key": {"X-API-KEY": project["ingest_token"]},
        "dsn sentry auth": {"X-Sentry-Auth": f"Sentry sentry_key={key}, sentry_version=7"},
        "dsn bearer": {"Authorization": f"Bearer {key}"},
        "none": {},
        "garbage": {"Authorization": "Bearer nonsense"},
    }


def test_no_key_reads(server, show):
    a, b = server.project("iso-a"), server.project("iso-b")
    assert post_otlp(server, a["ingest_token"], ["secret of a"]).status == 200
    event_id = "a" * 32
    assert post_sentry(server, a, [("event", {"event_id": event_id, "message": "error of a"})], {"event_id": event_id}).status == 200
    paths = server.request("GET", "/api/v1/openapi.json", headers={"Authorization": f"Bearer {server.admin_key}"}).json()["paths"]
    open_ones = {"/api/v1/status", "/api/v1/openapi.json", "/api/v1/setup", "/api/v1/session"}
    tried = 0
    for project, who in ((a, "own"), (b, "other")):
        for name, headers in credentials(project).items():
            for path, methods in paths.items():
                if path in open_ones:
                    continue
                concrete = path.replace("{project}", "iso-a").replace("{id}", "1").replace("{event_id}", event_id).replace("{issue}", "1")
                for method in methods:
                    body = json.dumps({"project": "iso-a", "sql": "SELECT body FROM logs", "name": "x"}).encode() if method.upper() in ("POST", "PUT") else None
                    answer = server.request(method.upper(), f"{concrete}?project=iso-a&q=", body, {**headers, "Content-Type": "application/json", "X-Candor": "1"}, timeout=10)
                    assert answer.status in (401, 403), (who, name, method, concrete, answer)
                    assert b"secret of a" not in answer.body
                    tried += 1
            for path in (f"/lake/{a['number']}/catalog.db", "/metrics"):
                answer = server.request("GET", path, headers=headers)
                assert b"secret of a" not in answer.body
                if path.startswith("/lake"):
                    assert answer.status in (401, 403), (who, name, path, answer)
                tried += 1
    show(f"isolation: {tried} reads with write keys, none answered")


def test_no_key_writes_elsewhere(server):
    a, b = server.project("iso-c"), server.project("iso-d")
    key_a = a["dsn"].split("//")[1].split("@")[0]
    auth = {"X-Sentry-Auth": f"Sentry sentry_key={key_a}, sentry_version=7"}
    body = envelope([("event", {"message": "stray"})])
    for path in (f"/api/{b['number']}/envelope/", f"/api/{b['number']}/store/"):
        payload = body if "envelope" in path else b'{"message":"stray"}'
        assert server.request("POST", path, payload, auth).status == 403
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"X-API-KEY": "nonsense"}):
        for path, payload in (("/v1/logs", otlp_logs(["stray"])), ("/v1/traces", b'{"resourceSpans":[]}'), ("/logs?source_name=x", b'{"message":"stray"}'),
                              ("/api/logs?source_name=x", b'{"message":"stray"}'), ("/api/events?source_name=x", b'{"message":"stray"}'), ("/", b'{"message":"stray"}')):
            answer = server.request("POST", path, payload, {**headers, "Content-Type": "application/json"})
            assert answer.status in (401, 403), (path, answer)
    assert server.count("iso-d", "errors") == 0 and server.count("iso-d", "logs") == 0
    assert server.count("iso-c", "errors") == 0


def test_a_deleted_project_is_closed_with_the_answer(own_server, tmp_path):
    server = own_server()
    project = server.project("gone")
    assert post_otlp(server, project["ingest_token"], ["here for now"]).status == 200
    server.cli("flush")
    door = json.loads(server.cli("lake", "catalog", "--project", "gone", "--out", str(tmp_path / "gone.db"), "--json").stdout)
    path, bearer = f"/lake/{project['number']}/catalog.db", {"Authorization": f"Bearer {door['token']}"}
    assert server.request("GET", path, headers=bearer).status == 200
    assert server.api("DELETE", "/api/v1/projects/gone").status == 204
    assert server.request("GET", path, headers=bearer).status == 401
    assert post_otlp(server, project["ingest_token"], ["too late"]).status in (401, 403)
