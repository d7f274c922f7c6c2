"""The structure of the published programs, for benchmarks to compare with.

It was written from the papers and from descriptions of their code: one image at a time, one
optimizer for each image, values read by the host in every iteration, nothing kept between calls. On
the same models it computes the same as hnbench, up to rounding.
"""
