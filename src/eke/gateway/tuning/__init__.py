"""Fine-tuning jobs: a trainer of the user's own, on engines that nobody needs for a while."""
