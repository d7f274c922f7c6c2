"""For authors of plug-ins: one check per contract, and toys to try a plug-in with.

Each check is one line of a plug-in's tests, needs no network, and raises a `ContractError` that
says what the contract requires and what the plug-in gave instead:

    from hnbench.testing import check_method

    def test_my_method() -> None:
        check_method(MyMethod(steps=3))

If a check passes, a run can use the plug-in. It does not say whether the plug-in is any good.
"""

from hnbench.testing.contract import ContractError
from hnbench.testing.generator import check_generator
from hnbench.testing.measure import check_measure
from hnbench.testing.method import check_method
from hnbench.testing.reward import check_reward
from hnbench.testing.suite import check_suite
from hnbench.testing.toys import BrightnessReward, RedReward, ToyBackbone, ToyGenerator

__all__ = [
    "BrightnessReward",
    "ContractError",
    "RedReward",
    "ToyBackbone",
    "ToyGenerator",
    "check_generator",
    "check_measure",
    "check_method",
    "check_reward",
    "check_suite",
]
