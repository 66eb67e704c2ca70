# SPDX-License-Identifier: Apache-2.0
"""What a programme's document comes to with given facts, worked out anew from what proto/nuanxin/care/v1/programme.proto says, by
nothing of the service's own."""
import datetime
from fractions import Fraction
from math import floor


def holds(condition, facts):
    """All values that shipped programmes compare are numbers, days (which compare as they are written), words and choices."""
    value, wanted = facts.get(condition["fact"]), condition.get("values", [])
    if value is None:
        return False
    number = value.lstrip("-").isdigit() and wanted[0].lstrip("-").isdigit()
    a, b = (int(value), int(wanted[0])) if number else (value, wanted[0])
    return {"AT_LEAST": lambda: a >= b, "AT_MOST": lambda: a <= b, "EQUALS": lambda: a == b, "ONE_OF": lambda: value in wanted}[condition["operator"]]()


def period(cap, facts, day):
    """The first day of the one that it counts for."""
    on = facts.get(cap.get("on", ""), "") or day
    if cap["period"] == "EVER":
        return ""
    if cap["period"] == "MONTH":
        return on[:8] + "01"
    start = cap.get("yearStart", "") or "01-01"
    year = int(on[:4]) - (on[5:] < start)
    first = f"{year:04}-{start}"
    try:
        datetime.date.fromisoformat(first)
    except ValueError:
        first = f"{year:04}-03-01"
    return first


def near(fraction):
    return floor(fraction + Fraction(1, 2))


def part(term, facts, units):
    if term.get("when") and facts.get(term["when"]) != (term.get("is") or "true"):
        return 0
    if "perUnit" in term:
        return units.get(term["perUnit"]["fact"], 0) * int(term["perUnit"]["amount"])
    if "fixed" in term:
        return int(term["fixed"]["amount"])
    if "share" in term:
        share = term["share"]
        of = near(Fraction(units.get(share["fact"], 0) * share["basisPoints"], 10000))
        return min(of, int(share.get("most", 0)) or of)
    i = term["interest"]
    rate = min(units.get(i["basisPoints"], 0), i["mostBasisPoints"])
    return near(Fraction(units.get(i["principal"], 0) * rate * units.get(i["days"], 0), 10000 * 365))


def by_hand(document, facts, before, day):
    """(amount, {cap: (period, used)}) of a decision that granted; None where it should not have. before: {cap: used before}."""
    units = {k: max(0, int(v)) for k, v in facts.items() if v.lstrip("-").isdigit()}
    if not all(holds(c, facts) for c in document.get("conditions", [])):
        return None
    caps, used = document.get("caps", []), {}

    def through(cap, asked):
        left = int(cap["most"]) - before.get(cap["code"], 0)
        return asked if asked <= left else left if cap.get("beyond") == "CUT" and left > 0 else None

    for cap in caps:
        if cap["measure"] == "TIMES" and through(cap, 1) is None:
            return None
        if cap["measure"] == "UNITS":
            units[cap["fact"]] = through(cap, units.get(cap["fact"], 0))
            if units[cap["fact"]] is None:
                return None
    amount = sum(part(t, facts, units) for t in document.get("terms", []))
    for cap in caps:
        if cap["measure"] == "AMOUNT":
            amount = through(cap, amount)
            if amount is None:
                return None
    for cap in caps:
        used[cap["code"]] = period(cap, facts, day), {"TIMES": 1, "UNITS": units.get(cap.get("fact", ""), 0), "AMOUNT": amount}[cap["measure"]]
    return (amount, used) if amount or not document.get("terms") else None
