"""Pretrained backbones, their weights, and the networks PSOL trains on top of them."""
