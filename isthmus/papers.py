"""The papers that the named kinds come from."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Paper:
    """A paper: its authors as BibTeX joins them ("First Last and First Last"), year, title, and where it appeared.

    Examples
    --------
    >>> paper = Paper("Pierre Baldi and Kurt Hornik", 1989, "Neural networks and principal components", "NN 2")
    >>> str(paper)
    'Baldi & Hornik 1989, Neural networks and principal components'
    >>> paper.key
    'baldi1989neural'
    """

    authors: str
    year: int
    title: str
    venue: str

    @property
    def names(self) -> list[str]:
        """The authors' family names, each with the small words before it: "van den Oord"."""
        found = []
        for words in (name.split() for name in self.authors.split(" and ")):
            first = next((place for place, word in enumerate(words) if word.islower()), len(words) - 1)
            found.append(" ".join(words[first:]))
        return found

    def __str__(self) -> str:
        names = self.names
        said = (
            f"{names[0]} et al." if len(names) > 3 else " & ".join([", ".join(names[:-1]), names[-1]][len(names) < 2 :])
        )
        return f"{said} {self.year}, {self.title}"

    @property
    def key(self) -> str:
        """What a text cites it by."""
        word = next(word for word in re.findall(r"\w+", self.title.lower()) if word not in ("a", "an", "the", "on"))
        return f"{self.names[0].split()[-1].lower()}{self.year}{word}"

    def bibtex(self) -> str:
        """The entry for a bibliography."""
        fields = {"author": self.authors, "title": f"{{{self.title}}}", "howpublished": self.venue, "year": self.year}
        lines = [f"  {name} = {{{value}}}," for name, value in fields.items()]
        return "\n".join([f"@misc{{{self.key},", *lines, "}"])


