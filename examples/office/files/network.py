"""The network of the summer school.

The network carries 250 devices.
"""

DEVICES = 250
