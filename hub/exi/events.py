"""Event kinds of EXI streams (sections 4 and 8.4) and of grammar productions, as small integers.

The order of the first group is the order in which productions of one grammar state get their event codes
(section 8.5.4.3): attributes, attribute wildcards, elements, element wildcards, end, characters.
"""

from __future__ import annotations

from typing import Final

# Productions with an event code of one part; the sort order of the specification.
AT: Final = 0  # AT(qname), value typed
AT_NS: Final = 1  # AT(uri:*)
AT_ANY: Final = 2  # AT(*)
SE: Final = 3  # SE(qname)
SE_NS: Final = 4  # SE(uri:*)
SE_ANY: Final = 5  # SE(*)
EE: Final = 6
CH: Final = 7  # CH, value typed
CH_ANY: Final = 8  # CH, value untyped
ED: Final = 9

# Events that grammars offer beside those, with event codes of two and three parts (8.4.3, 8.5.4.4).
AT_TYPE: Final = 10  # AT(xsi:type)
AT_NIL: Final = 11  # AT(xsi:nil)
AT_UNTYPED: Final = 12  # group: AT(qname) or AT(*) with an untyped value, third part says which
NS: Final = 13
SC: Final = 14
ER: Final = 15
DT: Final = 16
CM_PI: Final = 17  # group: comment or processing instruction, third part says which
CM: Final = 18
PI: Final = 19

NAMES: Final = (
    "AT(qname)", "AT(uri:*)", "AT(*)", "SE(qname)", "SE(uri:*)", "SE(*)", "EE", "CH", "CH", "ED",
    "AT(xsi:type)", "AT(xsi:nil)", "AT[untyped]", "NS", "SC", "ER", "DT", "CM|PI", "CM", "PI",
)  # fmt: skip
