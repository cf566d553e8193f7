"""Demand for chips against supply (read, plan each ask, draw the cases, work out the quarters,
answer), and published forecasts beside each other."""
