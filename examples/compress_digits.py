"""Compress pictures like those that a model has seen, beside the coders that everyone has.

python examples/compress_digits.py [pictures.npy, whole numbers (n, height, width)]
"""

import sys

import numpy as np

import isthmus as ist

X = np.load(sys.argv[1]) if len(sys.argv) > 1 else ist.data.digits()[0]
train, new = X[: 3 * len(X) // 4], X[3 * len(X) // 4 :]

compressor = ist.Compressor(max_time=60, random_state=0).fit(train)
packed = compressor.compress(new)
assert (compressor.decompress(packed) == new).all()
print(f"{new.nbytes:,} bytes became {len(packed):,}, and came back to the bit")
print(compressor.judge(new))

# The same pictures, no pixel of which may change by more than 1.
rough = ist.Compressor(max_error=1, max_time=60, random_state=0).fit(train)
packed = rough.compress(new)
apart = np.abs(rough.decompress(packed).astype(int) - new.astype(int)).max()
print(f"{len(packed):,} bytes if a pixel may change by 1; the largest change is {apart}")
