"""EyePACS photographs of the 2015 competition."""
