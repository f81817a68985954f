"""What Sentry's Relay leaves readable of the same events: its scrubber as the `sentry-relay` wheel gives it to Python.

For comparison alone. Relay is under the Functional Source License; nothing of it is in Candor.
"""

import json

import matrix

# What a project of Sentry has where nobody changed anything, and the widest rule that its documentation names.
DEFAULT = {"scrubData": True, "scrubDefaults": True, "scrubIpAddresses": True, "sensitiveFields": [], "excludeFields": []}
COMMON = {"applications": {"**": ["@common"]}}


def missing() -> str | None:
    """Why it cannot run here; none where it can."""
    try:
        import sentry_relay.processing  # noqa: F401
    except Exception as error:  # noqa: BLE001: a wheel for another machine fails in many ways
        return f"no sentry-relay: {error}"
    return None


def scrubbers() -> dict:
    """By their names, what scrubs an event. What it says beside the event of what it removed is left out."""
    from sentry_relay.processing import convert_datascrubbing_config, pii_strip_event

    def scrubber(config):
        def scrub(event: dict) -> bytes:
            stripped = pii_strip_event(config, event)
            stripped.pop("_meta", None)
            return json.dumps(stripped).encode()
        return scrub

    return {"Relay, default": scrubber(convert_datascrubbing_config(DEFAULT)), "Relay, ** @common": scrubber(COMMON)}


def readable(events: dict) -> dict:
    """Of events by cell, for each scrubber the cells whose secret is still there."""
    return {name: {cell for cell, event in events.items() if any(matrix.hits(scrub(event)))} for name, scrub in scrubbers().items()}
