"""Bytes of images, wherever they lie: on a disk, in an object store, in a tar shard, or in a Parquet column."""