BALDI_1989 = Paper(
    "Pierre Baldi and Kurt Hornik",
    1989,
    "Neural networks and principal component analysis: learning from examples without local minima",
    "Neural Networks 2(1)",
)
RUMELHART_1986 = Paper(
    "David E. Rumelhart and Geoffrey E. Hinton and Ronald J. Williams",
    1986,
    "Learning internal representations by error propagation",
    "Parallel Distributed Processing 1",
)
HINTON_2006 = Paper(
    "Geoffrey E. Hinton and Ruslan R. Salakhutdinov",
    2006,
    "Reducing the dimensionality of data with neural networks",
    "Science 313",
)
VINCENT_2008 = Paper(
    "Pascal Vincent and Hugo Larochelle and Yoshua Bengio and Pierre-Antoine Manzagol",
    2008,
    "Extracting and composing robust features with denoising autoencoders",
    "ICML",
)
VINCENT_2010 = Paper(
    "Pascal Vincent and Hugo Larochelle and Isabelle Lajoie and Yoshua Bengio and Pierre-Antoine Manzagol",
    2010,
    "Stacked denoising autoencoders: learning useful representations in a deep network with a local denoising "
    "criterion",
    "Journal of Machine Learning Research 11",
)
NG_2011 = Paper("Andrew Ng", 2011, "Sparse autoencoder", "CS294A lecture notes, Stanford University")
OLSHAUSEN_1996 = Paper(
    "Bruno A. Olshausen and David J. Field",
    1996,
    "Emergence of simple-cell receptive field properties by learning a sparse code for natural images",
    "Nature 381",
)
MASCI_2011 = Paper(
    "Jonathan Masci and Ueli Meier and Dan Cireşan and Jürgen Schmidhuber",
    2011,
    "Stacked convolutional auto-encoders for hierarchical feature extraction",
    "International Conference on Artificial Neural Networks",
)
SRIVASTAVA_2015 = Paper(
    "Nitish Srivastava and Elman Mansimov and Ruslan Salakhutdinov",
    2015,
    "Unsupervised learning of video representations using LSTMs",
    "International Conference on Machine Learning",
)
MAKHZANI_2014 = Paper("Alireza Makhzani and Brendan Frey", 2014, "k-Sparse autoencoders", "ICLR")
BUSSMANN_2024 = Paper(
    "Bart Bussmann and Patrick Leask and Neel Nanda", 2024, "BatchTopK sparse autoencoders", "arXiv:2412.06410"
)
RAJAMANOHARAN_2024 = Paper(
    "Senthooran Rajamanoharan and Tom Lieberum and Nicolas Sonnerat and Arthur Conmy and Vikrant Varma and "
    "János Kramár and Neel Nanda",
    2024,
    "Jumping ahead: improving reconstruction fidelity with JumpReLU sparse autoencoders",
    "arXiv:2407.14435",
)
GOROSHIN_2013 = Paper("Rostislav Goroshin and Yann LeCun", 2013, "Saturating auto-encoders", "ICLR")
RIFAI_2011 = Paper(
    "Salah Rifai and Pascal Vincent and Xavier Muller and Xavier Glorot and Yoshua Bengio",
    2011,
    "Contractive auto-encoders: explicit invariance during feature extraction",
    "ICML",
)
RIFAI_2011_HIGHER = Paper(
    "Salah Rifai and Grégoire Mesnil and Pascal Vincent and Xavier Muller and Yoshua Bengio and Yann Dauphin and "
    "Xavier Glorot",
    2011,
    "Higher order contractive auto-encoder",
    "ECML PKDD",
)
HE_2022 = Paper(
    "Kaiming He and Xinlei Chen and Saining Xie and Yanghao Li and Piotr Dollár and Ross Girshick",
    2022,
    "Masked autoencoders are scalable vision learners",
    "CVPR",
)
ZHOU_2017 = Paper("Chong Zhou and Randy C. Paffenroth", 2017, "Anomaly detection with robust deep autoencoders", "KDD")
KINGMA_2014 = Paper(
    "Diederik P. Kingma and Max Welling",
    2014,
    "Auto-encoding variational Bayes",
    "International Conference on Learning Representations",
)
HIGGINS_2017 = Paper(
    "Irina Higgins and Loic Matthey and Arka Pal and Christopher Burgess and Xavier Glorot and Matthew Botvinick "
    "and Shakir Mohamed and Alexander Lerchner",
    2017,
    "beta-VAE: learning basic visual concepts with a constrained variational framework",
    "International Conference on Learning Representations",
)
BURDA_2016 = Paper(
    "Yuri Burda and Roger Grosse and Ruslan Salakhutdinov",
    2016,
    "Importance weighted autoencoders",
    "International Conference on Learning Representations",
)
KINGMA_2014_LABELS = Paper(
    "Diederik P. Kingma and Danilo J. Rezende and Shakir Mohamed and Max Welling",
    2014,
    "Semi-supervised learning with deep generative models",
    "Advances in Neural Information Processing Systems 27",
)
TOMCZAK_2018 = Paper(
    "Jakub M. Tomczak and Max Welling",
    2018,
    "VAE with a VampPrior",
    "International Conference on Artificial Intelligence and Statistics",
)
SONDERBY_2016 = Paper(
    "Casper Kaae Sønderby and Tapani Raiko and Lars Maaløe and Søren Kaae Sønderby and Ole Winther",
    2016,
    "Ladder variational autoencoders",
    "Advances in Neural Information Processing Systems 29",
)
ZHAO_2019 = Paper(
    "Shengjia Zhao and Jiaming Song and Stefano Ermon",
    2019,
    "InfoVAE: balancing learning and inference in variational autoencoders",
    "AAAI Conference on Artificial Intelligence",
)
TOLSTIKHIN_2018 = Paper(
    "Ilya Tolstikhin and Olivier Bousquet and Sylvain Gelly and Bernhard Schölkopf",
    2018,
    "Wasserstein auto-encoders",
    "International Conference on Learning Representations",
)
CHEN_2018 = Paper(
    "Ricky T. Q. Chen and Xuechen Li and Roger Grosse and David Duvenaud",
    2018,
    "Isolating sources of disentanglement in variational autoencoders",
    "Advances in Neural Information Processing Systems 31",
)
KIM_2018 = Paper(
    "Hyunjik Kim and Andriy Mnih",
    2018,
    "Disentangling by factorising",
    "International Conference on Machine Learning",
)
MAKHZANI_2016 = Paper(
    "Alireza Makhzani and Jonathon Shlens and Navdeep Jaitly and Ian Goodfellow and Brendan Frey",
    2016,
    "Adversarial autoencoders",
    "International Conference on Learning Representations (workshop)",
)
GHOSH_2020 = Paper(
    "Partha Ghosh and Mehdi S. M. Sajjadi and Antonio Vergari and Michael Black and Bernhard Schölkopf",
    2020,
    "From variational to deterministic autoencoders",
    "International Conference on Learning Representations",
)
DAVIDSON_2018 = Paper(
    "Tim R. Davidson and Luca Falorsi and Nicola De Cao and Thomas Kipf and Jakub M. Tomczak",
    2018,
    "Hyperspherical variational auto-encoders",
    "Conference on Uncertainty in Artificial Intelligence",
)
OORD_2017 = Paper(
    "Aäron van den Oord and Oriol Vinyals and Koray Kavukcuoglu",
    2017,
    "Neural discrete representation learning",
    "Advances in Neural Information Processing Systems 30",
)
ZEGHIDOUR_2021 = Paper(
    "Neil Zeghidour and Alejandro Luebs and Ahmed Omran and Jan Skoglund and Marco Tagliasacchi",
    2021,
    "SoundStream: an end-to-end neural audio codec",
    "IEEE/ACM Transactions on Audio, Speech, and Language Processing 30",
)
MENTZER_2024 = Paper(
    "Fabian Mentzer and David Minnen and Eirikur Agustsson and Michael Tschannen",
    2024,
    "Finite scalar quantization: VQ-VAE made simple",
    "International Conference on Learning Representations",
)
MENA_2019 = Paper(
    "Francisco Mena and Ricardo Ñanculef",
    2019,
    "A binary variational autoencoder for hashing",
    "Iberoamerican Congress on Pattern Recognition",
)
JANG_2017 = Paper(
    "Eric Jang and Shixiang Gu and Ben Poole",
    2017,
    "Categorical reparameterization with Gumbel-softmax",
    "International Conference on Learning Representations",
)
LIANG_2018 = Paper(
    "Dawen Liang and Rahul G. Krishnan and Matthew D. Hoffman and Tony Jebara",
    2018,
    "Variational autoencoders for collaborative filtering",
    "The Web Conference",
)
BALIN_2019 = Paper(
    "Muhammed Fatih Balin and Abubakar Abid and James Zou",
    2019,
    "Concrete autoencoders: differentiable feature selection and reconstruction",
    "International Conference on Machine Learning",
)
