"""`make demo`: one rotation, live, from RotateSecret to the last pod."""
