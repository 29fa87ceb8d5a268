"""Recommend films to people who were never seen, say why, and see how good the lists are beside simple ones.

python examples/recommend_films.py [ratings.csv with columns user, title, rating]
"""

import sys

import numpy as np
import pandas as pd

import isthmus as ist

FILMS = {
    "space": "Alien,Solaris,Gravity,Moon,Contact,Arrival,Dune,Stalker,Sunshine,Interstellar,The Martian,Gattaca",
    "crime": "Heat,Fargo,Seven,Zodiac,Memento,Casino,Insomnia,Prisoners,Chinatown,Collateral,Sicario,Drive",
    "love": "Amelie,Once,Emma,Carol,Titanic,Ghost,Brooklyn,Casablanca,Notting Hill,Moonstruck,Atonement,Becoming Jane",
}


def invented(people=300, seed=0):
    """A long table of ratings: everyone has a favourite kind of film, and knows some others."""
    draw = np.random.default_rng(seed)
    rows = []
    for number in range(people):
        favourite = list(FILMS)[number % len(FILMS)]
        for kind, names in FILMS.items():
            films = draw.choice(names.split(","), 7 if kind == favourite else 2, replace=False)
            low, high = (3, 6) if kind == favourite else (1, 5)
            rows += [(f"person {number}", film, int(draw.integers(low, high))) for film in films]
    return pd.DataFrame(rows, columns=["user", "title", "rating"])


ratings = pd.read_csv(sys.argv[1]) if len(sys.argv) > 1 else invented()
recommender = ist.Recommender(at_least=3, random_state=0).fit(ratings)
print(recommender.choice_.in_words())

liked = ["Alien", "Moon", "Heat"]
found = recommender.recommend([liked], k=5)
for film, score in zip(found.items[0], found.scores[0], strict=True):
    why = ", ".join(name for name, _ in recommender.explain(liked, film, most=2))
    print(f"{score:.2f}  {film:14} because of {why}")

print("like Heat:", *recommender.similar_items("Heat", k=3).items[0])
print(recommender.judge(at=(5,)))
