"""Working a claim's scenario, and judging what it gives. Verdicts are computed, never stored."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from shlex import join
from typing import Any

from eke.asking import FIELD_UNITS, ask
from eke.claims.claim import Checked, Claim, Quoted, Step, Verdict, Worked
from eke.errors import BadFile, BadQuantity
from eke.physics import answer as _formulas  # noqa: F401  registers every formula
from eke.physics import compute as _compute  # noqa: F401
from eke.physics.formula import FORMULAS
from eke.physics.layers import count_parameters
from eke.physics.train import model_flop
from eke.types.need import Infeasible, Span
from eke.units import dimension, quantity
from eke.verbs import need


def verdict(claim: Claim) -> Verdict:
    """Work every step and judge every quoted figure. Raises BadFile for a bad scenario."""
    known: dict[str, Worked] = {}
    for step in claim.steps:
        known[step.name] = _work(claim, step, known)
    checked = tuple(_check(claim, quoted, known) for quoted in claim.figures)
    if not checked:
        raise BadFile(f"claim {claim.id}: quotes no figure.")
    return Verdict(
        claim=claim,
        worked=tuple(known.values()),
        checked=checked,
        verdict=checked[0].verdict,
        words=_words(checked),
    )


def _words(checked: tuple[Checked, ...]) -> str:
    """The verdict on the first figure, which is the claim itself, then what else is not right."""
    others = [each for each in checked[1:] if each.verdict != "reproduces"]
    short = [f"{each.name}: {_without_reason(each.words)}" for each in others]
    return "; ".join([checked[0].words, *short])


def _without_reason(words: str) -> str:
    return words.split(" because ")[0].split(":")[0]


def _work(claim: Claim, step: Step, known: dict[str, Worked]) -> Worked:
    where = f"claim {claim.id}, step {step.name}"
    if step.value is not None:
        unit = _dimension(step.value, step.unit)
        value = quantity(step.value, unit)
        return Worked(step=step, value=value, unit=unit, how=step.value)
    if step.formula is not None:
        return _formula(where, step, known)
    if step.expression is not None:
        value = evaluate(step.expression, {name: w.value for name, w in known.items()}, where)
        how = f"{step.expression}"
        return Worked(step=step, value=value, unit=step.unit, how=how)
    if step.need:
        return _need(where, step)
    raise BadFile(f"{where}: needs a value, a formula, an expression or a need.")


def _dimension(text: str, unit: str) -> str:
    """The unit of a text; where it is a bare count, the unit the step names."""
    try:
        found = dimension(text)
    except BadQuantity:
        return unit
    return unit if found in ("1", "B") and unit in ("token", "1", "1/s") else found


def _formula(where: str, step: Step, known: dict[str, Worked]) -> Worked:
    formula = FORMULAS.get(step.formula or "")
    if formula is None:
        raise BadFile(f"{where}: no formula {step.formula!r}.")
    inputs: dict[str, float] = {}
    shown = []
    for name, text in step.inputs.items():
        inputs[name] = (
            known[text].value if text in known else _input(text, formula.inputs.get(name, "1"))
        )
        shown.append(f"{name.replace('_', ' ')} {text}")
    try:
        value = float(formula.function(**inputs))
    except TypeError as error:
        raise BadFile(f"{where}: {error}.") from None
    how = f"{formula.equation}: {formula.words}, {', '.join(shown)}"
    return Worked(step=step, value=value, unit=formula.unit, how=how)


def _input(text: str, unit: str) -> float:
    """An input in its unit; counts such as parameters are written without one."""
    try:
        return quantity(text, unit)
    except BadQuantity:
        return quantity(text, "1")


def _need(where: str, step: Step) -> Worked:
    """A question to `need`; its likeliest value and its span."""
    asked = dict(step.need)
    kind, on = str(asked.pop("job")), str(asked.pop("on"))
    how = f"{_command(kind, on, asked)}: {step.figure.replace('_', ' ')}"
    if step.figure in ("parameters", "active", "flop_per_token"):
        return _count(step, str(asked["model"]), asked)
    given: dict[str, Any] = {"fleet": on}
    for name, value in asked.items():
        text = isinstance(value, str) and name in FIELD_UNITS
        given[name] = quantity(str(value), FIELD_UNITS[name]) if text else value
    job, fleet, choices = ask(kind, given)
    found = need(job, None, fleet, choices=choices)
    if isinstance(found, Infeasible):
        raise BadFile(f"{where}: not feasible: {found.limit} is short.")
    span, unit = _figure(found, step.figure)
    return Worked(step=step, value=span.likely, unit=unit, how=how, span=span)


_FLAGS = {"batch": "max-batch"}


def _command(kind: str, on: str, asked: dict[str, Any]) -> str:
    """The question as one types it."""
    words = ["eke", "need", kind, str(asked["model"]), "--on", on]
    for name, value in asked.items():
        if name != "model":
            words += [f"--{_FLAGS.get(name, name.replace('_', '-'))}", str(value)]
    return join(words)


def _figure(found: Any, name: str) -> tuple[Span, str]:
    if name in found.figures:
        figure = found.figures[name]
        return figure.span, "USD" if figure.unit.startswith("USD per") else figure.unit
    units = {"time": "s", "memory": "B", "energy": "J", "money": "USD", "chips": "1"}
    return getattr(found, name), units[name]


def _count(step: Step, name: str, asked: dict[str, Any]) -> Worked:
    """Exact counts of a model's shape."""
    from eke.catalog.models import model

    shape = model(name)
    if step.figure == "flop_per_token":
        value = 3 * model_flop(shape, int(asked.get("sequence", 2048)))
        how = f"forward and backward FLOP per token of {shape.name}, counted"
        return Worked(step=step, value=value, unit="FLOP", how=how)
    value = float(
        getattr(count_parameters(shape), {"parameters": "total"}.get(step.figure, "active"))
    )
    return Worked(step=step, value=value, unit="1", how=f"{step.figure} of {shape.name}, counted")


