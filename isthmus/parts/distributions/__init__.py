"""Distributions of one row's code, which a random bottleneck draws it from.

The contract (what bottlenecks, priors, penalties and likelihoods ask of one):

    mean                             (n, size): the point that stands for the row
    sample(draws, generator)         (draws, n, size), differentiable where the code is continuous
    log_prob(z) -> (draws, n)        of codes (draws, n, size)
    entropy() -> (n,)                nats
    detached()                       the same distribution, through whose parameters no gradient flows
"""
