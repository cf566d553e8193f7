"""Records → words, tables, JSON and explanations."""
