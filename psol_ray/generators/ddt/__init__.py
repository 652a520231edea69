"""Deep Descriptor Transformation: a class's images in, one noisy box an image out (Sec. 3.2.1)."""
