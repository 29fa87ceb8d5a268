"""`Denoiser`: learn to take noise away from pictures, series, video and tables, with scikit-learn's manners."""

from __future__ import annotations

import os
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from isthmus import storage
from isthmus.checks import check_whole, counted
from isthmus.data import Source
from isthmus.data.readers import names_differ
from isthmus.errors import DataWarning, InputError
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.noise import FOUND, Noisy, check_noise, corrupted, corruption_of, kept_share
from isthmus.estimators.patches import Patches, large_enough, patch_size
from isthmus.estimators.settings import name_features, seed_of
from isthmus.estimators.signals import AXES, NOUNS, Range, Signals, check_not_colour, signals
from isthmus.estimators.tiles import PLACES, Cut, cleaned, up
from isthmus.parts.augmentations import Flip
from isthmus.parts.networks.clips import FramesTogether
from isthmus.parts.networks.dense import Dense
from isthmus.parts.networks.restoring import Restoring
from isthmus.recipes import Kind, Parts
from isthmus.records import Batch, Layout

if TYPE_CHECKING:
    from isthmus.estimators.judging import Judged

SMALL = 48
"""Pictures with a side shorter than this get narrower maps."""

BLOCK = 1024
"""Rows that noise is made for at once."""

WIDEST = 512
"""Numbers at most in the code of a network that leaves their number open."""


