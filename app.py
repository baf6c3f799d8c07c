"""The dashboard: `advlab app`, or `streamlit run app.py`."""

import streamlit as st

from lab.pages.server import GATE, SCRIPT

app = st.App(SCRIPT, middleware=GATE)
