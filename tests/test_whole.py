"""Networks in whole numbers: exact, the same everywhere, near the float network, refused where they would not be."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from isthmus.coding.entropy import TOTAL, Tally
from isthmus.coding.tokens import Residuals
from isthmus.coding.whole import MOST_LOGITS, UNIT, WholeNetwork, exponentials, frequencies, whole_network
from isthmus.coding.whole_layer import LIMIT, WholeLayer
from isthmus.errors import FileFormatError, InputError


def float_layers(rng: np.random.Generator, *sizes: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights as training leaves them."""
    return [(rng.normal(size=pair) * 2 / np.sqrt(pair[0]), rng.normal(size=pair[1])) for pair in pairwise(sizes)]


def plain(network: WholeNetwork, features: np.ndarray) -> np.ndarray:
    """The same in Python's whole numbers, which know no rounding."""
    limits = network.limits.tolist()
    rows = [[max(-m, min(m, v)) for v, m in zip(row, limits, strict=True)] for row in features.tolist()]
    for layer in network.layers:
        scaled = (layer.weights.astype(object).T * [2**e for e in layer.exponents.tolist()]).T
        sums = np.array(rows, dtype=object).reshape(len(rows), -1) @ scaled + layer.bias.astype(object)
        rows = [[v >> layer.shift for v in row] for row in sums.tolist()]
        if layer.cap:
            rows = [[max(0, min(layer.cap, v)) for v in row] for row in rows]
    return np.array(rows, dtype=object)


def test_it_is_exact() -> None:
    rng = np.random.default_rng(0)
    layers = float_layers(rng, 9, 33, 17, 12)
    for scale, largest, bits in [(1 / 64, 255, 15), (1.0, 10**6, 15), (1e-9, 10**12, 31), (1.0, 1, 7)]:
        network = whole_network(layers, largest, scale, bits)
        features = rng.integers(-2 * largest, 2 * largest, (1500, 9))
        features[0], features[1] = 2**63 - 1, -(2**63)
        found = network(features)
        assert found.dtype == np.int64
        np.testing.assert_array_equal(found[:60], plain(network, features[:60]).astype(np.int64))
        # Rows do not depend on those beside them.
        np.testing.assert_array_equal(found[1400:], network(features[1400:]))


