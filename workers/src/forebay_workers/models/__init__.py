"""Model ports of the workers, each with an implementation that needs no network and a remote one.

`embedding_model` and `generation_model` hold the ports, `choice` turns settings into models,
`errors` is what a model call may raise.
"""
