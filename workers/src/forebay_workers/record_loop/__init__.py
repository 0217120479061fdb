"""The loop around every stage: from a partitioned log to hundreds of slow calls and back.

`stage` is what a stage implements, `loop` ties the rest together: `partition` keeps offsets,
`lanes` the order and the fair shares, `flow` the backpressure, `ownership` the take-over of
partitions, `runner` the attempts at one record, `dead_letters` what was given up.
"""
