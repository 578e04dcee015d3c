"""TFRecord files that were made elsewhere."""
