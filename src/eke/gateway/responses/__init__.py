"""Responses and conversations: what they say, as chat completions say it, and what is kept."""
