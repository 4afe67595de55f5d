"""Content negotiation: whether a reader of a page that is also JSON prefers JSON (RFC 9110, 12.5.1)."""

from typing import Final

from fastapi import Request

JSON_TYPES: Final = ("application/json", "application/ld+json")
_HTML: Final = "text/html"
_MAX_RANGES: Final = 32


def prefers_json(request: Request) -> bool:
    """Return whether the header ``Accept`` ranks a JSON type higher than HTML. Without a preference it is a page."""
    weights = _weights(request.headers.get("Accept", ""))

    def weight_of(media_type: str) -> float:
        group = media_type.partition("/")[0]
        return next((weights[one] for one in (media_type, f"{group}/*", "*/*") if one in weights), 0.0)

    return max(map(weight_of, JSON_TYPES)) > weight_of(_HTML)


def _weights(header: str) -> dict[str, float]:
    """Return the weight of each media range. A range of another form is left out, as if it were not sent."""
    found = dict[str, float]()
    for one in header.lower().split(",", _MAX_RANGES)[:_MAX_RANGES]:
        media_range, *parameters = (part.strip() for part in one.split(";"))
        weight = next((part.removeprefix("q=") for part in parameters if part.startswith("q=")), "1")
        try:
            found[media_range] = min(1.0, max(0.0, float(weight)))
        except ValueError:
            continue
    return found
