"""The pages of the dashboard; `lab.pages.server` serves them."""

import streamlit as st

from lab import plugins
from lab.explorers import explorer, names
from lab.explorers.contract import COMPARE, PAPERS, ROOMS
from lab.pages.gate import takes_files
from lab.pages.home import page_of, rooms, show
from lab.pages.shell import guarded

plugins.inherit()
st.set_page_config(page_title="Advantage Lab", page_icon="⚖️", layout="wide")

PAGES = {room: [page_of(name) for name in names() if explorer(name).room == room] for room in ROOMS}
PAGES[COMPARE].append(st.Page("small_models.py", title="Small models"))
PAGES[PAPERS].append(st.Page("papers.py", title="Papers"))


def start() -> None:
    """The address without a path: what an advantage is, and the rooms."""
    show("start")
    rooms(PAGES)


START = st.Page(start, title="Start", default=True)

chosen = st.navigation({"": [START], **PAGES}, position="top")
takes_files(chosen.url_path == "my_run")
guarded(chosen.run)
