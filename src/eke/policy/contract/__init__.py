"""Laws for any policy: ``check(make_policy)`` tries it in small worlds and says what it broke."""

from eke.policy.contract.check import check, tried
from eke.policy.contract.worlds import WORLDS

__all__ = ["WORLDS", "check", "tried"]