def _check(claim: Claim, quoted: Quoted, known: dict[str, Worked]) -> Checked:
    if quoted.unknown:
        said = quantity(quoted.quoted, quoted.unit) if quoted.quoted else None
        return Checked(
            name=quoted.name,
            quoted=said,
            computed=None,
            span=None,
            unit=quoted.unit,
            verdict="cannot be checked",
            words=f"cannot be checked: {quoted.unknown}",
        )
    if quoted.step not in known:
        raise BadFile(f"claim {claim.id}: figure {quoted.name}: no step {quoted.step!r}.")
    worked = known[quoted.step]
    said = quantity(quoted.quoted, worked.unit)
    ratio = said / worked.value if worked.value else math.inf
    close = abs(ratio - 1) <= quoted.tolerance
    inside = worked.span is not None and worked.span.low <= said <= worked.span.high
    return Checked(
        name=quoted.name,
        quoted=said,
        computed=worked.value,
        span=worked.span,
        unit=worked.unit,
        verdict="reproduces" if close or inside else "off",
        words=_judged(quoted, ratio, close, inside),
    )


def _judged(quoted: Quoted, ratio: float, close: bool, inside: bool) -> str:
    if close:
        return "reproduces"
    if inside:
        return "reproduces within the span"
    because = f" because {quoted.because}" if quoted.because else ""
    factor, side = (ratio, "high") if ratio >= 1 else (1 / ratio, "low")
    return f"off by ×{factor:.3g} (too {side}){because}"


_OPERATORS: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


def evaluate(expression: str, values: dict[str, float], where: str) -> float:
    """Arithmetic over named values: + − × / ** ( ) and sqrt. Raises BadFile for anything else."""

    def walk(node: ast.AST) -> float:
        match node:
            case ast.Expression(body=body):
                return walk(body)
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id=name) if name in values:
                return values[name]
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return -walk(inner)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                return _OPERATORS[type(op)](walk(left), walk(right))
            case ast.Call(func=ast.Name(id="sqrt"), args=[inner]):
                return math.sqrt(walk(inner))
        raise BadFile(f"{where}: {ast.unparse(node)!r} is not arithmetic over earlier steps.")

    try:
        return walk(ast.parse(expression, mode="eval"))
    except (SyntaxError, ZeroDivisionError, OverflowError) as error:
        raise BadFile(f"{where}: {expression!r}: {error}.") from None
