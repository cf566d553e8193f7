"""Engines behind the gateway: their connections, their health, and how much each takes."""
