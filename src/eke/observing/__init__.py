"""What a gateway saw, as a run; and a run again, under another policy.

`gathering` makes a run of the rows that gateways keep; `replaying` plays a run's requests again.
The engines are those that were observed: `loads` says what they had to do, `fitting` how long that
took them, `engines` makes replicas of it for the simulator.
"""
