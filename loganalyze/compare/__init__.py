"""Two runs beside each other: what changed, where they part, what it did.

Settings (`settings`), curves (`axis`, `metrics`, `parting`, `place`, `level`, `speed`) and findings
(`findings`) of two runs become one `Diff` (`comparison`, of the pieces in `values`), with the settings
that could explain a change (`attribution`) and a verdict. How noisy one curve is tells `noise`, what
another seed changes `between`.
"""
