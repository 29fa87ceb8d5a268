"""Modules of the user's own in the place of a network's encoder or decoder."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import isthmus as ist
from isthmus.parts.networks.modules import Modules

X, Y = ist.data.digits()
EPOCHS = {"epochs": 2, "random_state": 0}


class Residual(nn.Module):
    """A block whose output is its input and a correction."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(F.relu(self.norm(self.first(x)))))


def pretrained() -> nn.Module:
    """A residual network that was taught the labels of some digits; its last layer is left out."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        body = nn.Sequential(
            nn.Conv2d(1, 16, 3, 2, padding=1), nn.ReLU(), Residual(16), Residual(16), nn.AdaptiveAvgPool2d(2)
        )
        head = nn.Linear(64, 10)
        x, labels = torch.from_numpy(X[:1000]).float()[:, None] / 16, torch.from_numpy(Y[:1000])
        optimiser = torch.optim.Adam([*body.parameters(), *head.parameters()], 1e-2)
        for _ in range(30):
            loss = F.cross_entropy(head(body(x).flatten(1)), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        body.eval()
        assert float((head(body(x).flatten(1)).argmax(1) == labels).float().mean()) > 0.9
        return body.train()


def accuracy(codes: np.ndarray) -> float:
    """Of a linear classifier that is shown 200 labels."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    ready = StandardScaler().fit_transform(codes)
    return LogisticRegression(max_iter=2000).fit(ready[1000:1200], Y[1000:1200]).score(ready[1200:], Y[1200:])


def test_a_pretrained_backbone_stays_as_it_is_when_it_is_frozen() -> None:
    body = pretrained()
    before = {name: value.clone() for name, value in body.state_dict().items()}
    network = Modules(body, frozen=True, channels_first=True, other=ist.Dense((64,)))
    ae = ist.Autoencoder(code_size=16, network=network, **EPOCHS).fit(X[:1000])
    inside = ae.composition_.encoder.module.state_dict()
    for name, value in before.items():
        assert torch.equal(value, inside[f"module.{name}"])  # running means of batch norm included
        assert torch.equal(value, body.state_dict()[name])
    assert body.training  # the user's own was not touched
    assert not any(p.requires_grad for p in ae.composition_.encoder.module.parameters())
    assert ae.history_["valid_rmse"][-1] < 0.95 * ae.history_["valid_rmse"][0]
    assert accuracy(ae.transform(X)) > 0.7


def test_a_backbone_that_is_not_frozen_learns_in_a_copy() -> None:
    body = pretrained()
    before = {name: value.clone() for name, value in body.state_dict().items()}
    ae = ist.Autoencoder("vae", code_size=4, network=Modules(body, channels_first=True), **EPOCHS).fit(X[:300])
    assert all(torch.equal(value, body.state_dict()[name]) for name, value in before.items())
    learnt = ae.composition_.encoder.module.state_dict()
    assert not torch.equal(before["0.weight"], learnt["module.0.weight"])
    assert ae.sample(2, random_state=0).shape == (2, 8, 8)


def test_encoder_and_decoder_of_ones_own_need_no_other_network() -> None:
    encoder, decoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 5)), nn.Linear(5, 64)
    ae = ist.Autoencoder(code_size=5, network=Modules(encoder, decoder), **EPOCHS).fit(X)
    assert ae.composition_.encoder.head is None  # of the right size already
    assert sum(p.numel() for p in ae.composition_.parameters()) == 65 * 5 + 6 * 64
    assert ae.reconstruct(X[:3]).shape == (3, 8, 8)


def test_a_file_holds_the_weights_and_is_given_the_modules_again(tmp_path) -> None:
    network = Modules(nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.ReLU()))
    ae = ist.Autoencoder(code_size=3, network=network, **EPOCHS).fit(X[:300])
    path = ae.save(tmp_path / "own.safetensors")
    with pytest.raises(ist.InputError, match=r"pass it again as ist\.load\(path, network="):
        ist.load(path)
    again = ist.load(path, network=Modules(nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.ReLU())))
    assert np.array_equal(again.transform(X[:9]), ae.transform(X[:9]))
    with pytest.raises(ist.InputError, match="network: these are not the modules"):
        ist.load(path, network=Modules(nn.Sequential(nn.Flatten(), nn.Linear(64, 21), nn.ReLU())))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "give an encoder, or a decoder"),
        ({"encoder": nn.Linear}, "encoder must be an nn.Module"),
        ({"decoder": 3}, "decoder must be an nn.Module"),
        ({"encoder": nn.Identity(), "other": nn.Identity()}, "other must be a network"),
    ],
)
def test_what_is_no_module_is_refused(arguments: dict, said: str) -> None:
    with pytest.raises(ist.InputError, match=said):
        Modules(**arguments)


def test_modules_that_do_not_fit_the_rows_are_refused() -> None:
    with pytest.raises(ist.InputError, match=r"encoder cannot take rows of the shape \(8, 8\)"):
        ist.Autoencoder(network=Modules(nn.Linear(9, 2)), **EPOCHS).fit(X)
    with pytest.raises(ist.InputError, match="must give 64 numbers per row; it gave 63"):
        ist.Autoencoder(code_size=2, network=Modules(decoder=nn.Linear(2, 63)), **EPOCHS).fit(X)


def test_noisy_twins_are_shown_in_the_place_of_the_rows() -> None:
    """The encoder never sees the clean rows, so that what it was shown alone decides what it rebuilds."""
    noisy = X + 4 * np.random.default_rng(0).normal(size=X.shape)
    how = {"code_size": 16, "scale": "common", "epochs": 15, "random_state": 0}
    ae = ist.Autoencoder(**how).fit(X, shown=noisy)
    plain = ist.Autoencoder(**how).fit(X)
    lost, plainly = (np.square(model.reconstruct(noisy) - X).mean() for model in (ae, plain))
    assert lost < 0.8 * plainly
    same = ist.Autoencoder(**how).fit(X, shown=X)
    assert np.array_equal(same.transform(X), plain.transform(X))
    with pytest.raises(ist.InputError, match="shown must have a row of the same shape for each of the 1,797 rows"):
        ist.Autoencoder().fit(X, shown=noisy[1:])
