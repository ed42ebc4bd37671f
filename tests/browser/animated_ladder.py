"""A ladder that builds itself up, over and over: the SVG file of a call with an animation, for documents."""

from xml.etree import ElementTree as ET

__all__ = ["animated"]

_SVG = "http://www.w3.org/2000/svg"
# Each moment of the call is shown for so long, and the whole call at the end.
_STEP_S = 0.45
_HOLD_S = 5.0


def animated(picture: str) -> str:
    """Of a picture as `standalone_svg` draws it. Who prefers no motion sees the whole call."""
    ET.register_namespace("", _SVG)
    root = ET.fromstring(picture)  # noqa: S314 (drawn by this process)
    timed = [element for element in root.iter() if "data-at" in element.attrib]
    moments = sorted({int(element.attrib["data-at"]) for element in timed})
    lasts = len(moments) * _STEP_S + _HOLD_S
    rules = [f".step {{ animation: {lasts:g}s step-end infinite; }}"]
    for step, moment in enumerate(moments):
        begins = 100 * step * _STEP_S / lasts
        rules.append(f"@keyframes s{step} {{ 0% {{ opacity: 0; }} {begins:.2f}% {{ opacity: 1; }} }}")
        rules.append(f".s{step} {{ animation-name: s{step}; }}")
        for element in timed:
            if int(element.attrib["data-at"]) == moment:
                element.set("class", f"{element.get('class')} step s{step}")
    rules.append("@media (prefers-reduced-motion: reduce) { .step { animation: none; } }")
    style = root.find(f"{{{_SVG}}}style")
    assert style is not None
    style.text = f"{style.text}\n" + "\n".join(rules)
    return ET.tostring(root, encoding="unicode", xml_declaration=True)
