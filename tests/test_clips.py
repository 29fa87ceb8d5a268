"""Frames of a clip read together by a network for pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import isthmus as ist
from isthmus.errors import InputError
from isthmus.parts.networks.clips import FramesTogether
from isthmus.records import Context, Layout

CLIPS = Layout((3, 7, 6), ("frame", "height", "width"))
COLOUR = Layout((3, 7, 6, 2), ("frame", "height", "width", "channel"))


@pytest.mark.parametrize("layout", [CLIPS, COLOUR], ids=["grey", "colour"])
@pytest.mark.parametrize("inner", [ist.Restoring(4, levels=1), ist.Convolutional((4,))], ids=["restoring", "vector"])
def test_it_is_the_network_for_pictures_on_frames_as_channels(layout: Layout, inner: object) -> None:
    """The same weights on the same numbers, moved to the channels and back."""
    network = FramesTogether(inner)
    size = network.code_size(layout) or 5
    made = [torch.Generator().manual_seed(0) for _ in range(2)]
    encoder, decoder = network.build(layout, size, size, layout.features, made[0])
    channels = 3 * layout.channels
    picture = Layout((7, 6, channels), ("height", "width", "channel"))
    first, second = inner.build(picture, size, size, picture.features, made[1])
    x = torch.randn(4, *layout.shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for weights in (*decoder.parameters(), *second.parameters()):
            weights.add_(0.01)  # a last layer that begins at 0 would hide a mistake
        flat = x.movedim(1, -1).reshape(4, 7, 6, channels)
        z = encoder(x, Context(layout.shape))
        assert torch.equal(z, first(flat, Context((7, 6, channels))))
        out = second(z, Context((7, 6, channels))).reshape(4, 7, 6, layout.channels, 3).movedim(-1, 1)
        assert torch.equal(decoder(z, Context(layout.shape)), out.reshape(x.shape))


def test_numbers_per_cell_come_before_the_frames() -> None:
    encoder, decoder = FramesTogether(ist.Convolutional((4,))).build(CLIPS, 5, 5, 2 * CLIPS.features, torch.Generator())
    assert decoder(encoder(torch.ones(2, 3, 7, 6), Context(CLIPS.shape)), Context(CLIPS.shape)).shape == (2, 2, 3, 7, 6)


def test_what_is_no_clip_is_refused() -> None:
    with pytest.raises(InputError, match="for clips"):
        FramesTogether().code_size(Layout((7, 6), ("height", "width")))
    with pytest.raises(InputError, match="network must be a network"):
        FramesTogether(3)
    encoder, _ = FramesTogether(ist.Convolutional((4,))).build(CLIPS, 5, 5, CLIPS.features, torch.Generator())
    with pytest.raises(InputError, match="clips of 3 frames; there came 4"):
        encoder(torch.ones(1, 4, 7, 6), Context((4, 7, 6)))


def test_an_autoencoder_of_clips_is_saved_and_loaded(tmp_path) -> None:
    X = np.random.default_rng(0).integers(0, 255, (30, 3, 7, 6), dtype=np.uint8)
    network = FramesTogether(ist.Convolutional((4, 4)))
    ae = ist.Autoencoder("vae", network=network, code_size=3, epochs=1, random_state=0).fit(ist.data.video(X))
    again = ist.load(ae.save(tmp_path / "clips.safetensors"))
    assert np.array_equal(again.transform(ist.data.video(X)), ae.transform(ist.data.video(X)))
