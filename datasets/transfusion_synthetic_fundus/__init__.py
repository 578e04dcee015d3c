"""Procedurally drawn fundus photographs."""
