"""Declared: may A reach B at port P, by what people have declared? Judged from specs and facts alone, way by way.

May import `facts`, `spec`, and of `reach` what says what one word means (who governs, which pods are whose, what a port, a
block or a service holds); never what makes edges of declarations, nor objects: whatever either gets wrong shows as a
difference between what is declared and what is enforced (`evaluate`).
"""
