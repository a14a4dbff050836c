"""The signature of MariaDB's plugin ed25519, in Python alone, so that the function's zip needs no C library.

It is RFC 8032 with the password itself in the place of the hashed seed. It takes milliseconds, and its time depends on the password: good
enough for one login, and not for a service that signs for others.
https://mariadb.com/docs/server/reference/plugins/authentication-plugins/authentication-plugin-ed25519
"""

import base64
import hashlib

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P

Point = tuple[int, int, int, int]  # extended coordinates: x = X/Z, y = Y/Z, x*y = T/Z

_Y = 4 * pow(5, -1, P) % P
_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202
BASE: Point = (_X, _Y, 1, _X * _Y % P)
NEUTRAL: Point = (0, 1, 1, 0)


def sign(password: bytes, message: bytes) -> bytes:
    """The answer to the server's random message, 64 bytes."""
    digest = hashlib.sha512(password).digest()
    scalar = _scalar(digest)
    public = _encoded(_multiplied(BASE, scalar))
    nonce = _number(hashlib.sha512(digest[32:] + message).digest())
    commitment = _encoded(_multiplied(BASE, nonce))
    challenge = _number(hashlib.sha512(commitment + public + message).digest())
    return commitment + ((nonce + challenge * scalar) % ORDER).to_bytes(32, "little")


def stored(password: bytes) -> str:
    """What the server keeps of a password: the public key, base64 without padding, 43 characters."""
    public = _encoded(_multiplied(BASE, _scalar(hashlib.sha512(password).digest())))
    return base64.b64encode(public).decode("ascii").rstrip("=")


def _scalar(digest: bytes) -> int:
    return int.from_bytes(digest[:32], "little") & ((1 << 254) - 8) | 1 << 254


def _number(digest: bytes) -> int:
    return int.from_bytes(digest, "little") % ORDER


def _encoded(point: Point) -> bytes:
    inverse = pow(point[2], -1, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _multiplied(point: Point, times: int) -> Point:
    result = NEUTRAL
    while times:
        if times & 1:
            result = _added(result, point)
        point = _added(point, point)
        times >>= 1
    return result


def _added(one: Point, other: Point) -> Point:
    a = (one[1] - one[0]) * (other[1] - other[0]) % P
    b = (one[1] + one[0]) * (other[1] + other[0]) % P
    c = 2 * one[3] * other[3] * D % P
    d = 2 * one[2] * other[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)
