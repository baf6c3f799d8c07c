"""Twelve facts, each told five ways: what a reward for explanations has to tell apart."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["FACTS", "Fact"]


class Fact(NamedTuple):
    """A reference, the same reworded and said freely, a wrong fact in nearly its words, another topic in some."""

    reference: str
    paraphrase: str
    free: str
    wrong: str
    other: str


FACTS = (
    Fact(
        "Insulin lowers blood glucose.",
        "Blood sugar falls when insulin is released.",
        "Sugar in the veins drops once the pancreas lets out its hormone.",
        "Insulin raises blood glucose.",
        "The pump lowers water pressure.",
    ),
    Fact(
        "Plants take in carbon dioxide and release oxygen.",
        "Carbon dioxide is taken up by plants, and oxygen is given off.",
        "In photosynthesis CO2 is used up while O2 escapes.",
        "Plants take in oxygen and release carbon dioxide.",
        "Swimmers take in a breath and release the wall.",
    ),
    Fact(
        "Mitochondria produce most of the energy of a cell.",
        "A cell gets the bulk of its energy from mitochondria.",
        "ATP is made by small powerhouses inside us.",
        "Mitochondria produce most of the proteins of a cell.",
        "Two mills produce most of the paper of a country.",
    ),
    Fact(
        "Water boils at a lower temperature on high mountains.",
        "The boiling point of water is lower at high altitude.",
        "Up at altitude a kettle bubbles before it reaches 100 degrees.",
        "Water boils at a higher temperature on high mountains.",
        "Trains run at a lower speed on high bridges.",
    ),
    Fact(
        "The heart pumps blood through the arteries.",
        "Blood is driven through the arteries by the heart.",
        "Vessels carry what each beat pushes out.",
        "The heart pumps air through the arteries.",
        "The station pumps oil through the pipes.",
    ),
    Fact(
        "A base accepts a proton.",
        "Protons are taken up by bases.",
        "Hydrogen ions are taken up by alkaline substances.",
        "A base donates a proton.",
        "A bank accepts a cheque.",
    ),
    Fact(
        "Sound travels faster in water than in air.",
        "The speed of sound is greater in water than in air.",
        "Acoustic waves move more quickly through a liquid than through a gas.",
        "Sound travels slower in water than in air.",
        "He travels faster in spring than in winter.",
    ),
    Fact(
        "The moon causes the tides of the sea.",
        "Tides in the ocean are due to the pull of the moon.",
        "Ocean levels go up and down because of lunar gravity.",
        "The wind causes the tides of the sea.",
        "The strike causes the closing of the school.",
    ),
    Fact(
        "Antibiotics kill bacteria but not viruses.",
        "Bacteria die of antibiotics, viruses do not.",
        "Such drugs help with infections by microbes, not with a cold or the flu.",
        "Antibiotics kill viruses but not bacteria.",
        "Frosts kill roses but not pines.",
    ),
    Fact(
        "Friction turns motion into heat.",
        "Heat is made out of motion by friction.",
        "Things get warm when they rub against each other.",
        "Friction turns heat into motion.",
        "The miller turns corn into flour.",
    ),
    Fact(
        "The seasons come from the tilt of the axis of the earth.",
        "There are seasons because the axis of the earth is tilted.",
        "Because our planet leans, summer and winter alternate.",
        "The seasons come from the distance of the earth to the sun.",
        "The bruises come from the edge of the seat of the chair.",
    ),
    Fact(
        "Prices rise when demand exceeds supply.",
        "When more is demanded than supplied, prices go up.",
        "Goods get more expensive if buyers want more than is on sale.",
        "Prices fall when demand exceeds supply.",
        "Voices rise when a speaker exceeds his time.",
    ),
)
