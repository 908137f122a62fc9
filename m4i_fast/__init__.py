"""m4i-fast: does a captioning model give away what it was trained on?"""

__version__ = "0.1.0"
