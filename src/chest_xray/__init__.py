"""From a folder of chest radiographs to a monitored endpoint. Research use only, not a medical device."""

__version__ = "0.1.0"
