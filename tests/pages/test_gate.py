"""Who may call the dashboard, and what may be uploaded to it."""

import asyncio
from types import SimpleNamespace

import pytest
import streamlit as st

from lab.pages import gate
from lab.pages.gate import Gate

HOST = "127.0.0.1:8501"


async def behind(scope, receive, send):
    """What stands behind the gate: it answers 200 to all that comes through."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"in"})


def answer(names=gate.OWN, path="/", method="GET", kind="http", app=behind, **headers):
    """Status and words of the answer to one request; `host=None` sends no such header."""
    given = {"host": HOST} | headers
    sent = []

    async def send(message):
        sent.append(message)

    scope = {
        "type": kind, "path": path, "method": method,
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in given.items() if v is not None],
        "extensions": {"websocket.http.response": {}},
    }  # fmt: skip
    asyncio.run(Gate(app, names)(scope, None, send))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent).decode()


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8501", "127.0.0.1.evil.example", "evil@127.0.0.1", "192.168.1.7:8501", "", None,
     "127.0.0.1/evil", "127.0.0.1:x", "[::1"],
)  # fmt: skip
def test_another_host_is_refused_in_words(kind, host):
    status, words = answer(kind=kind, host=host)
    assert status == 403
    assert "answers to 127.0.0.1, localhost, ::1, not to" in words and "--host" in words


@pytest.mark.parametrize("host", [HOST, "localhost:8501", "LOCALHOST", "localhost.:8501", "[::1]:8501", "127.0.0.1"])
def test_the_machine_s_own_names_are_let_in(host):
    assert answer(host=host)[0] == 200
    assert answer(host=host, origin=f"http://{host}")[0] == 200


def test_two_hosts_are_none():
    sent = []

    async def send(message):
        sent.append(message)

    headers = [(b"host", HOST.encode()), (b"host", b"evil.example")]
    scope = {"type": "http", "path": "/", "method": "GET", "headers": headers}
    asyncio.run(Gate(behind)(scope, None, send))
    assert sent[0]["status"] == 403


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://localhost:9999", "http://127.0.0.1", "null", "file://"]
)
def test_a_page_of_another_origin_is_refused(kind, origin):
    status, words = answer(kind=kind, origin=origin)
    assert status == 403 and words == f"A page of {origin} may not call this dashboard.\n"


def test_a_name_that_was_given_is_let_in_and_others_are_not():
    names = (*gate.OWN, "Lab.example")
    assert answer(names, host="lab.example:8501", origin="http://lab.example:8501")[0] == 200
    assert answer(names, host="other.example:8501")[0] == 403


def test_every_address_of_the_machine_means_numbers_and_no_unknown_names():
    names = (*gate.OWN, "0.0.0.0")
    for number in ("192.168.1.7:8501", "[fe80::1]:8501"):
        assert answer(names, host=number, origin=f"http://{number}")[0] == 200
    assert answer(names, host="evil.example:8501")[0] == 403, "its owner may make it point here"


def test_the_start_of_the_server_passes():
    asked = []

    async def app(scope, receive, send):
        asked.append(scope["type"])

    asyncio.run(Gate(app)({"type": "lifespan"}, None, None))
    assert asked == ["lifespan"]


@pytest.fixture
def held(monkeypatch):
    """A server that keeps uploads by session, and one session on a page that takes files."""
    kept = {}
    server = SimpleNamespace(uploaded_file_mgr=SimpleNamespace(file_storage=kept))
    monkeypatch.setattr(gate, "get_instance", lambda: server)
    monkeypatch.setattr(gate, "_TAKING", {"here"})
    return kept


def put(session="here", length="10", app=behind):
    return answer(path=f"/_stcore/upload_file/{session}/1", method="PUT", content_length=length, app=app)


def test_files_are_taken_by_the_page_that_asks_for_them(held, monkeypatch):
    assert put() == (200, "in")
    assert put("elsewhere") == (403, "The page that is open takes no files.\n")
    monkeypatch.setattr(gate, "get_script_run_ctx", lambda: SimpleNamespace(session_id="elsewhere"))
    gate.takes_files(True)
    assert put("elsewhere")[0] == 200
    gate.takes_files(False)
    assert put("elsewhere")[0] == 403


def test_no_more_is_taken_than_a_log_needs(held):
    most = 2 * st.get_option("server.maxUploadSize") * 2**20
    assert put(length=str(most))[0] == 200
    assert put(length=str(most + 1))[0] == 413
    assert put(length=None)[0] == put(length="-1")[0] == 411
    held["here"] = {"1": SimpleNamespace(data=bytes(100))}
    assert put(length=str(most - 100))[0] == 200
    assert put(length=str(most - 99))[0] == 413, "what is there counts"


def test_what_is_on_its_way_counts_until_it_is_there(held):
    most = 2 * st.get_option("server.maxUploadSize") * 2**20
    seen = []

    async def app(scope, receive, send):
        seen.append(gate._COMING["here"])
        headers = {"host": HOST, "content-length": "1"}
        scope = scope | {"headers": [(k.encode(), v.encode()) for k, v in headers.items()]}
        await Gate(behind)(scope, receive, send)

    assert put(length=str(most), app=app)[0] == 413
    assert seen == [most] and not gate._COMING


def test_the_dashboard_alone_takes_no_more_than_the_page_says():
    from lab.pages.server import settings

    assert settings()["server.maxUploadSize"] == 16
    assert settings()["server.address"] == "127.0.0.1"
    assert settings()["server.allowedHosts"] == list(gate.OWN)
