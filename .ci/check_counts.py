"""Fails if fewer tests ran than `FLOOR`; lists the skipped with reasons."""

import sys
import xml.etree.ElementTree as ElementTree

FLOOR = 2350

cases = list(ElementTree.parse(sys.argv[1]).iter("testcase"))
skipped = [case for case in cases if case.find("skipped") is not None]
num_ran = len(cases) - len(skipped)
print(f"{num_ran} tests ran, {len(skipped)} were skipped (floor: {FLOOR}).")
for case in skipped:
    reason = case.find("skipped").get("message")
    print(f"  skipped: {case.get('classname')}.{case.get('name')}: {reason}")
if num_ran < FLOOR:
    sys.exit(f"Only {num_ran} tests ran; at least {FLOOR} must.")