def test_sums_at_the_bound_are_exact() -> None:
    # All inputs at their limits, all terms of one sign but one: every digit of the sum counts.
    inputs = 64
    weights = np.full((inputs, 2), LIMIT // inputs // 1023 - 1)
    weights[:, 1] = weights[:, 1] - np.arange(inputs)
    layer = WholeLayer(weights, np.zeros(inputs, dtype=int), np.array([1, -1]), 0, 0)
    network = WholeNetwork(np.full(inputs, 1023), (layer,))
    features = np.full((5, inputs), 1023)
    features[1:, 0] = [-1023, 0, 1, 2**40]
    found = network(features)
    assert found.max() > 2**49
    np.testing.assert_array_equal(found, plain(network, features).astype(np.int64))
    with pytest.raises(InputError, match="could reach"):
        WholeNetwork(np.full(inputs, 1024), (layer,))


@pytest.mark.parametrize(("bits", "most"), [(15, 0.02), (7, 3.0)])
def test_it_is_near_the_float_network(bits: int, most: float) -> None:
    rng = np.random.default_rng(1)
    layers = float_layers(rng, 12, 64, 64, 32)
    # Inputs of unlike sizes, as a pixel, a distance and a flag are.
    largest = np.array([255] * 4 + [100_000] * 4 + [1] * 4)
    scale = 2.0 / largest
    features = rng.integers(-largest, largest + 1, (4000, 12))
    network = whole_network(layers, largest, scale, bits)
    x = features * scale
    for number, (weights, bias) in enumerate(layers):
        x = x @ weights + bias if number == 0 else np.maximum(x, 0) @ weights + bias
    assert np.abs(network(features) * UNIT - x).max() < most
    shares = np.exp(x - x.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    symbols = (shares.cumsum(1) > rng.random(4000)[:, None]).argmax(1)
    tally = Tally()
    tally.put(symbols, frequencies(network(features)))
    ideal = -np.log2(shares[np.arange(4000), symbols]).sum()
    assert tally.ideal_bits < ideal * (1.0005 if bits == 15 else 1.005)


def test_a_first_layer_of_wide_range_keeps_its_small_weights() -> None:
    weights = np.array([[1e-6, -1e-6], [1.0, 0.0]])
    network = whole_network([(weights, np.zeros(2))], np.array([10**7, 1]))
    np.testing.assert_allclose(network(np.array([[10**7, 1], [3 * 10**6, 0]])) * UNIT, [[11, -10], [3, -3]], atol=0.01)


def test_no_features_and_zero_weights_work() -> None:
    bias = np.array([0.5, -0.25])
    for weights in (np.zeros((0, 2)), np.zeros((3, 2))):
        network = whole_network([(weights, bias)], 4)
        features = np.zeros((2, len(weights)), dtype=int)
        np.testing.assert_array_equal(network(features) * UNIT, [bias, bias])
        assert network(features[:0]).shape == (0, 2)
        again = WholeNetwork.from_tensors(network.tensors())
        np.testing.assert_array_equal(again(features), network(features))


def test_its_arrays_are_small_and_make_it_again() -> None:
    rng = np.random.default_rng(2)
    layers = float_layers(rng, 10, 40, 40, 20)
    features = rng.integers(-300, 300, (50, 10))
    for bits, width in ((15, np.int16), (7, np.int8)):
        network = whole_network(layers, 255, 1 / 64, bits)
        tensors = network.tensors()
        assert {tensors[f"{number}.weights"].dtype.type for number in range(3)} == {width}
        again = WholeNetwork.from_tensors(tensors)
        np.testing.assert_array_equal(again(features), network(features))
        assert (again.size, len(again.layers)) == (20, 3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("0.weights", None),
        ("limits", np.array([2**50, 1])),
        ("limits", np.array([-1, 1])),
        ("limits", np.array([255.0, 255.0])),
        ("limits", np.array([255])),
        ("0.weights", np.full((2, 3), 2**62)),
        ("0.weights", np.ones((2, 0), dtype=int)),
        ("0.weights", np.full((2, 3), np.nan)),
        ("0.exponents", np.array([63, 0])),
        ("0.exponents", np.array([-1, 0])),
        ("0.exponents", np.array([62, 62])),
        ("0.bias", np.array([2**50, 0, 0])),
        ("0.bias", np.array([-(2**63), 0, 0])),
        ("0.bias", np.array([1, 2])),
        ("0.after", np.array([63, 100])),
        ("0.after", np.array([-1, 100])),
        ("0.after", np.array([3, 0])),
        ("0.after", np.array([3, -5])),
        ("0.after", np.array([3, 2**50])),
        ("0.after", np.array([3])),
        ("1.after", np.array([3, 100])),
        ("2.after", np.array([3, 100])),
        ("other", np.array([3])),
    ],
)
def test_arrays_that_claim_nonsense_are_refused(name: str, value: np.ndarray | None) -> None:
    tensors = whole_network(float_layers(np.random.default_rng(3), 2, 3, 2), 255, 0.01).tensors()
    WholeNetwork.from_tensors(tensors)
    if value is None:
        del tensors[name]
    else:
        tensors[name] = value
    with pytest.raises(FileFormatError, match="no network in whole numbers"):
        WholeNetwork.from_tensors(tensors)
    with pytest.raises(FileFormatError):
        WholeNetwork.from_tensors({})


def test_bad_arguments_are_named() -> None:
    weights, bias = np.ones((2, 3)), np.zeros(3)
    for arguments, words in [
        (([(weights * np.nan, bias)], 1), "layer 0: weights must be finite"),
        (([(weights, bias[:2])], 1), "layer 0: weights"),
        (([(weights, bias), (weights, bias)], 1), "layer 1: weights"),
        (([], 1), "at least one"),
        (([(weights, bias)], -1), "limits must be"),
        (([(weights, bias)], 2**50), "limits must be"),
        (([(weights, bias)], 0.5), "largest must be whole"),
        (([(weights, bias)], np.array([1, 2, 3])), "largest must be one number or one for each of 2"),
        (([(weights, bias)], 1, np.ones(3)), "scale must be one number or one for each of 2"),
        (([(weights, bias)], 2**40, 1.0, 40), "bits must be"),
        (([(weights * 1e12, bias)], 2**49), "scale the features down"),
    ]:
        with pytest.raises(InputError, match=words):
            whole_network(*arguments)
    network = whole_network([(weights, bias)], 1)
    for features, words in [(np.ones((2, 2)), "whole numbers"), (np.ones((2, 3), dtype=int), "2 columns")]:
        with pytest.raises(InputError, match=words):
            network(features)


def test_exponentials_are_those_of_plain_arithmetic() -> None:
    with localcontext() as context:
        context.prec = 40
        exact = [int((Decimal(-d) / 256).exp() * 2**20) for d in range(len(exponentials()))]
    assert exponentials().tolist() == exact
    assert exact[-2:] == [1, 0]


def test_frequencies_are_those_of_exact_shares() -> None:
    rng = np.random.default_rng(4)
    for symbols, spread in [(1, 1), (2, 300), (7, 1000), (50, 10**6), (MOST_LOGITS, 2000)]:
        logits = rng.integers(-spread, spread + 1, (40, symbols))
        logits[0], logits[1] = 0, np.arange(symbols) * 2**38
        tables = frequencies(logits)
        assert tables.dtype == np.int64
        assert (tables.sum(1) == TOTAL).all()
        assert tables.min() >= 1
        weights = exponentials()
        for row, table in list(zip(logits, tables, strict=True))[:5]:
            # Compared as fractions: what the floors are of is exact.
            below = np.minimum(row.max() - row, len(weights) - 1)
            shares = [int(weight) for weight in weights[below]]
            total = sum(shares)
            expected = [1 + int(Fraction(share * (TOTAL - symbols), total)) for share in shares]
            expected[int(row.argmax())] += TOTAL - sum(expected)
            assert table.tolist() == expected


def test_frequencies_refuse_other_logits() -> None:
    for logits in (np.zeros((2, 0), dtype=int), np.zeros((2, MOST_LOGITS + 1), dtype=int), np.zeros((2, 2))):
        with pytest.raises(InputError, match="logits"):
            frequencies(logits)
    assert frequencies(np.zeros((0, 3), dtype=int)).shape == (0, 3)


PROGRAM = """
import hashlib, json, sys
import numpy as np
from threadpoolctl import threadpool_info
from isthmus.coding.entropy import Reader, Writer
from isthmus.coding.tokens import Residuals
from isthmus.coding.whole import WholeNetwork, frequencies

tensors = np.load(sys.argv[1])
network = WholeNetwork.from_tensors({name: tensors[name] for name in tensors if name != "features"})
tables = frequencies(network(tensors["features"]))
buckets = Residuals.of(exact=4, reach=1000)
if sys.argv[3] == "write":
    ints = tensors["features"][:, 0] * 7
    found, remainders, widths = buckets.split(ints)
    writer = Writer()
    writer.put(found, tables)
    writer.bits(remainders, widths)
    open(sys.argv[2], "wb").write(writer.done())
reader = Reader(open(sys.argv[2], "rb").read())
found = reader.get(len(tables), tables)
ints = buckets.joined(found, reader.bits(len(found), buckets.widths_of(found)))
reader.end()
blas = [(part.get("architecture"), part["num_threads"]) for part in threadpool_info() if part["user_api"] == "blas"]
print(json.dumps([hashlib.sha256(tables.tobytes() + ints.tobytes()).hexdigest(), blas[0] if blas else None]))
"""


def settings() -> list[dict[str, str]]:
    """Threads, and kernels of OpenBLAS that this processor can run."""
    found = [{"OMP_NUM_THREADS": "1"}, {"OMP_NUM_THREADS": "2"}]
    if platform.machine() in ("x86_64", "AMD64") and Path("/proc/cpuinfo").exists():
        flags = Path("/proc/cpuinfo").read_text().split()
        kernels = [("Prescott", "sse3"), ("Nehalem", "sse4_2"), ("Haswell", "avx2"), ("SkylakeX", "avx512f")]
        # The flag of SSE3 is called pni.
        found += [{"OPENBLAS_CORETYPE": name} for name, flag in kernels if flag in flags or flag == "sse3"]
    return found


def test_other_processes_with_other_threads_and_kernels_read_the_same(tmp_path: Path) -> None:
    pytest.importorskip("constriction", reason="the extra 'compression' is not installed")
    rng = np.random.default_rng(5)
    outputs = Residuals.of(exact=4, reach=1000).size
    network = whole_network(float_layers(rng, 30, 64, 64, outputs), 255, 1 / 32)
    np.savez(tmp_path / "model.npz", features=rng.integers(-300, 300, (3000, 30)), **network.tensors())
    said = []
    for number, extra in enumerate(settings()):
        mode = "write" if number == 0 else "read"
        command = [sys.executable, "-W", "error", "-c", PROGRAM, "model.npz", "payload", mode]
        root = {"PYTHONPATH": str(Path(__file__).parents[1])}
        ran = subprocess.run(
            command,
            cwd=tmp_path,
            env=os.environ | root | extra,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        said.append(json.loads(ran.stdout))
    assert len({digest for digest, _ in said}) == 1, said
    # Else nothing was tried.
    if said[0][1] and said[0][1][0]:
        assert len({tuple(blas) for _, blas in said}) >= 3, said
