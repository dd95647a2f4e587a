"""A small language for the shapes that Block Kit allows.

A rule looks at one value and yields what is wrong with it, in the words and with the JSON pointer that Slack
uses: `must be less than 3001 characters [json-pointer:/blocks/0/text/text]`.
"""

from collections.abc import Callable, Iterator, Mapping

Rule = Callable[[object, str], Iterator[str]]


def wrong(what: str, at: str) -> Iterator[str]:
    """Yield one complaint."""
    yield f"{what} [json-pointer:{at}]"


def string(most: int, least: int = 1) -> Rule:
    """Allow a string of so many characters."""

    def check(value: object, at: str) -> Iterator[str]:
        if not isinstance(value, str):
            yield from wrong("must be a string", at)
        elif len(value) < least:
            yield from wrong(f"must be more than {least - 1} characters", at)
        elif len(value) > most:
            yield from wrong(f"must be less than {most + 1} characters", at)

    return check


def one_of(*allowed: str) -> Rule:
    """Allow these strings."""

    def check(value: object, at: str) -> Iterator[str]:
        if value not in allowed:
            yield from wrong(f"must be one of {', '.join(allowed)}", at)

    return check


def of_type(kind: type) -> Rule:
    """Allow values of one JSON type; `True` is no number."""

    def check(value: object, at: str) -> Iterator[str]:
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            yield from wrong(f"must be a {kind.__name__}", at)

    return check


def anything(value: object, at: str) -> Iterator[str]:  # noqa: ARG001 - a rule
    """Allow what is not worth a rule of its own."""
    yield from ()


def many(rule: Rule, most: int, least: int = 1) -> Rule:
    """Allow a list of so many items, each as the rule says."""

    def check(value: object, at: str) -> Iterator[str]:
        if not isinstance(value, list):
            yield from wrong("must be an array", at)
            return
        if len(value) > most:
            yield from wrong(f"no more than {most} items allowed", at)
        if len(value) < least:
            yield from wrong(f"no fewer than {least} items allowed", at)
        for number, item in enumerate(value):
            yield from rule(item, f"{at}/{number}")

    return check


def shape(required: Mapping[str, Rule], optional: Mapping[str, Rule] | None = None) -> Rule:
    """Allow an object with these keys and no others."""
    rules = {**required, **(optional or {})}

    def check(value: object, at: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield from wrong("must provide an object", at)
            return
        for key in required.keys() - value.keys():
            yield from wrong(f"missing required field: {key}", at)
        for key, item in value.items():
            if key in rules:
                yield from rules[key](item, f"{at}/{key}")
            else:
                yield from wrong(f"invalid additional property: {key}", at)

    return check


def typed(kinds: Mapping[str, Rule]) -> Rule:
    """Allow an object whose `type` names one of these; the rule of that kind need not mention it."""

    def check(value: object, at: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield from wrong("must provide an object", at)
            return
        kind = value.get("type")
        rule = kinds.get(kind) if isinstance(kind, str) else None
        if rule is None:
            yield from wrong(f"unsupported type: {kind}", f"{at}/type")
        else:
            yield from rule({key: item for key, item in value.items() if key != "type"}, at)

    return check


def either(first: str, second: str, rule: Rule) -> Rule:
    """Allow what the rule allows, if it has at least one of two keys."""

    def check(value: object, at: str) -> Iterator[str]:
        yield from rule(value, at)
        if isinstance(value, dict) and first not in value and second not in value:
            yield from wrong(f"must define either `{first}` or `{second}`", at)

    return check
