"""Procedurally drawn frontal chest X-rays."""
