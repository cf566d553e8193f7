"""Predictions judged by measurements, and values learnt from them."""
