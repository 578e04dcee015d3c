"""APTOS photographs of the 2019 competition."""
