"""Messidor-2 photographs with adjudicated grades."""
