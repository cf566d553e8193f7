"""What can be seen of a gateway: metrics, logs, traces, usage and the state of its queues."""
