"""Other ways to reduce dimensions, to be put beside autoencoders: kernel PCA, UMAP and t-SNE, all on scaled rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.errors import InputError, MissingExtraError
from isthmus.metrics import distances

Map = Callable[[np.ndarray], np.ndarray]

RIVALS = {"kernel_pca": "kernel PCA", "umap": "UMAP", "tsne": "t-SNE"}
"""What they are called in an argument, and in a table."""

MOST_ROWS = {"kernel_pca": 3_000, "umap": 60_000}
"""Rows at most, drawn at random, that they are fitted to: kernel PCA's memory grows with the square of the rows."""

MOST_CELLS = 100_000_000
"""And cells of them: all are in memory at once."""

FEWEST = 5
"""Rows that a map of neighbours needs."""

WIDEST_TSNE = 3
"""Numbers per row that t-SNE makes at most: its trees are for two or three dimensions."""

RIDGE = 0.01
"""How firmly the way back of kernel PCA is held: of 0.001 to 1 the best on the digits, with 8 and with 32 numbers."""


@dataclass(frozen=True)
class Reduction:
    """A fitted map to few dimensions, of rows (n, features) float32.

    Attributes
    ----------
    encode : to codes (n, size); None = there is none for rows that were not among those of the fit.
    decode : back to rows; None = there is none.
    codes : of the rows of the fit.
    parameters : numbers that the map keeps.
    """

    encode: Map | None
    decode: Map | None
    codes: np.ndarray
    parameters: int


def check_rivals(names: Sequence[str], sizes: Sequence[int], rows: int, mixed: bool) -> None:
    """Refuse, before the first fit, what cannot be fitted to so many rows, or to a table that is mixed."""
    for name in names:
        if mixed:
            raise InputError(
                f"compare: {name!r} needs a number in every cell; this table has levels, dates or missing cells. Leave "
                "out the method, or those columns"
            )
        if name == "umap":
            umap_class()
        if name == "tsne" and min(sizes) > WIDEST_TSNE:
            raise InputError(f"compare: 'tsne' makes at most {WIDEST_TSNE} numbers per row; give code_sizes a 2")
        largest = max(size for size in sizes if name != "tsne" or size <= WIDEST_TSNE)
        if name != "pca" and rows < max(FEWEST, largest + 2):
            least = max(FEWEST, largest + 2)
            raise InputError(
                f"compare: {name!r} with code_sizes up to {largest} needs at least {least} rows to learn from, and as "
                f"many to be judged by; got {rows}"
            )


def rows_of(name: str, train: np.ndarray, judged: np.ndarray, features: int, seed: int) -> np.ndarray:
    """The numbers of the rows that a method is fitted to, sorted."""
    return judged if name == "tsne" else some_rows(name, train, features, seed)


def some_rows(name: str, train: np.ndarray, features: int, seed: int) -> np.ndarray:
    """As many training rows as a method can be fitted to."""
    most = most_of(name, features)
    return train if len(train) <= most else np.sort(np.random.default_rng([seed, 0, 4]).choice(train, most, False))


def most_of(name: str, features: int) -> int:
    return min(MOST_ROWS[name], max(1_000, MOST_CELLS // features))


def notes_on(names: Sequence[str], sizes: Sequence[int], rows: int, features: int) -> tuple[str, ...]:
    """What has to be known of these methods, in sentences; ``rows`` are those of training."""
    notes = [
        f"{RIVALS[name]} was fitted to {most_of(name, features):,} of the {rows:,} training rows."
        for name in names
        if name in MOST_ROWS and rows > most_of(name, features)
    ]
    if "umap" in names:
        notes.append("UMAP rebuilds no rows: it has no error.")
    if "tsne" in names:
        left_out = ", ".join(str(size) for size in sizes if size > WIDEST_TSNE)
        limit = f" It makes at most {WIDEST_TSNE} numbers per row, not {left_out}." if left_out else ""
        notes.append(
            "t-SNE rebuilds no rows and encodes no new ones: it was fitted to the very rows that it is judged on, and "
            f"is not recommended.{limit}"
        )
    return tuple(notes)


def fitted(name: str, x: np.ndarray, size: int, seed: int) -> Reduction:
    """One of `RIVALS`, fitted to rows (n, features) float32.

    References
    ----------
    Schölkopf, Smola & Müller 1998, Nonlinear component analysis as a kernel eigenvalue problem; McInnes, Healy &
    Melville 2018, UMAP: uniform manifold approximation and projection for dimension reduction; van der Maaten & Hinton
    2008, Visualizing data using t-SNE.
    """
    return {"kernel_pca": kernel_pca, "umap": umap, "tsne": tsne}[name](x, size, seed)


def kernel_pca(x: np.ndarray, size: int, seed: int) -> Reduction:
    """With a Gaussian kernel as wide as the median distance; back by kernel ridge regression, as scikit-learn has it.

    Rows are divided by that distance, so that one width of kernel serves rows and codes, whose distances are at most
    the root of 2; and they are centred, as the ridge draws what it rebuilds to 0.
    """
    from sklearn.decomposition import KernelPCA

    some = x[np.random.default_rng(seed).permutation(len(x))[:500]]
    apart = distances(some)
    spread = float(np.sqrt(np.median(apart[np.isfinite(apart)]))) or 1.0
    centre = x.mean(axis=0)
    model = KernelPCA(
        size, kernel="rbf", gamma=1.0, alpha=RIDGE, fit_inverse_transform=True, random_state=seed,
        eigen_solver="auto" if len(x) <= 500 else "randomized",
    ).fit((x - centre) / spread)  # fmt: skip

    def encode(rows: np.ndarray) -> np.ndarray:
        return model.transform((rows - centre) / spread)

    def decode(codes: np.ndarray) -> np.ndarray:
        return model.inverse_transform(codes) * spread + centre

    return Reduction(encode, decode, encode(x), 2 * x.size + len(x) * size)


def umap_class() -> type:
    try:
        from umap import UMAP
    except ImportError as error:
        raise MissingExtraError("umap-learn", "umap", "The method 'umap'") from error
    return UMAP


def umap(x: np.ndarray, size: int, seed: int) -> Reduction:
    """With its own settings: 15 neighbours, and a start from the graph's spectrum."""
    # One job, as a fixed seed allows no more: asked for so, UMAP does not warn of it.
    model = umap_class()(n_components=size, n_neighbors=min(15, len(x) - 1), random_state=seed, n_jobs=1).fit(x)
    return Reduction(model.transform, None, model.embedding_, x.size + len(x) * size)


def tsne(x: np.ndarray, size: int, seed: int) -> Reduction:
    """With scikit-learn's settings: a perplexity of 30, less where rows are few, and a start from PCA."""
    from sklearn.manifold import TSNE

    start = "pca" if min(x.shape) >= size else "random"
    codes = TSNE(size, perplexity=min(30.0, (len(x) - 1) / 3), init=start, random_state=seed).fit_transform(x)
    return Reduction(None, None, codes, codes.size)
