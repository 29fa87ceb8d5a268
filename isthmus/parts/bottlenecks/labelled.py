"""A code that tells a row's class from the rest: learnt from labels of some rows."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.checks import is_real, is_whole
from isthmus.errors import InputError
from isthmus.parts.bottlenecks.gaussian import Gaussian
from isthmus.parts.priors.labelled import ClassAndRest, ClassAndRestOf, some_classes
from isthmus.records import NOWHERE, Batch, Code, Context, Site, built, part


@part
class Labelled:
    """A class beside a variational code: known for some rows, and for the others every class is tried.

        cost of a labelled row:  loss(x | y, z) + KL(z) + log classes - weight / share * log q(y | x)
        of any other:            sum over y of q(y | x) * (loss(x | y, z) + KL(z) + log classes + log q(y | x))

    The code begins with the probabilities of the classes; the decoder reads the most probable one. Each class tried is
    a decoding, so the sum runs over `tries` of them: without bias, as one stands for all those left out.

    Parameters
    ----------
    classes : how many; `Autoencoder.fit` takes the number from y.
    weight : nats for the classifier's own error, >= 0, shared out over the labelled rows.
    share : of the rows that are labelled, in (0, 1]; `Autoencoder.fit` takes it from y.
    gaussian : the distribution of the rest of the code, and its prior.
    tries : decodings of every row in training, >= 2: the most probable classes, and one drawn from the others.

    References
    ----------
    Kingma, Rezende, Mohamed & Welling 2014, Semi-supervised learning with deep generative models (M2, with a z that
    is told from x alone); Liu, Regier, Tripuraneni, Jordan & McAuliffe 2019, Rao-Blackwellized stochastic gradients for
    discrete distributions (the sum).
    """

    classes: int = 2
    weight: float = 10.0
    share: float = 1.0
    gaussian: Any = Gaussian()
    tries: int = 3

    reads_labels = True

    def __post_init__(self) -> None:
        if not (is_whole(self.classes) and self.classes >= 2):
            raise InputError(f"Labelled: classes must be a whole number >= 2; got {self.classes!r}")
        if not (is_real(self.weight) and 0 <= self.weight < math.inf):
            raise InputError(f"Labelled: weight must be >= 0 and finite; got {self.weight!r}")
        if not (is_real(self.share) and 0 < self.share <= 1):
            raise InputError(f"Labelled: share must be in (0, 1]; got {self.share!r}")
        if not (is_whole(self.tries) and self.tries >= 2):
            raise InputError(f"Labelled: tries must be a whole number >= 2; got {self.tries!r}")

    def build(self, site: Site = NOWHERE) -> LabelledCode:
        return LabelledCode(self, site)


class LabelledCode(nn.Module):
    """The module behind `Labelled`."""

    reads_labels = True

    def __init__(self, labelled: Labelled, site: Site) -> None:
        super().__init__()
        self.labelled, self.classes = labelled, labelled.classes
        rest = Site(site.layout, max(1, site.code_size - self.classes), site.generator)
        self.rest = built(labelled.gaussian, rest)
        self.prior = ClassAndRest(self.classes, self.rest.prior)

    def width(self, code_size: int) -> int:
        """Numbers the encoder must emit: a logit per class, and what the rest of the code needs."""
        if code_size <= self.classes:
            raise InputError(f"code_size must be > {self.classes}, a number for each class and more; got {code_size}")
        return self.classes + self.rest.width(code_size - self.classes)

    def forward(self, hidden: Tensor, context: Context) -> Code:
        log_q = F.log_softmax(hidden[:, : self.classes], dim=1)
        rest = self.rest(hidden[:, self.classes :], context)
        tries = min(self.labelled.tries, self.classes) if context.pass_.training else self.classes
        known = torch.full_like(log_q[:, 0], -1, dtype=torch.int64) if context.labels is None else context.labels
        tried, shares = some_classes(log_q, known, tries, context.pass_.generator)
        logs = log_q.gather(1, tried.T).T
        # Where the class is known it is tried first, and alone has a share.
        paid = torch.where(known >= 0, -self.labelled.weight / self.labelled.share * logs, logs)
        z = torch.cat((F.one_hot(tried, self.classes).to(rest.z.dtype), rest.z.expand(tries, *rest.z.shape)), dim=-1)
        cost = paid + math.log(self.classes) + rest.cost
        point, posterior = torch.cat((log_q.exp(), rest.point), dim=1), ClassAndRestOf(log_q, rest.posterior)
        return Code(z=z, point=point, cost=cost, draws=tries, posterior=posterior, shares=shares)

    def z_of(self, point: Tensor) -> Tensor:
        """The most probable class alone, and the rest."""
        chosen = F.one_hot(point[:, : self.classes].argmax(1), self.classes).to(point.dtype)
        return torch.cat((chosen, point[:, self.classes :]), dim=1)

    def start(self, hidden: Tensor, batch: Batch) -> None:
        self.rest.start(hidden[:, self.classes :], batch)

    def joined(self, composition: nn.Module) -> None:
        self.rest.joined(composition)
