"""Wire: what has to change in a pipeline engine so that its pods are the stages'.

One file per engine, each with `pieces` (what to write) and `lacks` (what a given file misses). Pure: may import `reach`,
`facts`, `spec`, `names`, `errors`, `findings`; reads no file and asks no engine.
"""
