"""Context tiers: who may have a longer context, and what remembering conversations saves."""
