"""Find texts about the same by codes of 32 bits; the index lies in a folder and can be added to.

python examples/search_texts.py [folder for the index]
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

import isthmus as ist

TOPICS = {
    "space": "orbit moon rocket probe astronaut planet launch telescope satellite crater",
    "sport": "goal team match league goalkeeper season coach final referee striker",
    "food": "oven flour butter recipe onion garlic simmer dough pepper taste",
}
draw = np.random.default_rng(0)


def text(topic):
    """A text of ten words, eight of them of its topic."""
    others = " ".join(TOPICS.values()).split()
    return " ".join([*draw.choice(TOPICS[topic].split(), 8), *draw.choice(others, 2)])


names = [f"{topic}-{number}" for topic in TOPICS for number in range(200)]
texts = [text(name.split("-")[0]) for name in names]
retriever = ist.Retriever(bits=32, epochs=30, random_state=0).fit(texts, ids=names, items=texts)

found = retriever.query("a rocket to the moon", k=3)
for name, distance, item in zip(found.ids[0], found.distances[0], found.items[0], strict=True):
    print(f"{name:10} {distance:2} bits  {item}")

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp())
retriever.save(folder / "texts.safetensors")
again = ist.load(folder / "texts.safetensors")
again.add(["garlic and butter in the oven"], ids=["food-new"])  # on the disk when it returns
again.remove(["space-0"])
near = again.query("melt the butter, add garlic, simmer", k=5)
print(near.ids[0], "of", len(again), "exact:", near.exact[0])
