from m4i_fast.text.overlap import overlap as overlap

__version__: str
__all__ = ["__version__", "overlap"]
