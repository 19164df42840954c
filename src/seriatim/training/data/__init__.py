"""Texts → token shards → batches."""
