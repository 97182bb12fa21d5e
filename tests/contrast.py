"""Contrast of two colours as WCAG 2.2 defines it, for the tests of everything that is coloured."""


def linear(color: str) -> list[float]:
    """'#rrggbb' as linear red, green and blue from 0 to 1."""
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]


def luminance(color: str) -> float:
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear(color), strict=True))


def contrast(one: str, other: str) -> float:
    """From 1 (equal) to 21 (black on white). Text wants 4.5, lines and bars 3."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
