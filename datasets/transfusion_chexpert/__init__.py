"""CheXpert chest X-rays with their 14 raw labels."""