class Denoiser(TransformerMixin, BaseEstimator):
    """Learns what clean data look like, and takes the noise out of others like them.

    An autoencoder is shown noisy rows and learns to rebuild the clean ones (Vincent et al. 2008). Its usual network is
    fully convolutional and adds a correction to what it was shown, so that pictures of any size can be cleaned.

    Parameters
    ----------
    noise : ``"gaussian"``, ``"salt_and_pepper"``, ``"mask"`` (single cells lost) or ``"blocks"`` (squares lost), made
        in training from clean data, ``fit(clean)``; ``"pairs"`` for noisy data and their clean twins,
        ``fit(noisy, clean)``; ``"blind"`` for noisy data alone, ``fit(noisy)``, whose noise must be of mean 0 and
        independent from cell to cell (Krull et al. 2019); or a corruption of your own, in scaled units, such as
        ``MaskPatches(0.3, 8)``.
    level : how strong the noise is: for Gaussian noise its standard deviation in the data's own units (of tables, and
        of series with channels, in standard deviations of each), for others the share of the cells; (low, high) for a
        range of which every row draws its own (where pictures of 8 and 16 bits are mixed, in the units of 8); None =
        unknown: a wide range, for Gaussian noise .02 to .6 of the data's.
    data : ``"images"``, ``"series"``, ``"video"``, ``"table"``; ``"auto"`` takes 2 axes for a table, 3 for grey
        pictures, 4 for pictures with channels, 1 for one long series.
    network : ``"auto"``, or a network such as ``Convolutional((64, 32, 16), down="max", code="map")``. One with a
        ``reach`` and a ``stride`` is given large data in tiles, others know the size alone that they were fitted to.
    autoencoder : a kind that is fitted in place of the plain denoising one, or a fitted `Autoencoder` whose
        reconstruction is what cleans: then nothing is trained.
    neighbours : of video, frames on either side that a frame is cleaned with; 0 cleans every frame by itself.
    patch : side of the squares, in pixels, that larger pictures are cut into for training.
    tile : side of the squares, in pixels (of series: steps), that larger data are cleaned in; None = about 500 pixels.
    clipped : whether noisy cells stay within black and white; None = where the data are whole numbers. Then cleaned
        ones do, too, of 8 and 16 bits, and none is below a black of 0.
    code_size : as for `Autoencoder`; None = what the network dictates, else as many as there are cells, at most 512.
    augmentation : as for `Autoencoder`; None = patches of pictures are flipped at random.
    epochs, batch_size, learning_rate, weight_decay, validation_fraction, max_time, device, random_state,
    verbose : as for `Autoencoder`.

    Attributes
    ----------
    autoencoder_ : the fitted `Autoencoder`, which takes scaled patches.
    range_ : how cells are scaled.
    axes_ : the names of the axes of one picture, series, clip or row.
    kept_ : of blind fits, the share of a noisy cell in its result, beside what those around it foretell; else 0.
    feature_names_in_ : the columns of a frame that was read as a table; no attribute otherwise.

    Examples
    --------
    >>> import numpy as np
    >>> import isthmus as ist
    >>> from isthmus.estimators.denoiser import Denoiser
    >>> X = ist.data.digits()[0][:400]
    >>> denoiser = Denoiser(level=4.0, epochs=4, random_state=0).fit(X)
    >>> noisy = denoiser.corrupt(X)
    >>> denoiser.transform(noisy).shape, denoiser.transform(noisy).dtype
    ((400, 8, 8), dtype('uint8'))
    >>> denoiser.transform(np.zeros((20, 30), dtype=np.uint8)).shape
    (20, 30)
    """

    def __init__(
        self,
        noise: Any = "gaussian",
        level: Any = None,
        *,
        data: str = "auto",
        network: Any = "auto",
        autoencoder: Any = None,
        neighbours: int = 0,
        patch: int = 64,
        tile: int | None = None,
        clipped: bool | None = None,
        code_size: int | None = None,
        augmentation: Any = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        validation_fraction: float | None = None,
        max_time: float | None = None,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.noise = noise
        self.level = level
        self.data = data
        self.network = network
        self.autoencoder = autoencoder
        self.neighbours = neighbours
        self.patch = patch
        self.tile = tile
        self.clipped = clipped
        self.code_size = code_size
        self.augmentation = augmentation
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.validation_fraction = validation_fraction
        self.max_time = max_time
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    # ------------------------------------------------------------------ fitting

    def fit(self, X: Any, y: Any = None) -> Denoiser:
        """Learn from clean data, from pairs of noisy and clean ones, or from noisy data alone, as ``noise`` has it.

        Parameters
        ----------
        X : pictures (n, height, width[, channel]) or a list of pictures of different sizes; with ``data="series"`` one
            long series, (steps,), a frame or (steps, channels), where there are at most 8 channels and over 8 times as
            many steps, else several: a list, (n, steps) or (n, steps, channels); with ``neighbours`` a clip (frames,
            height, width[, channel]) or several; a table (n, columns), array or frame. Clean, but noisy for pairs and
            blind.
        y : the clean twins of ``X``, of the same shapes, for ``noise="pairs"``; None for all others.

        Returns
        -------
        self

        Raises
        ------
        InputError : the data or a parameter cannot be used.
        """
        check_noise(self.noise, self.level, y is not None)
        kind = self._kind()
        noisy = signals(X, kind) if self.noise == "pairs" else None
        clean = signals(X if noisy is None else y, kind, "X" if noisy is None else "y")
        check_not_colour(X, clean, "X")
        if noisy is not None:
            check_twins(noisy, clean, "X", "y")
        scale = Range.of(clean, "X" if noisy is None else "y")
        clips = self._clips(clean, scale)
        corruption = corruption_of(self.noise, self.level, scale, clips)
        given = self.autoencoder if isinstance(self.autoencoder, Autoencoder) else None
        if given is not None:
            check_is_fitted(given, "composition_")
            self.autoencoder_, self.kept_ = given, 0.0
        else:
            self.autoencoder_, self.kept_ = self._fitted(clean, noisy, scale, corruption)
        self.axes_, self.range_, self.channels_ = clean.axes, scale, clean.channels
        self.grid_ = next(iter(clean.grids)) if len(clean.grids) == 1 else None
        self.noise_, self.clips_ = corruption, clips
        if clean.kind == "table":
            self.n_features_in_ = clean.wholes[0].shape[0]
        name_features(self, clean.names if clean.kind == "table" else None)
        return self

    def _kind(self) -> str:
        """What the data are read as; of video whose frames are cleaned one by one, as images."""
        check_whole("Denoiser", least=0, neighbours=self.neighbours)
        check_whole("Denoiser", least=8, patch=self.patch)
        if self.tile is not None:
            check_whole("Denoiser", tile=self.tile)
        if self.neighbours and self.data not in ("auto", "video"):
            raise InputError(f"neighbours={self.neighbours} is for video; data={self.data!r} has no frames")
        if self.neighbours:
            return "video"
        return "images" if self.data == "video" else self.data

    def _clips(self, clean: Signals, scale: Range) -> bool:
        """Whether noise that is made stays within black and white."""
        if self.clipped is not None and not isinstance(self.clipped, bool):
            raise InputError(f"clipped must be True, False or None; got {self.clipped!r}")
        if self.clipped and not scale.bounded:
            raise InputError(f"clipped=True is for pictures; a {NOUNS[clean.kind]} has no ends to stay within")
        return scale.bounded and (clean.dtype.kind in "bui" if self.clipped is None else self.clipped)

    def _fitted(self, clean: Signals, noisy: Signals | None, scale: Range, corruption: Any
    ) -> tuple[Autoencoder, float]:  # fmt: skip
        """The inner autoencoder, and how much of a noisy cell is kept beside what it makes of it."""
        parts = self._parts(clean, corruption)
        tiled, frames = tiles_with(parts.network), 2 * self.neighbours + 1
        if not tiled and len(clean.grids) > 1:
            raise InputError(
                f"network: {parts.network!r} knows one size, and X has {counted(len(clean.grids), 'size')}; take "
                "network='auto', or crop or resize X"
            )
        if clean.kind == "video" and min(grid[0] for grid in clean.grids) < frames:
            raise InputError(
                f"neighbours={self.neighbours} needs clips of at least {frames} frames; X has shorter ones"
            )
        size = patch_size(clean, self.patch, frames * bool(self.neighbours), not tiled and clean.kind != "video")
        if not tiled and size is not None:
            size = (size[0], *next(iter(clean.grids))[1:])
        augmentation = self.augmentation
        if augmentation is None and size is not None and "height" in clean.axes:
            augmentation = Flip(("height", "width"))
        if size is not None and not (enough := large_enough(clean, size)).all():
            warnings.warn(
                f"X: {counted(int((~enough).sum()), NOUNS[clean.kind])} of {len(enough):,} left out, smaller than the "
                f"patches of {' x '.join(map(str, size))} that are learnt from; a smaller patch= takes them in",
                DataWarning,
                stacklevel=3,
            )
            clean, noisy = (part and some_of(part, enough) for part in (clean, noisy))  # type: ignore[assignment]
        source = Patches(clean, size, scale)
        if source.rows < 2:
            raise InputError(
                f"X is one {NOUNS[clean.kind]} of {' x '.join(map(str, source.layout.grid))}, which is no larger than "
                "one patch: give more of them, larger ones, or a smaller patch="
            )
        seed = seed_of(self.random_state)
        shown: Source | None = None if noisy is None else Patches(noisy, size, scale)
        held_out = self.validation_fraction
        if self.noise == "blind":
            held_out = 0.0  # there is no clean row to judge by; and against noisy ones, who copies is best
        elif shown is None:
            shown = Noisy(source, corruption, seed)
        model = Autoencoder(
            parts,
            network=parts.network,
            code_size=self._code_size(parts.network, source.layout),
            augmentation=augmentation,
            scale="none",
            validation_fraction=held_out,
            random_state=seed,
            **{name: getattr(self, name) for name in PASSED_ON},
        )
        model.fit(source, shown=shown)
        warn_of_nothing_learnt(model)
        return model, kept_share(partial(run, model, clean.axes), source, seed) if self.noise == "blind" else 0.0

    def _parts(self, clean: Signals, corruption: Any) -> Parts:
        """What is fitted: the parts of a kind, or the plain ones, with the noise for their corruption."""
        kind = Kind(self.autoencoder) if isinstance(self.autoencoder, str) else self.autoencoder
        if kind is not None and not isinstance(kind, (Kind, Parts)):
            raise InputError(f"autoencoder must be a fitted Autoencoder, the name of a kind, or a kind; got {kind!r}")
        # Wider maps lose what they have learnt at the rate that suits narrow ones.
        rate = 3e-3 if network_for(clean) != Restoring() else 1e-3
        parts = kind.parts() if isinstance(kind, Kind) else kind or Parts(learning_rate=rate, weight_decay=0.0)
        network = self.network
        if isinstance(network, str):
            if network != "auto":
                raise InputError(f"network must be 'auto' or a network such as Restoring(); got {network!r}")
            network = network_for(clean) if kind is None else parts.network
        return replace(parts, network=network, corruption=corruption)

    def _code_size(self, network: Any, layout: Layout) -> int | None:
        dictated = hasattr(network, "code_size") and network.code_size(layout) is not None
        if self.code_size is not None or dictated or self.autoencoder is not None:
            return self.code_size
        return min(layout.features, WIDEST)

    # ------------------------------------------------------------------ using

    def transform(self, X: Any) -> Any:
        """``X`` without its noise: same shape, type and range.

        Parameters
        ----------
        X : noisy data like those of the fit, of any size where the network has a ``reach``, or one picture, series or
            clip alone. A series or clip is cleaned to its ends.
        """
        check_is_fitted(self, "autoencoder_")
        given = self._taken(X)
        return given.give_back(self._cleaned(given, "X"))

    def corrupt(self, X: Any, level: Any = None, random_state: Any = 0) -> Any:
        """``X`` with the noise that this denoiser was trained against, to try it on.

        Parameters
        ----------
        X : clean data like those of the fit.
        level : how strong, as for the `Denoiser`; None = as in training.
        random_state : int, NumPy generator or None.
        """
        check_is_fitted(self, "autoencoder_")
        if self.noise in FOUND:
            raise InputError(f"noise={self.noise!r} learns noise from the data and cannot make it; give noisy data")
        given, noise = self._taken(X), self.noise_
        if level is not None:
            check_noise(self.noise, level, False)
            noise = corruption_of(self.noise, level, self.range_, self.clips_)
        seed, results, scales = seed_of(random_state), given.empty(), self._scales(given, "X")
        stacked = isinstance(given.wholes, np.ndarray)
        for start in range(0, len(given.wholes), BLOCK if stacked else 1):
            some = given.wholes[start : start + BLOCK] if stacked else given.wholes[start][None]
            scale = scales[some.dtype.name]
            made = scale.inverse(corrupted(noise, scale.forward(some), self.axes_, [seed, start]), some.dtype)
            if stacked:
                results[start : start + BLOCK] = made
            else:
                results[start][...] = made[0]
        return given.give_back(results)

    def judge(
        self, clean: Any, noisy: Any = None, *, level: Any = None, train: Any = None, ssim: bool = True,
        random_state: Any = 0,
    ) -> list[Judged]:  # fmt: skip
        """How well noise is taken away, beside what needs no learning.

        Parameters
        ----------
        clean : data like those of the fit, but none of these.
        noisy : their noisy twins; None = made from them, of strength ``level``.
        level : strength of the noise that is made; None = as in training.
        train : (noisy, clean) pairs, or clean data to make them of, that the affine rival is fitted to; None = it is
            fitted to the judged data themselves.
        ssim : False leaves out SSIM and non-local means, which need scikit-image: ``isthmus[images]``.
        random_state : seed of the noise.

        Returns
        -------
        list of `Judged`, this denoiser first: PSNR (decibels), SSIM, and flicker of video.

        Raises
        ------
        InputError : the data cannot be used. MissingExtraError : scikit-image is not installed.
        """
        from isthmus.estimators.judging import judged

        check_is_fitted(self, "autoencoder_")
        return judged(self, *self._twins(clean, noisy, level, random_state), self._train_twins(train, level), ssim)

    def report(
        self, path: str | os.PathLike[str], clean: Any, noisy: Any = None, *, level: Any = None, train: Any = None,
        ssim: bool = True, random_state: Any = 0,
    ) -> Path:  # fmt: skip
        """Write what `judge` finds, with pictures before and after, as one self-contained HTML page."""
        from isthmus.estimators.judging import write_report

        check_is_fitted(self, "autoencoder_")
        twins = self._twins(clean, noisy, level, random_state)
        return write_report(self, path, *twins, self._train_twins(train, level), ssim)

    def _twins(self, clean: Any, noisy: Any, level: Any, random_state: Any) -> tuple[Signals, Signals]:
        """Clean data and their noisy twins."""
        if noisy is not None and level is not None:
            raise InputError("level is for noise that is made; these noisy data have theirs: leave it out")
        shown = self.corrupt(clean, level, random_state) if noisy is None else noisy
        first, second = self._taken(clean, "clean"), self._taken(shown, "noisy")
        check_twins(first, second, "clean", "noisy")
        return first, second

    def _train_twins(self, train: Any, level: Any) -> tuple[Signals, Signals] | None:
        if train is None:
            return None
        if isinstance(train, tuple):
            return self._twins(train[1], train[0], None, 0)
        return self._twins(train, None, level, 1)

    def _taken(self, X: Any, argument: str = "X") -> Signals:
        """Data for a fitted denoiser."""
        given = signals(X, argument=argument, like=self.axes_)
        check_not_colour(X, given, argument, self.grid_[-1] if self.grid_ else None)
        known = tuple(getattr(self, "feature_names_in_", ()))
        if known and given.names is not None and given.names != known:
            raise InputError(names_differ(given.names, known))
        if given.channels != self.channels_:
            raise InputError(f"{argument} has {given.channels} channels, but the fit had {self.channels_}")
        if given.kind == "table" and given.grids != {self.grid_}:
            width = next(iter(given.grids))[0]
            raise InputError(
                f"{argument} has {width} features, but Denoiser is expecting {self.n_features_in_} features as input."
            )
        return given

    def _cleaned(self, given: Signals, argument: str) -> Any:
        """The wholes without noise."""
        if isinstance(self.autoencoder, Autoencoder):
            return self._rebuilt(given)
        results, scales = given.empty(), self._scales(given, argument)
        # Whole numbers have nothing beyond their ends, whatever type they come in.
        ends = (0.0, 1.0 if self.range_.whole else None) if self.clips_ and not self.range_.low.any() else None

        def clean(x: np.ndarray) -> np.ndarray:
            scale = scales[x.dtype.name]
            shown = scale.forward(x)
            result = self._run(shown)
            if self.kept_:
                result += self.kept_ * (shown - result)
            return scale.inverse(result if ends is None else result.clip(*ends), x.dtype)

        cleaned(clean, given.wholes, results, self._cuts(given, argument))
        return results

    def _scales(self, given: Signals, argument: str) -> dict[str, Range]:
        """How the data are scaled, by the name of their type: pictures of 8 and of 16 bits may lie side by side."""
        if isinstance(given.wholes, np.ndarray):
            return {given.dtype.name: self.range_.suited(given, argument)}
        parts: dict[str, list[np.ndarray]] = {}
        for whole in given.wholes:
            parts.setdefault(whole.dtype.name, []).append(whole)
        return {name: self.range_.suited(replace(given, wholes=some), argument) for name, some in parts.items()}

    def _rebuilt(self, given: Signals) -> Any:
        """What a fitted autoencoder that the user brought makes of the wholes."""
        if not isinstance(given.wholes, np.ndarray):
            raise InputError("X holds data of different sizes, but an autoencoder= rebuilds those of its fit alone")
        return self.autoencoder_.reconstruct(given.wholes).astype(given.dtype, copy=False)

    def _run(self, x: np.ndarray) -> np.ndarray:
        """(n, *shape) float32, scaled, twice."""
        return run(self.autoencoder_, self.axes_, torch.from_numpy(x)).numpy()

    def _cuts(self, given: Signals, argument: str) -> tuple[Cut, ...]:
        """How each axis is cut for cleaning."""
        running = len(AXES[given.kind])
        network: Any = getattr(self.autoencoder_.parts_, "network", None)
        time = (Cut(2 * self.neighbours + 1, self.neighbours),) if given.kind == "video" else ()
        if not tiles_with(network):
            wrong = {grid[len(time) :] for grid in given.grids} - {self.grid_[len(time) :] if self.grid_ else None}
            if wrong:
                raise InputError(
                    f"{argument} has the size {' x '.join(map(str, wrong.pop()))}, but this denoiser's network knows "
                    f"{' x '.join(map(str, (self.grid_ or ())[len(time) :]))} alone: crop or resize, or fit with "
                    "network='auto', which takes any size"
                )
            return (*time, *[Cut(None)] * (running - len(time)))
        stride, reach, axes = network.stride, network.reach, running - len(time)
        side = self.tile
        if side is None:
            places = PLACES // (time[0].size or 1) if time else PLACES
            side = max(int(places ** (1 / axes)) // stride * stride, 2 * up(reach, stride) + stride)
        return (*time, *[Cut(side, reach, stride)] * axes)

    # ------------------------------------------------------------------ files

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the fitted denoiser as one ``.safetensors`` file: tensors and JSON, never code."""
        from isthmus.estimators.denoiser_files import state_of

        check_is_fitted(self, "autoencoder_")
        storage.write(path, *state_of(self))
        return Path(path)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.non_deterministic = self.random_state is None
        return tags


PASSED_ON = ("epochs", "batch_size", "learning_rate", "weight_decay", "max_time", "device", "verbose")
"""The knobs that go to the inner autoencoder as they are."""


def run(model: Autoencoder, axes: tuple[str, ...], x: torch.Tensor) -> torch.Tensor:
    """What a fitted autoencoder makes of (n, *shape) scaled rows, of any size that its network takes."""
    composition = model.composition_
    batch = Batch(x.to(model._device), Layout(tuple(x.shape[1:]), axes))
    with torch.no_grad():
        return composition.rebuild(composition.represent(batch), composition.context(batch)).float().cpu()


def warn_of_nothing_learnt(model: Autoencoder) -> None:
    """Tell of a fit that ends where it began: its network hands on what it is shown."""
    costs = np.asarray(model.history_["valid_cost"])
    if not np.isnan(costs).all() and np.nanargmin(costs) == 0:
        warnings.warn(
            "the denoiser has learnt nothing: its error on rows held out was never less than at the start, and what "
            "it is given comes back almost unchanged. Give it more epochs=, a higher or lower learning_rate=, or "
            "more data",
            DataWarning,
            stacklevel=4,
        )


def tiles_with(network: Any) -> bool:
    """Whether a network says how far it looks, and so can be given tiles."""
    return hasattr(network, "reach") and hasattr(network, "stride")


def network_for(clean: Signals) -> Any:
    """The network that suits the data, where the choice is left to us."""
    if clean.kind == "table":
        return Dense(hidden=(2.0, 1.0))  # no linear path: of data of low rank it begins far off
    if clean.kind == "video":
        return FramesTogether(Restoring(channels=16))
    small = min(min(grid) for grid in clean.grids) < SMALL
    return Restoring(channels=16 if small else 32)


def some_of(given: Signals, chosen: np.ndarray) -> Signals:
    """The wholes where ``chosen`` is True."""
    return replace(given, wholes=[whole for whole, taken in zip(given.wholes, chosen, strict=True) if taken])


def check_twins(first: Signals, second: Signals, one: str, other: str) -> None:
    """Refuse data that are not cell by cell the twins of others."""
    if len(first.wholes) != len(second.wholes):
        raise InputError(f"{one} has {counted(len(first.wholes), 'item')}, {other} has {len(second.wholes):,}: each "
                         "needs its twin")  # fmt: skip
    for number, (a, b) in enumerate(zip(first.wholes, second.wholes, strict=True)):
        if a.shape != b.shape:
            raise InputError(f"item {number} of {one} has the shape {a.shape}, its twin in {other} {b.shape}")
