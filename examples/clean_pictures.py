"""Take noise out of pictures: learn it from clean ones, judge it beside what needs no learning, and look at the result.

python examples/clean_pictures.py
"""

from pathlib import Path

import isthmus as ist

pictures, _ = ist.data.digits()  # grey levels of 0..16; pictures of any sizes will do
learnt, unseen = pictures[:1500], pictures[1500:]

denoiser = ist.Denoiser("gaussian", level=4.0, epochs=8, random_state=0).fit(learnt)
for way in denoiser.judge(unseen, train=learnt, ssim=False):
    print(f"{way.name:>24}  {way.pooled:5.2f} dB")

noisy = denoiser.corrupt(unseen, random_state=1)
cleaned = denoiser.transform(noisy)
print("grey levels off, in the mean:", *(round(float(abs(x - 1.0 * unseen).mean()), 2) for x in (noisy, cleaned)))

denoiser.report("denoiser.html", unseen, train=learnt, ssim=False)
print("before and after:", Path("denoiser.html").resolve())
