"""Evaluate: may A reach B at port P? Judged from Kubernetes and Istio objects alone, without the declaration.

May import `facts`, `names`, `findings` and `errors`. `networkpolicy` and `istio` each know one kind of object, `world`
puts their verdicts together; what was declared is answered elsewhere, in `declared`, so that neither can copy the
other's mistakes.
"""
