"""How fast and how small, on the lab's control plane and a fast stand-in of AWS's read path. Run by `make bench`."""
