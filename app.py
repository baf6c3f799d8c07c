"""The dashboard: `advlab app`, or `streamlit run app.py`."""

import streamlit as st

from lab import plugins
from lab.pages.shell import guarded

plugins.inherit()
st.set_page_config(page_title="Advantage Lab", page_icon="⚖️", layout="wide")

PAGES = [
    st.Page("lab/pages/microscope.py", title="Microscope"),
    st.Page("lab/pages/train.py", title="Train"),
    st.Page("lab/pages/compare.py", title="Compare"),
    st.Page("lab/pages/sign_flips.py", title="Sign flips"),
    st.Page("lab/pages/collapse.py", title="Collapse"),
    st.Page("lab/pages/implied_reward.py", title="Implied reward"),
    st.Page("lab/pages/reward_distances.py", title="Reward distances"),
    st.Page("lab/pages/tokens.py", title="Tokens"),
    st.Page("lab/pages/small_models.py", title="Small models"),
    st.Page("lab/pages/gradient_spikes.py", title="Gradient spikes"),
    st.Page("lab/pages/shaping.py", title="Shaping"),
    st.Page("lab/pages/reward_hacking.py", title="Reward hacking"),
    st.Page("lab/pages/your_run.py", title="Your run"),
    st.Page("lab/pages/papers.py", title="Papers"),
]


def start() -> None:
    """The bare address: it leads to the first page, so that each page has an address of its own."""
    st.switch_page(PAGES[0], query_params=st.query_params.to_dict())


guarded(st.navigation([st.Page(start, default=True, visibility="hidden"), *PAGES], position="top").run)
