"""The pages of a gateway: HTML that is whole without a script, and loads nothing."""
