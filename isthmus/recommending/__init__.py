"""Recommending: what items say of one another, learnt in closed form. Plain matrices in, plain matrices out."""
