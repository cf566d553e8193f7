"""An engine that answers with text at the speed that the physics predicts for a model on chips.

It speaks the OpenAI-compatible API of vLLM, without weights or chips: for demonstrations, load
tests, and work on what stands in front of engines. `speed` finds how long a step takes; `engine`
decides on steps, as vLLM does it; `driver` lets them happen in real time; `app` answers HTTP.
"""
