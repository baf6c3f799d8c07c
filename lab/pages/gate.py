"""Who may call the dashboard, and what may be uploaded: a gate in front of Streamlit's server.

A page of another site cannot read this one as long as it must name itself: the names of the request's `Host` and of
its `Origin` have to be the dashboard's own. A name that its owner makes point to this machine is none of them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import streamlit as st
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from streamlit.runtime import get_instance
from streamlit.runtime.scriptrunner import get_script_run_ctx

from lab.text import printable

__all__ = ["ANY", "OWN", "Gate", "takes_files"]

OWN = ("127.0.0.1", "localhost", "::1")
ANY = ("0.0.0.0", "::")  # every address of the machine, whatever its number
_UPLOAD = re.compile(r"/_stcore/upload_file/([^/]+)/[^/]+")
_SPARE = 2  # times as much as a page takes, so that it is the page that says so
_TAKING: set[str] = set()  # sessions that show a page with an upload
_COMING: Counter[str] = Counter()  # bytes of a session that are on their way

Refusal = tuple[int, str]


def takes_files(here: bool) -> None:
    """Whether the page that this session shows takes files; those that come while it takes none are refused."""
    context = get_script_run_ctx()
    if context is not None:
        (_TAKING.add if here else _TAKING.discard)(context.session_id)


class Gate:
    """ASGI middleware: answers 403 to a foreign `Host` or `Origin`, and to files that no page asked for.

    Args:
        app: What stands behind it.
        names: Names and addresses under which the dashboard may be called; with one of `ANY`, by every number too.
    """

    def __init__(self, app: Any, names: Sequence[str] = OWN) -> None:
        self.app, self.names = app, tuple(name.lower() for name in names)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request, or one socket."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        session, size, refused = self._upload(scope, headers)
        refused = self._foreign(headers) or refused
        if refused:
            status, words = refused
            await PlainTextResponse(words + "\n", status)(scope, receive, send)
            return
        _COMING[session] += size
        try:
            await self.app(scope, receive, send)
        finally:
            _COMING[session] -= size
            _COMING.pop(session, None) if not _COMING[session] else None

    def _foreign(self, headers: Headers) -> Refusal | None:
        """Why a request is not let in that names another host, or comes from a page of another origin."""
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or not self._known(_name(hosts[0])):
            own = ", ".join(name for name in self.names if name not in ANY)
            return 403, (f"This dashboard answers to {own}, not to {printable(', '.join(hosts)) or 'no name'}; "
                         "`advlab app --host NAME` opens it under another name.")  # fmt: skip
        if any(urlsplit(origin).netloc.lower() != hosts[0].lower() for origin in origins):
            return 403, f"A page of {printable(', '.join(origins))} may not call this dashboard."
        return None

    def _known(self, name: str) -> bool:
        return name in self.names or (bool(set(ANY) & set(self.names)) and _is_number(name))

    def _upload(self, scope: Any, headers: Headers) -> tuple[str, int, Refusal | None]:
        """Session and size of an upload, and why it is not taken; no bytes of nobody for what is none."""
        found = _UPLOAD.fullmatch(scope["path"])
        if not found or scope.get("method") != "PUT":
            return "", 0, None
        session, length = found[1], headers.get("content-length", "")
        if session not in _TAKING:
            return session, 0, (403, "The page that is open takes no files.")
        if not length.isdecimal():
            return session, 0, (411, "The size of an upload has to be told.")
        most = int(st.get_option("server.maxUploadSize"))
        if _held(session) + _COMING[session] + int(length) > _SPARE * most * 2**20:
            return session, 0, (413, f"A log of at most {most} MB is taken.")
        return session, int(length), None


def _held(session: str) -> int:
    """Bytes that are kept of a session's uploads."""
    files = getattr(get_instance().uploaded_file_mgr, "file_storage", {}).get(session, {})
    return sum(len(file.data) for file in list(files.values()))


def _name(host: str) -> str:
    """The name, or address, in a `Host` header; "" where there is more than a name and a port."""
    try:
        parts = urlsplit(f"//{host}")
        parts.port  # noqa: B018 - refuses what is no number
    except ValueError:
        return ""
    return (parts.hostname or "").rstrip(".") if parts.netloc == host and "@" not in host else ""


def _is_number(name: str) -> bool:
    try:
        return bool(ip_address(name))
    except ValueError:
        return False
