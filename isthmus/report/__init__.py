"""A report on a fitted autoencoder: one self-contained HTML file.

`figures.collect` turns arrays into the plain values that are shown, `plots` draws them, `page` writes the file.
"""
