"""Draw new rows: from a variational kind's own prior, and from a mixture fitted to a plain kind's codes.

python examples/draw_new_rows.py
"""

from sklearn.datasets import load_breast_cancer

import isthmus as ist

X = load_breast_cancer(as_frame=True).data  # 569 rows, 30 measurements of cells

vae = ist.Autoencoder("vae", code_size=6, epochs=60, random_state=0).fit(X)
print(vae.log_likelihood(X))
print(vae.rate_distortion(X))
print(vae.sample(3, random_state=0).iloc[:, :4].round(2), "\n")

plain = ist.Autoencoder(code_size=6, epochs=60, random_state=0).fit(X)
plain.fit_prior("mixture", X)
print(plain.sample(3, random_state=0).iloc[:, :4].round(2), "\n")

for name, ae in (("vae, its own prior", vae), ("plain, a mixture fitted afterwards", plain)):
    found = ae.diagnose(X)
    print(f"{name}: {found['completeness'].sentence}")
