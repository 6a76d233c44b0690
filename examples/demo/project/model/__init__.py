"""The model that the sweep trains."""

from model.network import VERSION, loss_after

__all__ = ["VERSION", "loss_after"]
