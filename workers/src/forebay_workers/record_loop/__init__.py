"""The loop around every stage: from a partitioned log to hundreds of slow calls and back.

`stage` is what a stage implements, `loop` ties the rest together. A record is taken in by
`admission`, waits in `lanes` until `schedule` starts it, and `runner` brings it to an end, through
`retry_topic` or `dead_letters` where it fails. `throttle` and `breaker` slow or halt the stage,
`flow` the fetching, and `pace` keeps a busy loop from beginning too much. `partition` keeps
offsets, `ownership` the take-over of partitions, `stuck` looks for calls that do not end, and
`sleep_guard` for a process that was suspended.
"""
